"""Keep daemon threads out of native code while Python ends.

Such a thread goes on when the main one has finished. When it comes back from C++ or Rust, Python
ends it in a way that aborts the whole process; so at the end of a program those at work are waited
for until their next batch, and stopped there.
"""

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["computing", "may_go_on"]

# A batch takes milliseconds, and the largest a second or two.
_SECONDS = 10.0


class _State:
    """Of this process: how many calls are at work, and whether the program ends."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.at_work = 0
        self.ending = False


_state = _State()


@contextmanager
def computing() -> Iterator[None]:
    """Run the block as a call that the end of the program waits for."""
    may_go_on(started=False)
    with _state.changed:
        _state.at_work += 1
    try:
        yield
    finally:
        _leave()


def may_go_on(*, started: bool = True) -> None:
    """Stop here for ever if this is a daemon thread and the program ends."""
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


if hasattr(os, "register_at_fork"):  # calls of the parent's threads are none of the child's
    os.register_at_fork(after_in_child=_state.__init__)  # type: ignore[misc]
