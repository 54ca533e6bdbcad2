"""Attacks on everything that comes from others; run with ``python -m tools.attack``."""
