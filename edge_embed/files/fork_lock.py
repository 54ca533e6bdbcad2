"""A lock that a forked process finds free.

A forked process has the memory of its parent but only the thread that forked. A lock that another
thread held at that moment would be held there for ever.
"""

import os
import threading
import weakref
from types import TracebackType

__all__ = ["ForkLock"]


class ForkLock:
    """A lock for ``with``, free in a process that another thread's work was forked into."""

    def __init__(self) -> None:
        """Make it, held by nobody."""
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
        """Be held by nobody, or still by the thread that calls this."""
        if self._owner != threading.get_ident():
            self._lock, self._owner = threading.Lock(), 0


_every: "weakref.WeakSet[ForkLock]" = weakref.WeakSet()


def _renew() -> None:
    for lock in list(_every):
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
