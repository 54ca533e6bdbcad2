"""A durable index of texts and their vectors, for search by meaning and by words."""
