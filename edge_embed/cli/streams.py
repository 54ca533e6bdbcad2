"""Standard input, output and error as a program may find them: absent, closed, full, not UTF-8.

A daemon that has closed them, pythonw and windowed programs start without; Python then has None in
their place, and the next file that is opened would take their number.
"""

import os
import sys
from contextlib import suppress

__all__ = ["flush_output", "settle_streams", "stream_error"]


def settle_streams() -> None:
    """Put something in the place of each stream that is not there.

    What goes to a missing standard error is lost, as its closing asked for. A missing standard
    output refuses what is written, so that no result is lost in silence.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, mode)  # takes the lowest number that is free: this one
    _settle_error_number()
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal's encoding lacks is written as its number.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _settle_error_number() -> None:
    """Let go of a file that a launcher has opened to read, and that got standard error's number."""
    with suppress(OSError, ImportError):
        import fcntl

        if fcntl.fcntl(2, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 2)
            os.close(null)


def flush_output() -> None:
    """Write what is left of standard output; at Python's own end a failure could not be told.

    Raises:
        OSError: it cannot be written.
    """
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def stream_error(error: OSError) -> str:
    """Say in one line what a system error that nobody has handled is about.

    Standard output is let go, so that Python does not try again at its end.
    """
    if error.filename is not None:
        return f"{error.filename}: {error.strerror or error}"
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return f"cannot write to standard output: {error.strerror or error}; give a file with -o"
