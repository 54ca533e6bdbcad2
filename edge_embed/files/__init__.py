"""Read and write files of texts, rows and vectors; every output appears whole or not at all."""
