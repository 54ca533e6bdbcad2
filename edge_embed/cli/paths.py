"""Check the paths of a command: all are different, and its outputs are locked."""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import combinations
from pathlib import Path

import click

from edge_embed.errors import InputError
from edge_embed.files.lock import owned_file, owned_folder

__all__ = ["claim_paths", "require_file"]

Paths = Mapping[str, str | Path | None]
"""Option to path; None is an option that was not given."""


def claim_paths(
    *,
    reads: Paths | None = None,
    files: Paths | None = None,
    folders: Paths | None = None,
    work: Paths | None = None,
    updates: Paths | None = None,
) -> None:
    """Check all paths of the running command, and lock its outputs until it ends.

    Paths are compared by inode, so links and other spellings of a path count as one. Called before
    anything is read.

    Args:
        reads: Inputs; those that are no path (``-``, the name of a model) are ignored.
        files: Outputs that appear whole.
        folders: Folders that appear whole, and replace what was there.
        work: Work folders, from which an interrupted run is resumed.
        updates: Files that are changed in place and have locks of their own, such as an index.

    Raises:
        InputError: two paths are the same, or one lies in a folder that is replaced.
        OutputError: another process writes one of them, or it cannot be written.
    """
    read, written = _given(reads), _given(files)
    replaced, kept, changed = _given(folders), _given(work), _given(updates)
    _refuse_same(read, written | replaced | kept | changed)
    _refuse_inside(read | written | kept | changed, replaced)
    _refuse_inside(read | written | changed, kept)
    click.get_current_context().with_resource(_owned([*written.values(), *replaced.values()], kept))


def require_file(option: str, path: str | None, what: str) -> str:
    """Return the path of an input that is read more than once, which pipes are not.

    Raises:
        UsageError: there is none, or it is standard input or a named pipe.
    """
    if path is None or path == "-" or Path(path).is_fifo():
        raise click.UsageError(f"give the {what} with {option} FILE; they are read more than once")
    return path


def _given(paths: Paths | None) -> dict[str, Path]:
    return {
        option: Path(path)
        for option, path in (paths or {}).items()
        if path is not None and str(path) not in ("", "-")
    }


def _refuse_same(read: Mapping[str, Path], written: Mapping[str, Path]) -> None:
    pairs = [(one, other) for one in read.items() for other in written.items()]
    for (option, path), (other, target) in [*pairs, *combinations(written.items(), 2)]:
        if option != other and (place := _identity(path)) and place == _identity(target):
            raise InputError(
                f"{option} and {other} are the same file ({target}): give each its own"
            )


def _refuse_inside(paths: Mapping[str, Path], folders: Mapping[str, Path]) -> None:
    for option, path in paths.items():
        for other, folder in folders.items():
            if path != folder and _real(path).is_relative_to(_real(folder)):
                raise InputError(
                    f"{option} {path} lies in {folder}, which is what {other} writes: choose "
                    "another folder"
                )


def _identity(path: Path) -> tuple[object, ...] | None:
    """Return a value that is equal for all spellings of a path; None for a device or a pipe."""
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return (str(_real(path)),)
    if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
        return None
    return facts.st_dev, facts.st_ino


def _real(path: Path) -> Path:
    try:
        return Path(os.path.realpath(path))
    except ValueError as error:  # a NUL
        raise InputError(f"{str(path)!r:.80} is no path: {error}") from None


@contextmanager
def _owned(outputs: list[Path], work: Mapping[str, Path]) -> Iterator[None]:
    with ExitStack() as stack:
        for path in outputs:
            # A missing folder is reported when the output is written.
            if _real(path).parent.is_dir():
                stack.enter_context(owned_file(path))
        for path in work.values():
            stack.enter_context(owned_folder(path))
        yield
