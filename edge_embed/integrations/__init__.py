"""Adapters to other libraries, one a module, each behind an extra of its own name."""
