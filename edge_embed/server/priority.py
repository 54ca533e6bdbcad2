"""Threads that compute stand behind those that read and answer."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["behind_answers"]

_T = TypeVar("_T")

# How far computing stands behind answering; see setpriority(2).
_NICE = 5


def behind_answers(load: Callable[[], _T]) -> _T:
    """Call ``load`` where threads that it starts give way to those that read and answer.

    Inference keeps every processor busy. At equal priority a request that could be refused or
    written at once would wait for its turn behind it, and the whole queue with it. Threads inherit
    the priority of the one that starts them. The batcher's are not among these: one that holds the
    interpreter's lock must not be held up.
    """
    with ThreadPoolExecutor(1, initializer=_lower_priority) as loader:
        return loader.submit(load).result()


def _lower_priority() -> None:
    if sys.platform == "linux":  # elsewhere a priority is a process's
        os.setpriority(os.PRIO_PROCESS, 0, min(19, os.getpriority(os.PRIO_PROCESS, 0) + _NICE))
