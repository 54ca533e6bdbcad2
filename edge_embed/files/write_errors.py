"""Errors of one line for outputs that cannot be written."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_embed.errors import OutputError

__all__ = ["output_error", "temporary_files"]


def output_error(path: Path, error: OSError) -> OutputError:
    """Return an error of one line: why ``path`` cannot be written, and a remedy."""
    if isinstance(error, shutil.Error):  # of several files, with the number in words alone
        found = re.search(r"\[Errno (\d+)\]", str(error))
        error = OSError(int(found[1]), os.strerror(int(found[1]))) if found else error
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"cannot write {path}: the disk is full; free some space and run again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"cannot write {path}: no permission; choose another place with -o")
    if error.errno == errno.ENOENT:
        return OutputError(f"cannot write {path}: its folder {path.parent} does not exist")
    return OutputError(f"cannot write {path}: {error.strerror or error}")


@contextmanager
def temporary_files() -> Iterator[None]:
    """Turn the system's errors within the block into one about the folder for temporary files.

    Raises:
        OutputError: the block raised an OSError: the folder is full, missing or not writable.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "it is full" if full else error.strerror or str(error)
        raise OutputError(
            f"cannot write to the folder for temporary files ({_temporary_folder()}): {why}; set "
            "TMPDIR to another one"
        ) from error


def _temporary_folder() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:  # none of those that Python tries can be written
        return os.environ.get("TMPDIR", "/tmp")  # noqa: S108
