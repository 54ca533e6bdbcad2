"""Files of texts, rows and vectors; what is written appears whole or not at all."""
