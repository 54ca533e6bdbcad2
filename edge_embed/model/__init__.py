"""Model folders: finding one by name, reading its files, and checking them."""
