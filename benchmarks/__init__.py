"""Measurements, a folder for each kind of question."""
