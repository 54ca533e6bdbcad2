"""Clusters of texts: find them, name them, draw a map, and write a report."""
