"""From texts to vectors: tokens, batches, the graph and the engine that runs it."""
