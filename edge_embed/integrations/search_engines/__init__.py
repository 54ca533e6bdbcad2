"""Search engines: an index is exported to a collection, which can then be searched."""
