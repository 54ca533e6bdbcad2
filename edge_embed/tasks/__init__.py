"""Tasks on embeddings: deduplication, clustering, mining, search.

Tasks take arrays and return frozen dataclasses; none depends on a model.

>>> from edge_embed import Embedder
>>> from edge_embed.tasks import deduplicate
>>> result = deduplicate(Embedder("my-model").encode(texts), threshold=0.9)  # doctest: +SKIP
>>> unique = [texts[row] for row in result.kept]  # doctest: +SKIP
"""

from edge_embed.tasks.clustering.leiden import OUTLIER, Cluster, Clustering, cluster
from edge_embed.tasks.deduplication.exact import TextKeys, keep_order, normal_form
from edge_embed.tasks.deduplication.semantic import DeduplicationResult, Duplicate, deduplicate
from edge_embed.tasks.differences import Differences, differences
from edge_embed.tasks.index.index import Hit, Index, IndexInfo
from edge_embed.tasks.index.passages import split_text
from edge_embed.tasks.mining import Pair, paraphrase_mining

__all__ = [
    "OUTLIER",
    "Cluster",
    "Clustering",
    "DeduplicationResult",
    "Differences",
    "Duplicate",
    "Hit",
    "Index",
    "IndexInfo",
    "Pair",
    "TextKeys",
    "cluster",
    "deduplicate",
    "differences",
    "keep_order",
    "normal_form",
    "paraphrase_mining",
    "split_text",
]
