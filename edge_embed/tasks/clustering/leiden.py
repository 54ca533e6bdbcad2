"""Clustering without a given number of clusters: communities of the nearest-neighbour graph.

Each row is linked with its nearest neighbours. The weight of a link is the Jaccard index of the two
rows' neighbours (PhenoGraph, Levine et al. 2015, https://doi.org/10.1016/j.cell.2015.05.047). The
Leiden method (Traag, Waltman & van Eck 2019, in the library graspologic-native) finds communities
of this graph. Rows that are far from the centre of their cluster are outliers. Memory grows with
the number of rows.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError
from edge_embed.tasks.neighbours import nearest
from edge_embed.tasks.vectors import Floats, Rows, Vectors, unit_rows
from edge_embed.vectors import ROUNDING

__all__ = ["OUTLIER", "Cluster", "Clustering", "cluster"]

OUTLIER = -1
"""The label of a row that belongs to no cluster."""

Labels = npt.NDArray[np.int64]

_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Cluster:
    """Rows of one community of the neighbour graph."""

    number: int
    """Its label; the largest cluster has 0."""
    rows: npt.NDArray[np.intp]
    """Its rows, those nearest to the centre first."""
    centre: Floats
    """The mean direction, float32 (dim,), of unit length."""
    cohesion: float
    """The mean cosine of the rows with the centre."""

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class Clustering:
    """The clusters of some rows."""

    labels: Labels
    """Each row's cluster, or :data:`OUTLIER`: (n,)."""
    scores: Floats
    """Each row's cosine with the nearest cluster's centre: (n,)."""
    clusters: tuple[Cluster, ...]
    """The clusters, by size, the largest first."""
    threshold: float
    """The lowest cosine with the centre of a row in a cluster; rows below are outliers."""
    recall: float = 1.0
    """The share of a sample's true neighbours that was found; 1 for an exact search."""

    def assign(self, vectors: Vectors) -> tuple[Labels, Floats]:
        """Return labels (n,) and scores (n,) of new rows; the clusters do not change.

        Args:
            vectors: Float (n, dim).

        Raises:
            InputError: the vectors have another dimension, or NaN.
        """
        return assign(vectors, centres(self), self.threshold)


def cluster(
    vectors: Vectors,
    *,
    neighbours: int = 10,
    resolution: float = 0.5,
    threshold: float | None = None,
    min_size: int = 5,
    seed: int = 0,
    exact: bool | None = None,
) -> Clustering:
    """Cluster rows by the communities of their nearest-neighbour graph.

    Args:
        vectors: Float (n, dim).
        neighbours: Number of nearest neighbours that each row is linked with.
        resolution: Higher values give more and smaller clusters.
        threshold: Rows whose cosine with the nearest centre is lower are outliers; None chooses it
            so that 2 % of the rows are.
        min_size: The smallest cluster; rows of smaller ones go to other clusters or are outliers.
        seed: The seed of the Leiden method; the same seed gives the same clusters.
        exact: Compare every pair; None does so up to 100,000 rows.

    Raises:
        InputError: vectors have another shape or NaN, or an option has no such value.
    """
    if threshold is not None and not -1 <= threshold <= 1:
        raise InputError(f"the threshold is {threshold}; a cosine is needed")
    if min_size < 1:
        raise InputError(f"min_size is {min_size}; it must be at least 1")
    if not resolution > 0:
        raise InputError(f"resolution is {resolution}; it must be above 0")
    rows = Rows(vectors)
    communities, recall = _communities(rows, neighbours, resolution, seed, exact=exact)
    middle = _centres(rows, communities)
    sizes = np.bincount(communities, minlength=len(middle))
    # A row's final label is its nearest centre, the same rule as for new rows in assign(). Clusters
    # that become too small are removed, and their rows assigned to others.
    while True:
        middle = middle[sizes >= min_size]
        labels, scores = assign(vectors, middle, -1.0)
        limit = threshold
        if limit is None:
            limit = float(np.quantile(scores, _LEFT_OUT)) if len(middle) else 0.0
        labels = np.where(scores >= limit - ROUNDING, labels, OUTLIER)
        sizes = np.bincount(labels[labels >= 0], minlength=len(middle))
        if (sizes >= min_size).all():
            return replace(_clustering(labels, scores, middle, limit), recall=recall)


# The share of rows that become outliers if no threshold is given.
_LEFT_OUT = 0.02


