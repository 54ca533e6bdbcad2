"""A fitted threshold of pairs."""

from edge_embed.model.pair_threshold import Logistic, PairThreshold

__all__ = ["THRESHOLD"]

THRESHOLD = PairThreshold(
    threshold=0.6,
    logistic=Logistic(8.0, -4.0),
    f1=0.8,
    average_precision=0.85,
    variant="int8",
    dim=32,
    dataset="mine",
    pairs=10,
    positives=4,
)
