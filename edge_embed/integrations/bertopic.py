"""BERTopic's backend.

>>> from edge_embed.integrations.bertopic import EdgeEmbedBackend
>>> BERTopic(embedding_model=EdgeEmbedBackend("my-model"))  # doctest: +SKIP
"""

from edge_embed.integrations.requirements import requires
from edge_embed.integrations.topic_backend import TopicBackend

with requires("bertopic"):
    from bertopic.backend import BaseEmbedder

__all__ = ["EdgeEmbedBackend"]


class EdgeEmbedBackend(TopicBackend, BaseEmbedder):
    """Embeds documents and words for BERTopic; vectors have unit length."""
