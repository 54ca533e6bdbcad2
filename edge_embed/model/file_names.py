"""Names of the files that edge_embed adds to a model folder."""

__all__ = ["PAIR_THRESHOLD", "RANGES_FILE", "RECEIPT"]

RECEIPT = "edge_embed.json"
RANGES_FILE = "embedding_ranges.json"
PAIR_THRESHOLD = "pair_threshold.json"
