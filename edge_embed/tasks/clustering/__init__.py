"""Groups of texts: found, named, drawn and reported."""
