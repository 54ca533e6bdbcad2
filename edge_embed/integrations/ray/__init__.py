"""Embedding and deduplication over a Ray cluster."""
