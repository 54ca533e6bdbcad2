"""Inputs at random; run with ``python -m tests.fuzz``."""
