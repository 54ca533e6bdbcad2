"""Semantic deduplication: which records to keep, which to remove, because of which.

The rule, going from the best record to the worst: a record is removed if a record that was kept
before it is at least ``threshold`` similar to it, and kept otherwise. So no two kept records are
duplicates, every removed one is a direct duplicate of its partner (no chains from neighbour to
neighbour), and the input's order matters only where "better" means "earlier". This is the greedy
maximal independent set of the similarity graph.
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
"""Links kept in memory (12 bytes each). Beyond, links to removed records are dropped: the same
records are removed, but a stricter threshold then needs a new search."""


@dataclass(frozen=True)
class Duplicate:
    """A removed record and why."""

    row: int
    partner: int
    """Of the kept records better than it the most similar: a row, or one of ``against``."""
    score: float
    """Their cosine."""
    reference: bool = False
    """Whether ``partner`` is a row of ``against``."""


@dataclass(frozen=True, eq=False)
class DeduplicationResult:
    """What deduplication kept and removed, and the links that it rests on."""

    threshold: float
    rows: int
    """How many records there were."""
    references: int
    """How many reference records they were compared with."""
    kept: Indices
    """Rows that stay, ascending."""
    duplicates: tuple[Duplicate, ...]
    """Rows that go, ascending."""
    components: npt.NDArray[np.int64]
    """For each row the lowest row of its connected component in the graph of links: (rows,).

    Independent of the order and of what "better" means. References link no two rows.
    """
    order: Indices
    """Rows from the best to the worst."""
    links: Links
    """Pairs above the threshold, rows numbered by rank: references first, then ``order``."""
    complete: bool
    """Whether ``links`` are all; if not, :meth:`rethreshold` is refused."""
    recall: float
    """The share of links that a sample found; 1 where every pair was compared."""

    def rethreshold(self, threshold: float) -> "DeduplicationResult":
        """Return the result for a stricter threshold, the same as a new run's.

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
        """Return the result with reference ``i`` called ``rows[i]``, where only some were given."""
        named = tuple(
            replace(pair, partner=int(rows[pair.partner])) if pair.reference else pair
            for pair in self.duplicates
        )
        return replace(self, duplicates=named)

    def shrink(self, size: int) -> "DeduplicationResult":
        """Remove only as many records as leave ``size``, the most alike first.

        Where fewer are kept already, those with the lowest scores come back; where nothing above
        this result's threshold can be removed any more, that is an error.

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

    def confirm(
        self, agree: Callable[[list[Duplicate]], Flags]
    ) -> tuple["DeduplicationResult", tuple[Duplicate, ...]]:
        """Keep what ``agree`` says is no duplicate; return the result and what was refused.

        A refused link counts as none, so a record may then go for another kept one, which is asked
        about in turn.

        Args:
            agree: From removals to whether each stands, bool (removals,).

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
        """Say which links are those of ``pairs``, (links,)."""
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
        low, high = 0, len(levels) - 1  # at levels[0] everything is as it is now
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
        vectors: Float (n, dim), of any length; a memory map is read block by block.
        threshold: The lowest cosine of duplicates.
        order: Rows from the best to the worst, a permutation; None is the order that they have,
            so that the first is kept. :func:`edge_embed.tasks.keep_order` makes others.
        against: Reference vectors (m, dim): they stay, and rows like them go.
        exact: Compare every pair; None does so up to 100,000 rows, and beyond searches an
            inverted file, with at least 0.995 of a sample's true links.
        progress: Called with the number of rows searched, as they are.

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
    """Return the result that links lead to, wherever they were found.

    Args:
        links: Numbered by rank, references first; those to a removed record may be missing.
        order: Rows from the best to the worst, a permutation.
        threshold: The lowest cosine that was looked for.
        references: How many reference records there are.
        complete: Whether the links are all that were found.
        recall: The share of all links that was found.
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
    # As the search itself, which lets rounding pass.
    strong: Flags = links.score >= np.float32(threshold - ROUNDING)
    return strong


def _checked_order(order: Indices | None, count: int) -> Indices:
    if order is None:
        return np.arange(count)
    order = np.asarray(order, np.intp)
    if order.shape != (count,) or not np.array_equal(np.sort(order), np.arange(count)):
        raise InputError(f"order should name each of the {count} rows once")
    return order
