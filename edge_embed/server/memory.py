"""Return freed memory to the system: after large requests, and after models are unloaded."""

import asyncio
import ctypes
import sys
from contextlib import suppress

__all__ = ["MemoryReturn", "return_memory"]

# Of a request and its answer together, in bytes.
_LARGE = 1 << 20
_SECONDS = 2.0


def return_memory() -> None:
    """Return what the allocator keeps of freed memory; does nothing but with glibc."""
    if sys.platform == "linux":  # musl has no malloc_trim
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


class MemoryReturn:
    """Returns memory soon after large requests, once for all of the next two seconds."""

    def __init__(self) -> None:
        self._waiting = False

    def after(self, size: int) -> None:
        """Note that a request ends that took ``size`` bytes with its answer."""
        if size >= _LARGE and not self._waiting:
            self._waiting = True
            asyncio.get_running_loop().call_later(_SECONDS, self._start)

    def _start(self) -> None:
        self._waiting = False
        asyncio.get_running_loop().run_in_executor(None, return_memory)
