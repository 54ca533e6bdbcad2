"""Why something cannot be written, in one line."""

import errno
from pathlib import Path

from edge_embed.errors import OutputError

__all__ = ["output_error"]


def output_error(path: Path, error: OSError) -> OutputError:
    """Say in one line why ``path`` cannot be written and what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"cannot write {path}: the disk is full; free some space and run again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"cannot write {path}: no permission; choose another place with -o")
    if error.errno == errno.ENOENT:
        return OutputError(f"cannot write {path}: its folder {path.parent} does not exist")
    return OutputError(f"cannot write {path}: {error.strerror or error}")
