"""Inference: tokenization, batching, the model graph, and the engine that runs it."""
