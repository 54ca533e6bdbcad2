"""Keep threads out of native code while the interpreter shuts down or forks.

A daemon thread continues when the main thread has ended. If it returns from C++ or Rust during the
shutdown, Python ends the thread in a way that aborts the process. So the shutdown waits until each
thread that is computing reaches its next batch, and the thread stops there.

A forked process gets the locks of the native libraries in the state of that moment, but not the
threads that hold them. So a fork waits until no thread computes a batch or compiles a model.
"""

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["computing", "fork_pending", "stop_at_shutdown", "yield_to_fork"]

# A batch takes milliseconds, and the largest a second or two. A model may take longer to compile.
_SECONDS = 10.0


class _State:
    """How many calls of this process are computing, and whether it shuts down or forks."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.at_work = 0
        self.ending = False
        self.forking = 0
        self.mine = threading.local()
        """Per thread: ``depth``, how many of these blocks it is within."""


_state = _State()


@contextmanager
def computing() -> Iterator[None]:
    """Let the interpreter's shutdown, and a fork by another thread, wait for the block."""
    depth = getattr(_state.mine, "depth", 0)
    stop_at_shutdown(started=depth > 0)
    if not depth:
        _enter()
    _state.mine.depth = depth + 1
    try:
        yield
    finally:
        _state.mine.depth = depth
        if not depth:
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


def fork_pending() -> bool:
    """Whether a thread waits to fork: collect what is computing and call :func:`yield_to_fork`."""
    return _state.forking > 0


def yield_to_fork() -> None:
    """Wait, within :func:`computing` and with no request in flight, until the fork is done."""
    _leave()
    _enter()


def _enter() -> None:
    with _state.changed:
        _state.changed.wait_for(lambda: not _state.forking, 2 * _SECONDS)
        _state.at_work += 1


def _leave() -> None:
    with _state.changed:
        _state.at_work -= 1
        _state.changed.notify_all()


@atexit.register
def _end() -> None:
    with _state.changed:
        _state.ending = True
        _state.changed.wait_for(lambda: _state.at_work <= 0, _SECONDS)


def _before_fork() -> None:
    own = 1 if getattr(_state.mine, "depth", 0) else 0
    with _state.changed:
        _state.forking += 1
        _state.changed.wait_for(lambda: _state.at_work <= own, _SECONDS)


def _forked() -> None:
    with _state.changed:
        _state.forking -= 1
        _state.changed.notify_all()


if hasattr(os, "register_at_fork"):  # the parent's calls do not run in the child
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_forked,
        after_in_child=_state.__init__,  # type: ignore[misc]
    )
