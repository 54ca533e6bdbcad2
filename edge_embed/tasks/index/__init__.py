"""A durable index of texts."""
