"""Connected components of a graph."""

import numpy as np
import numpy.typing as npt

__all__ = ["connected_components"]

Indices = npt.NDArray[np.intp]


def connected_components(left: Indices, right: Indices, count: int) -> npt.NDArray[np.int64]:
    """Return for each of ``count`` rows the lowest row of its connected component, (count,).

    ``left`` and ``right`` are the rows of the edges. In each round the higher root of every edge is
    linked to the lower one and all paths are shortened (Shiloach & Vishkin 1982), so that a few
    rounds of operations on whole arrays suffice.
    """
    root = np.arange(count, dtype=np.int64)
    while len(left):
        a, b = root[left], root[right]
        apart = a != b
        left, right, a, b = left[apart], right[apart], a[apart], b[apart]
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        while True:
            shorter = root[root]
            if np.array_equal(shorter, root):
                break
            root = shorter
    return root
