"""Standard input, output and error may be closed, full, or not UTF-8.

Daemons, pythonw and windowed programs start with these closed; Python's ``sys.stdout`` is then
None, and the next file that is opened would get the free file descriptor.
"""

import errno
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["flush_output", "settle_streams", "stream_error"]


def settle_streams() -> None:
    """Replace each standard stream that is missing.

    Writes to a missing standard error are discarded; so are those that a full or broken one does
    not accept, which must not end the work. Writes to a missing standard output fail, so that no
    result is lost silently.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, mode)  # gets the lowest free descriptor, which is this one
    _settle_error_number()
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal's encoding lacks is written as an escape.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    with suppress(OSError, ValueError, AttributeError):  # of a stream that is no file
        if sys.stderr.fileno() == 2:
            sys.stderr.flush()
            sys.stderr = io.TextIOWrapper(
                _Lossy(),
                encoding=sys.stderr.encoding,
                errors="backslashreplace",
                write_through=True,
            )


class _Lossy(io.RawIOBase):
    """Standard error, where a full disk or a reader that has gone is no error of the program."""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    def isatty(self) -> bool:
        return os.isatty(2)

    def write(self, data: "Buffer", /) -> int:
        left = memoryview(data)
        size = len(left)
        with suppress(OSError):
            while left:
                left = left[os.write(2, left) :]
        return size


def _settle_error_number() -> None:
    """Replace descriptor 2 where it is not standard error, but a file open for reading.

    A launcher that closed standard error may have opened it.
    """
    with suppress(OSError, ImportError):
        import fcntl

        if fcntl.fcntl(2, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 2)
            os.close(null)


def flush_output() -> None:
    """Flush standard output; an error at the exit of the interpreter could not be reported.

    Raises:
        OSError: it cannot be written.
    """
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def stream_error(error: OSError) -> str:
    """Return a message of one line for a system error that was not handled elsewhere.

    Standard output is redirected to the null device, so that Python does not flush it again.
    """
    if error.errno == errno.ENOENT and _folder_is_gone():
        return "the current folder was removed: change to another one"
    if error.filename is not None:
        return f"{error.filename}: {error.strerror or error}"
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return f"cannot write to standard output: {error.strerror or error}; give a file with -o"


def _folder_is_gone() -> bool:
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return True
    return False
