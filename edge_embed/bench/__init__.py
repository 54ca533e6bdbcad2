"""What ``edge-embed bench`` measures."""
