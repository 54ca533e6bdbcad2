"""Adapters to other libraries: one module and one extra of the same name for each."""
