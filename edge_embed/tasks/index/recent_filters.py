"""Remembers which entries match recent filters, until the store changes.

A filter reads the metadata of every entry, which takes a second for a million; searches often
come with the same few filters, such as one a customer.
"""

from collections.abc import Callable, Hashable

import numpy as np
import numpy.typing as npt

__all__ = ["RecentFilters"]

Numbers = npt.NDArray[np.int64]

_MOST_FILTERS = 64
_MOST_NUMBERS = 1 << 21  # 16 MiB


class RecentFilters:
    """The numbers of entries by filter; safe to share between threads."""

    def __init__(self) -> None:
        self._kept: tuple[Hashable, dict[Hashable, Numbers]] = (None, {})

    def numbers(
        self, version: Hashable, condition: Hashable, read: Callable[[], Numbers]
    ) -> Numbers:
        """Return the numbers that match, not writable.

        Args:
            version: The store's version, read before this call.
            condition: The filter.
            read: Reads the numbers from the store.
        """
        known_version, known = self._kept
        if known_version == version and (found := known.get(condition)) is not None:
            return found
        found = read()
        found.setflags(write=False)
        # Replaced as a whole, so that other threads see either the old ones or these.
        others = known if known_version == version else {}
        kept, size = {condition: found}, len(found)
        for other, numbers in others.items():
            if len(kept) < _MOST_FILTERS and size + len(numbers) <= _MOST_NUMBERS:
                kept[other] = numbers
                size += len(numbers)
        if len(found) <= _MOST_NUMBERS:
            self._kept = version, kept
        return found
