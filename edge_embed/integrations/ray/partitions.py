"""Find similar pairs (links) of vectors on a Ray cluster within partitions, as SemDeDup does.

Abbas et al. 2023, https://arxiv.org/abs/2303.09540: spherical k-means, fitted on a sample, divides
the vectors into partitions, and all pairs within a partition are compared.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.embedder import Embedder
from edge_embed.integrations.ray.cluster import cluster_errors
from edge_embed.runtime.text_warnings import TextWarning
from edge_embed.tasks import deduplicate
from edge_embed.tasks.inverted_file import spherical_k_means
from edge_embed.tasks.neighbours import Links
from edge_embed.tasks.vectors import Floats, unit_rows

__all__ = ["ChunkEmbedder", "PartitionedLinks", "partitioned_links"]

Indices = npt.NDArray[np.intp]
Row = dict[str, Any]

# Rows that k-means is fitted on, for each partition.
_FIT_ROWS = 256
# Rows that are compared with all others, to estimate the recall.
_RECALL_ROWS = 1024
# The highest number of blocks that the vectors are grouped into.
_BLOCKS = 1000


class ChunkEmbedder:
    """An actor with a model, for ``Dataset.map``: it turns chunks of texts into vectors."""

    def __init__(self, load: Callable[[], Embedder]) -> None:
        self._model = load()
        self._model.config.require_cosine("deduplication")

    def __call__(self, chunk: Row) -> Row:
        """Embed ``texts``; ``vectors`` are the bytes of float16 (n, dim), rows of unit length."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", TextWarning)
            encoded = self._model.encode_detailed(
                list(chunk["texts"]), prompt=self._model.prompt(), normalize=True
            )
        return {
            "start": chunk["start"],
            "vectors": encoded.vectors.astype(np.float16).tobytes(),
            "dim": encoded.vectors.shape[1],
            "cut": len(encoded.truncated),
            "warnings": "\n".join(str(warning.message) for warning in caught),
        }


@dataclass(frozen=True)
class PartitionedLinks:
    """The result of :func:`partitioned_links`."""

    links: Links
    """Pairs above the threshold, rows numbered by rank."""
    complete: bool
    """Whether these are all links that were found; if not, those to removed rows are missing."""
    recall: float
    """The share of a sample's links that are within partitions and were found, 0 to 1."""
    cut: int
    """How many texts were longer than the model's limit."""
    warnings: str
    """The model's warnings about the first chunk with any, such as of an unknown language."""


def partitioned_links(
    chunks: Any,  # noqa: ANN401
    rank: Indices,
    threshold: float,
    partitions: int,
) -> PartitionedLinks:
    """Find links within partitions; the result does not depend on the order of Ray's tasks.

    Args:
        chunks: A materialized data set with the results of :class:`ChunkEmbedder`.
        rank: The rank of each row, 0 for the one to keep first, int (n,).
        threshold: The lowest cosine of a link.
        partitions: The number of partitions, from 1 to n.

    Raises:
        ClusterError: the cluster cannot finish.
    """
    with cluster_errors():
        rng = np.random.default_rng(0)
        size = min(len(rank), max(_RECALL_ROWS, partitions * _FIT_ROWS))
        sample = np.sort(rng.choice(len(rank), size, replace=False))
        rows = sorted(
            chunks.map(_sampled_vectors, fn_args=(sample,)).iter_rows(),
            key=lambda row: int(row["start"]),
        )
        unit = np.concatenate([_unit(row) for row in rows])
        centres = spherical_k_means(unit, partitions, rng)
        recall = 1.0
        if partitions > 1:
            some = np.sort(rng.choice(size, min(size, _RECALL_ROWS), replace=False))
            checked = chunks.map(
                _count_links, fn_args=(sample[some], unit[some], centres, threshold)
            )
            counts = [(row["links"], row["inside"]) for row in checked.iter_rows()]
            links, inside = np.sum(counts, axis=0)
            recall = float(inside / links) if links else 1.0
        found = sorted(
            chunks.map_batches(_rank_and_partition, fn_args=(rank, centres), batch_size=None)
            .groupby("partition", num_partitions=min(partitions, _BLOCKS))
            .map_groups(_links_within, fn_args=(threshold,), batch_format="numpy")
            .iter_rows(),
            key=lambda row: int(row["partition"]),
        )
    searched = np.average([row["recall"] for row in found], weights=[row["rows"] for row in found])
    return PartitionedLinks(
        Links.join([_links(row) for row in found]),
        all(row["complete"] for row in found),
        recall * float(searched),
        sum(row["cut"] for row in rows),
        next((row["warnings"] for row in rows if row["warnings"]), ""),
    )


def _unit(chunk: Row) -> Floats:
    vectors = np.frombuffer(chunk["vectors"], np.float16).reshape(-1, int(chunk["dim"]))
    return unit_rows(vectors.astype(np.float32))


def _links(row: Row) -> Links:
    return Links(
        np.frombuffer(row["left"], np.int32),
        np.frombuffer(row["right"], np.int32),
        np.frombuffer(row["score"], np.float32),
    )


def _sampled_vectors(chunk: Row, sample: Indices) -> Row:
    """Return a chunk with only the vectors whose rows are in ``sample`` (ascending)."""
    vectors = np.frombuffer(chunk["vectors"], np.float16).reshape(-1, int(chunk["dim"]))
    first, last = np.searchsorted(sample, [chunk["start"], chunk["start"] + len(vectors)])
    inside = sample[first:last] - chunk["start"]
    return chunk | {"vectors": vectors[inside].tobytes()}


def _count_links(
    chunk: Row, sample: Indices, sample_unit: Floats, centres: Floats, threshold: float
) -> Row:
    """Count the links of sampled rows with a chunk, and those of them within a partition."""
    unit = _unit(chunk)
    alike = sample_unit @ unit.T >= np.float32(threshold - 1e-6)  # the tolerance of the search
    own = sample - chunk["start"]
    here = (own >= 0) & (own < len(unit))
    alike[here, own[here]] = False  # no row is its own neighbour
    left, right = np.nonzero(alike)
    inside = _partition(sample_unit, centres)[left] == _partition(unit, centres)[right]
    return {"links": len(left), "inside": int(np.count_nonzero(inside))}


def _rank_and_partition(chunks: Row, rank: Indices, centres: Floats) -> Row:
    """Return a row for each vector of the chunks, with its rank and partition."""
    parts = []
    for start, vectors, dim in zip(chunks["start"], chunks["vectors"], chunks["dim"], strict=True):
        unit = _unit({"vectors": vectors, "dim": dim})
        parts.append(
            {
                "partition": _partition(unit, centres),
                "rank": rank[start : start + len(unit)],
                "vector": np.frombuffer(vectors, np.float16).reshape(unit.shape),
            }
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _links_within(partition: Row, threshold: float) -> Row:
    """Find the links within a partition, as the deduplication on one machine does."""
    best = np.argsort(partition["rank"])
    rank = partition["rank"][best].astype(np.int32)
    result = deduplicate(partition["vector"][best], threshold=threshold)
    return {
        "partition": partition["partition"][:1],
        "rows": [len(rank)],
        "left": [rank[result.links.left].tobytes()],
        "right": [rank[result.links.right].tobytes()],
        "score": [result.links.score.tobytes()],
        "complete": [result.complete],
        "recall": [result.recall],
    }


def _partition(unit: Floats, centres: Floats) -> Indices:
    nearest: Indices = (unit @ centres.T).argmax(axis=1)
    return nearest
