"""What a model folder holds and says: found, checked, read."""
