"""What the project is checked and released with."""
