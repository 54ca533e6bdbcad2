"""Measure embeddings on your own data: similarity, pairs, retrieval, clustering.

Each dataset names the texts to embed and measures their vectors, so any encoder can be compared.

>>> from edge_embed import Embedder
>>> from edge_embed.evaluation import StsSet, compare, embedder_system, table
>>> systems = [embedder_system(Embedder("my-model", variant=v)) for v in ("fp32", "int8")]
>>> print(table(list(compare([StsSet.read("dev.tsv")], systems))))  # doctest: +SKIP
"""

from edge_embed.evaluation.bootstrap import Bootstrap, Estimate
from edge_embed.evaluation.clustering import ClusterSet
from edge_embed.evaluation.compare import Reranker, Result, System, compare
from edge_embed.evaluation.measured import Dataset, Measured
from edge_embed.evaluation.pairs import PairSet
from edge_embed.evaluation.report import as_json, table
from edge_embed.evaluation.retrieval import RetrievalSet
from edge_embed.evaluation.sts import StsSet
from edge_embed.evaluation.systems import embedder_system, reranker, scorer_system

__all__ = [
    "Bootstrap",
    "ClusterSet",
    "Dataset",
    "Estimate",
    "Measured",
    "PairSet",
    "Reranker",
    "Result",
    "RetrievalSet",
    "StsSet",
    "System",
    "as_json",
    "compare",
    "embedder_system",
    "reranker",
    "scorer_system",
    "table",
]
