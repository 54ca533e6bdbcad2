"""What lives in one process only: made anew in a process that was forked from its owner.

A forked process has the memory of its parent but none of its threads, so whatever the engine left
there waits for ever for threads that do not exist. multiprocessing's default on Linux forks, and so
do gunicorn --preload and Celery.
"""

import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["PerProcess"]

_T = TypeVar("_T")


class PerProcess(Generic[_T]):
    """A value that each process makes for itself; safe to share between threads."""

    def __init__(self, make: Callable[[], _T]) -> None:
        """Make the value of this process."""
        self._make = make
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._value = make()
        _every.add(self)

    def get(self) -> _T:
        """Return this process's value; made now, where another process made the last one."""
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    # Its destructor would wait for the parent's threads.
                    ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._value))
                    self._value = self._make()
                    self._process = os.getpid()
        return self._value

    def forked(self) -> None:
        """Take a lock that nobody holds: a thread of the parent may have held the other one."""
        self._lock = threading.Lock()


_every: "weakref.WeakSet[PerProcess[Any]]" = weakref.WeakSet()


def _forked() -> None:
    for value in list(_every):
        value.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
