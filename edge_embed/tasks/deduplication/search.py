"""Find all links (pairs above a threshold) of records, as far as memory allows."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_embed.tasks.deduplication.selection import Selection, with_kept
from edge_embed.tasks.neighbours import Links, LinkSearch
from edge_embed.tasks.vectors import Rows

__all__ = ["FoundLinks", "search_links"]


class FoundLinks(NamedTuple):
    """The result of a search."""

    links: Links
    """Pairs above the threshold, rows numbered by rank."""
    complete: bool
    """Whether these are all links; if not, links to removed rows are missing."""
    recall: float
    """The share of a sample's links that was found; 1 for an exact search."""


def search_links(
    rows: Rows,
    ranked: npt.NDArray[np.intp],
    threshold: float,
    *,
    references: int,
    most: int,
    exact: bool | None = None,
    progress: Callable[[int], None] | None = None,
) -> FoundLinks:
    """Find the links of each row to better rows.

    Args:
        rows: The vectors.
        ranked: The rows to compare, references first, then from the best to the worst.
        threshold: The lowest cosine of a link.
        references: How many of them are references, which are not compared with each other.
        most: The most links to hold; beyond that, links to removed rows are dropped.
        exact: Compare every pair; None does so up to 100,000 rows.
        progress: Called during the search with the number of rows searched since the last call.
    """
    search = LinkSearch(rows, ranked, threshold, start=references, exact=exact)
    selection = Selection(len(ranked), references)
    parts: list[Links] = []
    held, complete = 0, True
    for end, links in search:
        if progress is not None:
            progress(end - selection.end)
        selection.add(end, links)
        parts.append(links)
        held += len(links)
        if held > most:
            complete = False
            parts = [with_kept(Links.join(parts), selection.kept)]
            held = 0
        if not complete:
            search.live[: selection.end] = selection.kept[: selection.end]
    return FoundLinks(Links.join(parts), complete, search.recall)
