"""Give threads that compute a lower priority than threads that read requests and answer."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["behind_answers"]

_T = TypeVar("_T")

# By how much the nice value of computing threads is higher; see setpriority(2).
_NICE = 5


def behind_answers(load: Callable[[], _T]) -> _T:
    """Call ``load`` in a thread of lower priority, which the threads that it starts inherit.

    Inference keeps every processor busy. At equal priority, a request that could be refused or
    answered at once would wait for a processor, and all requests behind it too. The threads of the
    batcher keep the normal priority, as they hold the interpreter's lock.
    """
    with ThreadPoolExecutor(1, initializer=_lower_priority) as loader:
        return loader.submit(load).result()


def _lower_priority() -> None:
    if sys.platform == "linux":  # elsewhere the priority is that of the whole process
        os.setpriority(os.PRIO_PROCESS, 0, min(19, os.getpriority(os.PRIO_PROCESS, 0) + _NICE))
