"""Values that belong to one process, and are made again in a forked one.

A forked process has its parent's memory but not its threads, so a compiled model of the parent
would wait for ever for threads that do not exist. multiprocessing forks by default on Linux before
Python 3.14, and so do gunicorn --preload and Celery.
"""

import ctypes
import os
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from edge_embed.files.fork_lock import ForkLock

__all__ = ["PerProcess"]

_T = TypeVar("_T")


class PerProcess(Generic[_T]):
    """A value that each process makes for itself; safe to share between threads."""

    def __init__(self, make: Callable[[], _T]) -> None:
        """Make the value of this process with ``make``."""
        self._make = make
        self._lock = ForkLock()
        self._ours = True
        self._value = make()
        _every.add(self)

    def get(self) -> _T:
        """Return this process's value; after a fork it is made at the first call."""
        if not self._ours:
            with self._lock:
                if not self._ours:
                    self._value = self._make()
                    self._ours = True
        return self._value

    def forked(self) -> None:
        """Make the next :meth:`get` create a value of this process.

        The parent's value is kept until the process ends, as its destructor would wait for threads
        that do not exist.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._value))
        self._ours = False


_every: "weakref.WeakSet[PerProcess[Any]]" = weakref.WeakSet()


def _forked() -> None:
    for value in list(_every):
        value.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
