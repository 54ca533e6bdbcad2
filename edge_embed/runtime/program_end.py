"""Keep daemon threads out of native code while the interpreter shuts down.

A daemon thread continues when the main thread has ended. If it returns from C++ or Rust during the
shutdown, Python ends the thread in a way that aborts the process. So the shutdown waits until each
thread that is computing reaches its next batch, and the thread stops there.
"""

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["computing", "stop_at_shutdown"]

# A batch takes milliseconds, and the largest a second or two.
_SECONDS = 10.0


class _State:
    """How many calls of this process are computing, and whether the interpreter shuts down."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.at_work = 0
        self.ending = False


_state = _State()


@contextmanager
def computing() -> Iterator[None]:
    """Let the interpreter's shutdown wait for the block."""
    stop_at_shutdown(started=False)
    with _state.changed:
        _state.at_work += 1
    try:
        yield
    finally:
        _leave()


def stop_at_shutdown(*, started: bool = True) -> None:
    """Block for ever if this is a daemon thread and the interpreter shuts down.

    ``started`` tells whether the thread is within :func:`computing`.
    """
    if not _state.ending or not threading.current_thread().daemon:
        return
    if started:
        _leave()
    threading.Event().wait()


def _leave() -> None:
    with _state.changed:
        _state.at_work -= 1
        _state.changed.notify_all()


@atexit.register
def _end() -> None:
    with _state.changed:
        _state.ending = True
        _state.changed.wait_for(lambda: _state.at_work <= 0, _SECONDS)


if hasattr(os, "register_at_fork"):  # the parent's threads do not exist in the child
    os.register_at_fork(after_in_child=_state.__init__)  # type: ignore[misc]
