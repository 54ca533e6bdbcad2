"""A lock that is free in a forked process.

A forked process has the memory of its parent, but only the thread that forked. A lock held by
another thread at that moment would never be released there.
"""

import os
import threading
import weakref
from collections.abc import Callable
from functools import cached_property
from types import TracebackType
from typing import Any, TypeVar

__all__ = ["ForkLock", "fork_safe_property"]

_T_co = TypeVar("_T_co", covariant=True)


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

    @property
    def held(self) -> bool:
        """Whether a thread of this process holds it."""
        return self._owner != 0

    def renew(self) -> None:
        """Release the lock unless the calling thread holds it; for a forked process."""
        if self._owner != threading.get_ident():
            self._lock, self._owner = threading.Lock(), 0


class fork_safe_property(cached_property[_T_co]):  # noqa: N801 - a decorator
    """``cached_property``; its lock, which it has before Python 3.12, is free in a forked process.

    It is one lock for all objects of a class.
    """

    def __init__(self, compute: Callable[[Any], _T_co]) -> None:
        """Decorate what computes the value."""
        super().__init__(compute)
        if "lock" in vars(self):
            _properties.append(self)


_properties: "list[fork_safe_property[Any]]" = []
_every: "weakref.WeakSet[ForkLock]" = weakref.WeakSet()


def _renew() -> None:
    for lock in list(_every):
        lock.renew()
    for decorated in _properties:
        vars(decorated)["lock"] = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
