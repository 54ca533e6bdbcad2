"""The handlers of each protocol: request in, response out."""
