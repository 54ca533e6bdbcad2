"""A lock that is free in a forked process.

A forked process has the memory of its parent, but only the thread that forked. A lock held by
another thread at that moment would never be released there.
"""

import os
import threading
import weakref
from types import TracebackType

__all__ = ["ForkLock"]


class ForkLock:
    """A lock for ``with``; a forked process releases it if another thread of its parent held it."""

    def __init__(self) -> None:
        """Create the lock, not held."""
        self._lock, self._owner = threading.Lock(), 0
        _every.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()
        self._owner = threading.get_ident()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._owner = 0
        self._lock.release()

    def renew(self) -> None:
        """Release the lock unless the calling thread holds it; for a forked process."""
        if self._owner != threading.get_ident():
            self._lock, self._owner = threading.Lock(), 0


_every: "weakref.WeakSet[ForkLock]" = weakref.WeakSet()


def _renew() -> None:
    for lock in list(_every):
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
