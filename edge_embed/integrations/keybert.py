"""KeyBERT's backend.

>>> from edge_embed.integrations.keybert import EdgeEmbedBackend
>>> KeyBERT(model=EdgeEmbedBackend("my-model"))  # doctest: +SKIP
"""

from edge_embed.integrations.requirements import requires
from edge_embed.integrations.topic_backend import TopicBackend

with requires("keybert"):
    from keybert.backend import BaseEmbedder

__all__ = ["EdgeEmbedBackend"]


class EdgeEmbedBackend(TopicBackend, BaseEmbedder):
    """Embeds documents and candidate words for KeyBERT; vectors have unit length."""
