"""Semantic deduplication: which records to keep and to remove, by the cosine of their vectors.

Records are decided from the best to the worst: one is removed if its cosine with a record kept
before is at least ``threshold``, and kept otherwise. So no two kept records are duplicates, and
every removed one is a direct duplicate of its partner, without chains from neighbour to neighbour.
The result depends on the input's order only if "better" means "earlier". This is the greedy maximal
independent set of the similarity graph.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError
from edge_embed.tasks.deduplication.components import connected_components
from edge_embed.tasks.deduplication.search import search_links
from edge_embed.tasks.deduplication.selection import Flags, Selection, with_kept
from edge_embed.tasks.neighbours import Links, check_threshold
from edge_embed.tasks.vectors import Rows, Vectors
from edge_embed.vectors import ROUNDING

__all__ = [
    "MAX_LINKS",
    "DeduplicationResult",
    "Duplicate",
    "deduplicate",
    "from_links",
]

Indices = npt.NDArray[np.intp]

MAX_LINKS = 20_000_000
"""The most links (pairs above the threshold) held in memory, 12 bytes each. Beyond that, links to
removed records are dropped: the same records are removed, but a stricter threshold needs a new
search."""


@dataclass(frozen=True)
class Duplicate:
    """A removed record, and the kept record that it is a duplicate of."""

    row: int
    partner: int
    """The most similar of the better kept records: a row, or a row of ``against``."""
    score: float
    """Their cosine."""
    reference: bool = False
    """Whether ``partner`` is a row of ``against``."""


@dataclass(frozen=True, eq=False)
class DeduplicationResult:
    """The kept and removed records of a deduplication, and the links that decided them."""

    threshold: float
    rows: int
    """Number of records."""
    references: int
    """Number of reference records that they were compared with."""
    kept: Indices
    """The kept rows, ascending."""
    duplicates: tuple[Duplicate, ...]
    """The removed rows, ascending."""
    components: npt.NDArray[np.int64]
    """For each row the lowest row of its connected component in the graph of links: (rows,).

    Independent of the order and of what "better" means. References link no two rows.
    """
    order: Indices
    """Rows from the best to the worst."""
    links: Links
    """Pairs above the threshold, rows numbered by rank: references first, then ``order``."""
    complete: bool
    """Whether ``links`` are all; otherwise :meth:`rethreshold` is refused."""
    recall: float
    """The share of a sample's links that was found; 1 for an exact search."""

    def rethreshold(self, threshold: float) -> "DeduplicationResult":
        """Return the result for a stricter threshold, the same as that of a new run.

        Raises:
            InputError: the threshold is lower than this result's, or not all links were kept.
        """
        check_threshold(threshold)
        if threshold < self.threshold:
            raise InputError(
                f"these links begin at {self.threshold:g}: {threshold:g} needs a new run"
            )
        self._need_links()
        return self._again(self.links.select(_strong(self.links, threshold)), threshold)

    def name_references(self, rows: Indices) -> "DeduplicationResult":
        """Return the result with reference ``i`` renumbered to ``rows[i]``."""
        named = tuple(
            replace(pair, partner=int(rows[pair.partner])) if pair.reference else pair
            for pair in self.duplicates
        )
        return replace(self, duplicates=named)

    def shrink(self, size: int) -> "DeduplicationResult":
        """Return a result that keeps ``size`` records, removing the most similar ones.

        If this result keeps fewer, removed records with the lowest scores are kept again.

        Raises:
            InputError: more than ``size`` records are left, or not all links were kept.
        """
        if size < 1:
            raise InputError(f"the target size is {size}; it must be at least 1")
        if len(self.kept) > size:
            raise InputError(
                f"{len(self.kept)} records remain at the threshold {self.threshold:g}, more than "
                f"the {size} asked for: lower the threshold"
            )
        if len(self.kept) == min(size, self.rows):
            return self
        self._need_links()
        result = self._closest(size)
        back = sorted(result.duplicates, key=lambda pair: (pair.score, pair.row))
        back = back[: min(size, self.rows) - len(result.kept)]
        rows = {pair.row for pair in back}
        return replace(
            result,
            kept=np.sort(np.concatenate([result.kept, np.array(sorted(rows), np.intp)])),
            duplicates=tuple(pair for pair in result.duplicates if pair.row not in rows),
        )

    def linked_rows(self) -> tuple[Indices, Indices]:
        """Return the rows that have links, and the reference records that have, both ascending."""
        ranks = np.unique(np.concatenate([self.links.left, self.links.right]))
        known = ranks < self.references
        return np.sort(self.order[ranks[~known] - self.references]), ranks[known]

    def confirm(
        self, agree: Callable[[list[Duplicate]], Flags]
    ) -> tuple["DeduplicationResult", tuple[Duplicate, ...]]:
        """Keep the records that ``agree`` does not confirm; return the result and refused pairs.

        The link of a refused pair is ignored. The record may then be a duplicate of another kept
        record, and ``agree`` is asked about that pair too.

        Args:
            agree: Called with duplicates; returns which are confirmed, bool (duplicates,).

        Raises:
            InputError: not all links were kept.
        """
        self._need_links()
        result, refused = self, list[Duplicate]()
        known: set[Duplicate] = set()
        while asked := [pair for pair in result.duplicates if pair not in known]:
            stands = agree(asked)
            known |= {pair for pair, good in zip(asked, stands, strict=True) if good}
            wrong = [pair for pair, good in zip(asked, stands, strict=True) if not good]
            if not wrong:
                break
            refused += wrong
            result = result._again(
                result.links.select(~self._linked(wrong, result.links)), result.threshold
            )
        return result, tuple(refused)

    def _linked(self, pairs: list[Duplicate], links: Links) -> Flags:
        """Return which links are those of ``pairs``, bool (links,)."""
        rank = np.empty(self.rows, np.int64)
        rank[self.order] = self.references + np.arange(self.rows)
        ends = {
            frozenset((int(rank[p.row]), p.partner if p.reference else int(rank[p.partner])))
            for p in pairs
        }
        found = (
            frozenset(ends_of) in ends
            for ends_of in zip(links.left.tolist(), links.right.tolist(), strict=True)
        )
        return np.fromiter(found, np.bool_, len(links))

    def _closest(self, size: int) -> "DeduplicationResult":
        """Return the strictest result that keeps at most ``size`` records."""
        levels = np.unique(self.links.score)
        low, high = 0, len(levels) - 1  # levels[0] gives the current result
        best = self
        while low <= high:
            middle = (low + high) // 2
            level = float(levels[middle])
            result = self._again(self.links.select(self.links.score >= levels[middle]), level)
            if len(result.kept) <= size:
                best, low = result, middle + 1
            else:
                high = middle - 1
        return best

    def _again(self, links: Links, threshold: float) -> "DeduplicationResult":
        return from_links(
            links,
            self.order,
            threshold=threshold,
            references=self.references,
            recall=self.recall,
        )

    def _need_links(self) -> None:
        if not self.complete:
            raise InputError(
                "so many records are alike that not all of their links were kept: run again with "
                "the stricter threshold instead"
            )