def assign(vectors: Vectors, middle: Floats, threshold: float) -> tuple[Labels, Floats]:
    """Return the nearest centre of each row, or :data:`OUTLIER`, and the cosine with it: (n,) each.

    Args:
        vectors: Float (n, dim).
        middle: Centres of unit length, float32 (clusters, dim).
        threshold: Rows with a lower cosine are outliers.

    Raises:
        InputError: the vectors have another dimension, or NaN.
    """
    rows = Rows(vectors)
    labels = np.full(len(rows), OUTLIER, np.int64)
    scores = np.zeros(len(rows), np.float32)
    if not len(middle):
        return labels, scores
    if rows.dim != middle.shape[1]:
        raise InputError(
            f"vectors of {rows.dim} dimensions do not fit clusters of {middle.shape[1]}: embed "
            "both with the same model"
        )
    for start in range(0, len(rows), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(rows)))
        cosines = rows.take(block) @ middle.T
        best = cosines.argmax(axis=1)
        scores[block] = np.minimum(cosines[np.arange(len(block)), best], np.float32(1))
        labels[block] = np.where(scores[block] >= threshold - ROUNDING, best, OUTLIER)
    return labels, scores


def centres(clustering: Clustering) -> Floats:
    """Return the centres of all clusters, float32 (clusters, dim)."""
    if not clustering.clusters:
        return np.empty((0, 0), np.float32)
    return np.stack([found.centre for found in clustering.clusters])


def _communities(
    rows: Rows, neighbours: int, resolution: float, seed: int, *, exact: bool | None
) -> tuple[Labels, float]:
    """Return a community for each row, numbered from 0, and the recall of the neighbour search."""
    count = len(rows)
    if count < 2:
        return np.zeros(count, np.int64), 1.0
    found = nearest(rows, min(neighbours, count - 1), exact=exact)
    linked = np.where(found.scores > 0, found.rows, -1)  # no link with a cosine of 0 or less
    edges = _edges(linked, _common_neighbours(linked))
    communities = np.arange(count, dtype=np.int64)  # a row without a link is a community of its own
    if edges:
        from graspologic_native import leiden

        _, members = leiden(
            edges=edges,
            starting_communities=None,
            resolution=resolution,
            randomness=0.001,
            iterations=1,
            use_modularity=True,
            seed=seed,
            trials=1,
        )
        for row, community in members.items():
            communities[int(row)] = count + community
    numbered = np.unique(communities, return_inverse=True)[1].astype(np.int64)
    return numbered, found.recall


def _common_neighbours(rows: npt.NDArray[np.int32]) -> Floats:
    """Return, for each row and each of its neighbours, the Jaccard index of their neighbours.

    A row counts among its own neighbours, so that linked rows have something in common.

    Args:
        rows: (n, k), -1 for none.

    Returns:
        (n, k), 0 for none.
    """
    count, width = rows.shape
    known = np.column_stack([np.arange(count, dtype=np.int32), rows])
    sizes = (known >= 0).sum(axis=1)
    shares = np.zeros(rows.shape, np.float32)
    for start in range(0, count, _BLOCK):
        block = slice(start, start + _BLOCK)
        own = known[block, :, None]
        for column in range(width):
            other = rows[block, column]
            common = ((own == known[other, None, :]) & (own >= 0)).sum(axis=(1, 2))
            share = common / (sizes[block] + sizes[other] - common)
            shares[block, column] = np.where(other >= 0, share, 0)
    return shares


def _edges(rows: npt.NDArray[np.int32], weights: Floats) -> list[tuple[str, str, float]]:
    """Return each linked pair once, with its weight, in ascending order."""
    left, column = np.nonzero(weights > 0)
    right = rows[left, column]
    weight = weights[left, column]
    low, high = np.minimum(left, right), np.maximum(left, right)
    _, first = np.unique(low.astype(np.int64) * len(rows) + high, return_index=True)
    return [
        (str(a), str(b), w)
        for a, b, w in zip(
            low[first].tolist(), high[first].tolist(), weight[first].tolist(), strict=True
        )
    ]


def _centres(rows: Rows, labels: Labels) -> Floats:
    """Return the mean direction of each label, float32 (labels, dim)."""
    total = np.zeros((int(labels.max(initial=-1)) + 1, rows.dim), np.float64)
    for start in range(0, len(rows), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(rows)))
        np.add.at(total, labels[block], rows.take(block))
    return unit_rows(total)


def _clustering(labels: Labels, scores: Floats, middle: Floats, threshold: float) -> Clustering:
    """Number the clusters by size, the largest first; equal ones by their first row."""
    sizes = np.bincount(labels[labels >= 0], minlength=len(middle))
    first = np.full(len(middle), len(labels))
    np.minimum.at(first, labels[labels >= 0], np.flatnonzero(labels >= 0))
    order = np.lexsort((first, -sizes))
    numbers = np.full(len(middle) + 1, OUTLIER, np.int64)
    numbers[order] = np.arange(len(order))
    labels = numbers[labels]
    clusters = []
    for number, old in enumerate(order.tolist()):
        members = np.flatnonzero(labels == number)
        by_closeness = np.lexsort((members, -scores[members]))
        cohesion = float(scores[members].mean())
        clusters.append(Cluster(number, members[by_closeness], middle[old], cohesion))
    return Clustering(labels, scores, tuple(clusters), threshold)
