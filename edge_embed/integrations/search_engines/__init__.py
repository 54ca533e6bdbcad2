"""Search engines: places to export an index to and to search in."""