def deduplicate(
    vectors: Vectors,
    *,
    threshold: float = 0.9,
    order: Indices | None = None,
    against: Vectors | None = None,
    exact: bool | None = None,
    progress: Callable[[int], None] | None = None,
) -> DeduplicationResult:
    """Find semantic duplicates.

    Args:
        vectors: Float (n, dim), not necessarily normalized; a memory map is read block by block.
        threshold: The lowest cosine of duplicates.
        order: Rows from the best to the worst, a permutation; None is the order of the rows, so
            that the first is kept. See :func:`edge_embed.tasks.keep_order`.
        against: Reference vectors, float (m, dim); rows that are duplicates of these are removed.
        exact: Compare every pair; None does so up to 100,000 rows, and searches an inverted file
            beyond, which finds at least 0.995 of a sample's true links.
        progress: Called during the search with the number of rows searched since the last call.

    Raises:
        InputError: vectors have another shape or NaN, ``order`` is no permutation, or the
            threshold is no cosine.
    """
    references = np.empty((0, np.shape(vectors)[-1]), np.float32) if against is None else against
    rows = Rows(references, vectors)
    count, known = len(vectors), len(references)
    order = _checked_order(order, count)
    found = search_links(
        rows,
        np.concatenate([np.arange(known), known + order]),
        threshold,
        references=known,
        most=MAX_LINKS,
        exact=exact,
        progress=progress,
    )
    return from_links(
        found.links,
        order,
        threshold=threshold,
        references=known,
        complete=found.complete,
        recall=found.recall,
    )


def from_links(
    links: Links,
    order: Indices,
    *,
    threshold: float,
    references: int = 0,
    complete: bool = True,
    recall: float = 1.0,
) -> DeduplicationResult:
    """Return the deduplication that follows from links.

    Args:
        links: Rows numbered by rank, references first; links to a removed record may be missing.
        order: Rows from the best to the worst, a permutation.
        threshold: The lowest cosine of a link.
        references: How many reference records there are.
        complete: Whether no link is missing.
        recall: The recall of the search for links.
    """
    total = references + len(order)
    selection = Selection(total, references)
    selection.add(total, links)
    if len(links) > MAX_LINKS:
        complete, links = False, with_kept(links, selection.kept)
    return _result(
        selection,
        order,
        threshold=threshold,
        rows=len(order),
        links=links,
        complete=complete,
        recall=recall,
    )


def _result(
    selection: Selection,
    order: Indices,
    *,
    threshold: float,
    rows: int,
    links: Links,
    complete: bool,
    recall: float,
) -> DeduplicationResult:
    known = selection.references
    kept = selection.kept[known:]
    removed = np.flatnonzero(~kept)
    duplicates = []
    for rank in removed[np.argsort(order[removed])].tolist():
        partner = int(selection.partner[known + rank])
        duplicates.append(
            Duplicate(
                int(order[rank]),
                partner if partner < known else int(order[partner - known]),
                float(selection.score[known + rank]),
                partner < known,
            )
        )
    own = links.select(links.right >= known)
    return DeduplicationResult(
        threshold=threshold,
        rows=rows,
        references=known,
        kept=np.sort(order[np.flatnonzero(kept)]),
        duplicates=tuple(duplicates),
        components=connected_components(order[own.left - known], order[own.right - known], rows),
        order=order,
        links=links,
        complete=complete,
        recall=recall,
    )


def _strong(links: Links, threshold: float) -> Flags:
    # With the same tolerance for rounding as the search.
    strong: Flags = links.score >= np.float32(threshold - ROUNDING)
    return strong


def _checked_order(order: Indices | None, count: int) -> Indices:
    if order is None:
        return np.arange(count)
    order = np.asarray(order, np.intp)
    if order.shape != (count,) or not np.array_equal(np.sort(order), np.arange(count)):
        raise InputError(f"order should name each of the {count} rows once")
    return order
