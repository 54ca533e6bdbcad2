"""Deduplication: exact and semantic duplicates, and which of them are removed."""
