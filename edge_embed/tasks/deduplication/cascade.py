"""Cascaded deduplication: find candidates with cheap vectors, and embed only those with the model.

Duplicates by a good model's vectors nearly always have a near neighbour by cheap vectors too
(static ones take a thousandth of the time), at some lower cosine. That cosine is measured: a random
sample of the records is embedded with the model, its links (pairs above the threshold) are computed
exactly, and the cosine is set so that for :data:`WANTED` of them both records are candidates. The
model then embeds only the candidates, and its cosines decide.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_embed.tasks.deduplication.search import search_links
from edge_embed.tasks.deduplication.selection import Flags
from edge_embed.tasks.deduplication.semantic import MAX_LINKS, DeduplicationResult, from_links
from edge_embed.tasks.nearest_cosine import cosines_to_all, nearest_cosines
from edge_embed.tasks.neighbours import EXACT_ROWS, Links
from edge_embed.tasks.vectors import Floats, Rows, Vectors

__all__ = ["WANTED", "Candidates", "deduplicate_candidates", "find_candidates", "sample_rows"]

Indices = npt.NDArray[np.intp]

WANTED = 0.995
"""The share of a sample's links whose records must both be candidates."""

# The share that the threshold is set for on the sample, as it may be lower on other records.
_AIM = 0.9975
# Rows of a sample, in square roots of the number of records: then the expected number of links in
# the sample does not depend on the number of records.
_SAMPLE = 64
_LEAST_SAMPLE = 2048
# If a sample has fewer links than this, its strongest pairs down to a margin below the threshold
# count too. Weaker pairs are harder to find, so that recall is underestimated rather than
# overestimated.
_ENOUGH = 400
_MARGIN = 0.1
# With fewer links than this, a recall of 0.995 cannot be measured.
_LEAST_LINKS = 100
# If candidates are a larger share of the records, all records are embedded.
_MOST_CANDIDATES = 0.75
# Links of a sample that are compared with all records, to set the probes of the inverted file.
_PROBED = 512
# The most links of a sample that are held.
_SAMPLE_LINKS = 4_000_000


@dataclass(frozen=True, eq=False)
class Candidates:
    """The records that the model must embed, and the figures of that choice."""

    chosen: Flags
    """Which records are candidates, (rows,)."""
    threshold: float | None
    """Records with a neighbour above this cosine of cheap vectors are candidates; None if all
    are."""
    links: int
    """Number of the sample's links."""
    recall: float
    """The share of them whose records are both candidates."""
    why_all: str = ""
    """Why all records are candidates; "" if they are not."""

    @classmethod
    def all_of(cls, rows: int, links: int, why: str) -> "Candidates":
        """Make all records candidates, for the reason ``why``."""
        return cls(np.ones(rows, np.bool_), None, links, 1.0, why)


def sample_rows(rows: int, *, seed: int = 0) -> Indices:
    """Return the rows of the sample to embed first, ascending, of ``rows`` in all."""
    size = min(rows, max(_LEAST_SAMPLE, int(_SAMPLE * np.sqrt(rows))))
    return np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))


def find_candidates(
    cheap: Rows, sample: Indices, vectors: Rows, threshold: float, *, references: int = 0
) -> Candidates:
    """Find the records that may have a duplicate by the model's vectors.

    Args:
        cheap: The cheap vectors of all records, references first.
        sample: The rows of the sample, ascending (:func:`sample_rows`).
        vectors: The model's vectors of the sample.
        threshold: The lowest cosine of a link, by the model's vectors.
        references: How many of the rows are references, which are not compared with each other.
    """
    count = len(cheap)
    links = _counted_links(vectors, sample, threshold, references)
    if len(links) < _LEAST_LINKS:
        why = f"a sample of {len(sample)} texts has only {len(links)} links to measure it by"
        return Candidates.all_of(count, len(links), why)
    left, right = sample[links.left], sample[links.right]
    probe_at = None
    if count > EXACT_ROWS:
        some = np.random.default_rng(0).permutation(len(links))[:_PROBED]
        ends = np.unique(np.concatenate([left[some], right[some]]))
        near = np.zeros(count, np.float32)
        near[ends] = cosines_to_all(cheap, ends, start=references)
        probe_at = _quantile(np.minimum(near[left[some]], near[right[some]]))
    near = nearest_cosines(cheap, start=references, probe_at=probe_at)
    # A text whose cheap vector is zero has no neighbour by it, but may have duplicates.
    near[_zero_rows(cheap)] = 1
    found = np.minimum(near[left], near[right])
    limit = _quantile(found)
    chosen = near >= limit
    share = np.count_nonzero(chosen) / count
    if share > _MOST_CANDIDATES:
        why = f"{share:.0%} of the texts would have to be"
        return Candidates.all_of(count, len(links), why)
    return Candidates(chosen, float(limit), len(links), float(np.mean(found >= limit)))


def deduplicate_candidates(
    vectors: Vectors,
    rows: Indices,
    order: Indices,
    *,
    threshold: float,
    references: int,
    recall: float,
    progress: Callable[[int], None] | None = None,
) -> DeduplicationResult:
    """Find semantic duplicates, given vectors of the candidates only.

    Args:
        vectors: The candidates' vectors, float (m, dim).
        rows: The row of each vector, references numbered first, (m,), without repeats.
        order: All rows but the references from the best to the worst, as for :func:`deduplicate`.
        threshold: The lowest cosine of duplicates.
        references: How many reference records there are.
        recall: The recall of the candidates (:attr:`Candidates.recall`).
        progress: Called during the search with the number of vectors searched since the last call.
    """
    rank = np.arange(references + len(order))
    rank[references + order] = references + np.arange(len(order))
    ranked = np.argsort(rank[rows])
    found = search_links(
        Rows(vectors),
        ranked,
        threshold,
        references=int(np.count_nonzero(rows < references)),
        most=MAX_LINKS,
        progress=progress,
    )
    ranks = rank[rows[ranked]].astype(np.int32)
    links = Links(ranks[found.links.left], ranks[found.links.right], found.links.score)
    return from_links(
        links,
        order,
        threshold=threshold,
        references=references,
        complete=found.complete,
        recall=recall * found.recall,
    )


def _counted_links(vectors: Rows, sample: Indices, threshold: float, references: int) -> Links:
    """Return the sample's links; if there are few, also its strongest pairs below the threshold."""
    known = int(np.searchsorted(sample, references))
    ranked = np.arange(len(sample))
    found = search_links(
        vectors,
        ranked,
        max(threshold - _MARGIN, 0.01),
        references=known,
        most=_SAMPLE_LINKS,
        exact=True,
    ).links
    enough = max(_ENOUGH, int(np.count_nonzero(found.score >= np.float32(threshold - 1e-6))))
    return found.select(np.argsort(-found.score, kind="stable")[:enough])


def _quantile(found: Floats) -> float:
    return float(np.quantile(found, 1 - _AIM, method="lower"))


def _zero_rows(cheap: Rows) -> Indices:
    size = 8192
    parts = [
        start + np.flatnonzero(~cheap.take(np.arange(start, min(start + size, len(cheap)))).any(1))
        for start in range(0, len(cheap), size)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.intp)
