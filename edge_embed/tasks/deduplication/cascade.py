"""Which records need a model at all: those that cheap vectors bring near another one.

Near-duplicates by a good model are nearly always near by a cheap one too (static vectors, a
thousandth of the work), at some lower cosine. That cosine is not guessed: the links of a random
sample of the records are computed exactly with the model, and it is set so that
:data:`WANTED` of them have both ends among the candidates. The model then reads the candidates
alone, and its cosines decide.
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

# What the threshold aims at, as another sample would have shown a little less.
_AIM = 0.9975
# Rows of a sample, for each square root of the number of records: so large a part of them has the
# same number of links, whatever that is.
_SAMPLE = 64
_LEAST_SAMPLE = 2048
# Where a sample has fewer links above the threshold than this, the strongest of those up to a
# margin below it count too: weaker links are harder to find, so the estimate is on the safe side.
_ENOUGH = 400
_MARGIN = 0.1
# With fewer links even so, nothing can be said about one in 200.
_LEAST_LINKS = 100
# Past this share the model might as well read all.
_MOST_CANDIDATES = 0.75
# Links of a sample that are compared with all records to learn where to probe for neighbours.
_PROBED = 512
# Links of a sample that are held; of a larger number the rest is not needed.
_SAMPLE_LINKS = 4_000_000


@dataclass(frozen=True, eq=False)
class Candidates:
    """The records that a model must read, and what the choice rests on."""

    chosen: Flags
    """(rows,)."""
    threshold: float | None
    """The cosine of cheap vectors at which a record has a neighbour; None where all are chosen."""
    links: int
    """Links of the sample that were counted."""
    recall: float
    """The share of those whose records are both chosen."""
    why_all: str = ""
    """Why all records are chosen; empty where they are not."""

    @classmethod
    def all_of(cls, rows: int, links: int, why: str) -> "Candidates":
        """Choose every record."""
        return cls(np.ones(rows, np.bool_), None, links, 1.0, why)


def sample_rows(rows: int, *, seed: int = 0) -> Indices:
    """Return the rows that a model must read first, ascending."""
    size = min(rows, max(_LEAST_SAMPLE, int(_SAMPLE * np.sqrt(rows))))
    return np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))


def find_candidates(
    cheap: Rows, sample: Indices, vectors: Rows, threshold: float, *, references: int = 0
) -> Candidates:
    """Find the records that may have a link of a model's vectors.

    Args:
        cheap: The cheap vectors of all records, references first.
        sample: Some of the rows, ascending (:func:`sample_rows`).
        vectors: The model's vectors of those.
        threshold: The lowest cosine of a link, by the model.
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
    # A text of which the cheap vectors know nothing has no neighbours, and may have duplicates.
    near[_unknown(cheap)] = 1
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
    """Find semantic duplicates among records of which only some can have any.

    Args:
        vectors: Of those, float (m, dim).
        rows: Which row each vector is of, references numbered first, (m,), without repeats.
        order: All rows but the references from the best to the worst, as for :func:`deduplicate`.
        threshold: The lowest cosine of duplicates.
        references: How many reference records there are.
        recall: The share of a sample's links whose rows are among those.
        progress: Called with the number of vectors searched, as they are.
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
    """Return the sample's links, and the strongest below the threshold where those are few."""
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


def _unknown(cheap: Rows) -> Indices:
    size = 8192
    parts = [
        start + np.flatnonzero(~cheap.take(np.arange(start, min(start + size, len(cheap)))).any(1))
        for start in range(0, len(cheap), size)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.intp)
