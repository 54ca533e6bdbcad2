"""The greedy selection of the records to keep, from the best to the worst."""

import numpy as np
import numpy.typing as npt

from edge_embed.tasks.neighbours import Links

__all__ = ["Flags", "Selection", "with_kept"]

Flags = npt.NDArray[np.bool_]


class Selection:
    """The greedy selection; links are added in blocks, by rank.

    Attributes:
        kept: Which rows are kept, bool (total,).
        partner: For each removed row the kept row that it duplicates, int64 (total,); -1 for kept.
        score: The cosine of a removed row with its partner, float32 (total,).
        references: Number of reference rows, which come first and are always kept.
        end: Rows before this rank are decided.
    """

    def __init__(self, total: int, references: int) -> None:
        self.kept: Flags = np.zeros(total, np.bool_)
        self.kept[:references] = True
        self.partner = np.full(total, -1, np.int64)
        self.score = np.zeros(total, np.float32)
        self.references = references
        self.end = references

    def add(self, end: int, links: Links) -> None:
        """Decide the rows from :attr:`end` up to ``end``, given all their links to better rows."""
        start, self.end = self.end, end
        self.kept[start:end] = True
        if not len(links):
            return
        # Best partner first: by row, then by falling score, then by rank.
        sort = np.lexsort((links.right, -links.score, links.left))
        left, right, score = links.left[sort], links.right[sort], links.score[sort]
        firsts = np.flatnonzero(np.diff(left, prepend=-1))
        bounds = np.append(firsts, len(left))
        for number, first in enumerate(firsts.tolist()):
            last = int(bounds[number + 1])
            candidates = np.flatnonzero(self.kept[right[first:last]])
            if len(candidates):
                best = first + int(candidates[0])
                row = int(left[first])
                self.kept[row] = False
                self.partner[row], self.score[row] = right[best], score[best]


def with_kept(links: Links, kept: Flags) -> Links:
    """Return the links whose better row is kept."""
    return links.select(kept[links.right])
