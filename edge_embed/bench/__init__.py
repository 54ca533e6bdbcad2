"""The measurements of ``edge-embed bench``."""
