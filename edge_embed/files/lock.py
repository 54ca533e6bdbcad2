"""Locks, so that only one process at a time writes a file or folder.

The owner holds a lock (flock(2)) on a small file that names it; the system releases the lock when
the process ends, however that happens. Another process gets an error with the owner's process
number and command.
"""

import errno
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_embed.errors import OutputError
from edge_embed.files.fork_lock import ForkLock
from edge_embed.files.write_errors import output_error

if sys.platform != "win32":
    import fcntl

__all__ = ["LOCK_NAME", "owned_file", "owned_folder"]

LOCK_NAME = ".lock"
"""The name of the lock file in a folder that a run owns."""

_NAME_BYTES = 200
# Errors of file systems without locks: NFS without its lock service, some network mounts.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS})

_held: dict[str, int] = {}
"""Path of each lock of this process to the number of blocks that hold it."""
_changed = ForkLock()


@contextmanager
def owned_file(path: Path, *, name: str | None = None) -> Iterator[None]:
    """Own an output during the block, by a hidden lock file beside it.

    Several blocks of the same process may own it at the same time. Devices and pipes are not
    locked.

    Args:
        path: The output.
        name: The name of the output in errors; None is its path.

    Raises:
        OutputError: another process is writing it, or the lock cannot be written.
    """
    real = Path(os.path.realpath(path))
    # If only the output itself is writable, as in some containers, there is no place for a lock.
    # A pipe behind /dev/stdout has no path of its own, so the given one is asked.
    if _is_special(path) or (os.access(real, os.F_OK) and not os.access(real.parent, os.W_OK)):
        yield
        return
    with _owned(real.with_name(f".{real.name}{LOCK_NAME}"), path, name or str(path)):
        yield


@contextmanager
def owned_folder(path: Path) -> Iterator[None]:
    """Own a folder during the block; it is created if missing, and removed at the end if empty.

    Raises:
        OutputError: another process owns it, or it cannot be created.
    """
    _make(path)
    try:
        with _owned(path / LOCK_NAME, path, str(path), folder=True):
            yield
    finally:
        with suppress(OSError):
            path.rmdir()


def _make(folder: Path) -> None:
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            # Its previous owner may have removed it since.
            if folder.is_dir() or not os.path.lexists(folder):
                continue
            raise OutputError(f"cannot write {folder}: it is a file; give a folder") from None
        except OSError as error:
            raise output_error(folder, error) from error
        return


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def _owned(lock: Path, path: Path, name: str, *, folder: bool = False) -> Iterator[None]:
    key = os.path.realpath(lock)
    with _changed:
        handle = _acquire(lock, path, name, folder=folder) if key not in _held else None
        _held[key] = _held.get(key, 0) + 1
        if handle is not None:
            _handles[key] = handle
    try:
        yield
    finally:
        with _changed:
            if key in _held:  # else this is a process that was forked within the block
                _held[key] -= 1
                if not _held[key]:
                    del _held[key]
                    _release(lock, _handles.pop(key, None))


_handles: dict[str, int] = {}


def _own_nothing() -> None:
    for handle in _handles.values():
        os.close(handle)
    _handles.clear()
    _held.clear()


if hasattr(os, "register_at_fork"):  # the lock stays the parent's
    os.register_at_fork(after_in_child=_own_nothing)


def _acquire(lock: Path, path: Path, name: str, *, folder: bool) -> int | None:
    """Lock a file and write the owner's name into it; None if the file system has no locks."""
    if sys.platform == "win32":
        return None
    while True:
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except FileNotFoundError as error:
            if not folder:
                raise output_error(path, error) from error
            _make(path)  # removed by its previous owner, who has just ended
            continue
        except OSError as error:
            raise output_error(path, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its previous owner may have removed it between the two calls.
            if _same(lock, handle):
                os.ftruncate(handle, 0)
                os.pwrite(handle, _signature(), 0)
                return handle
        except BlockingIOError:
            owner = os.pread(handle, 2 * _NAME_BYTES, 0).decode("utf-8", "replace").strip()
            os.close(handle)
            raise OutputError(
                f"{name} is being written by another process"
                f"{f' ({owner})' if owner.isprintable() and owner else ''}: wait until that is "
                "done, or choose another place"
            ) from None
        except OSError as error:
            os.close(handle)
            if error.errno in _NO_LOCKS:
                return None
            raise output_error(path, error) from error
        os.close(handle)


def _release(lock: Path, handle: int | None) -> None:
    if handle is None:
        return
    with suppress(OSError):
        if _same(lock, handle):
            lock.unlink()
    os.close(handle)


def _same(lock: Path, handle: int) -> bool:
    try:
        there = os.stat(lock, follow_symlinks=False)  # noqa: PTH116
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(handle))


def _signature() -> bytes:
    """Return this process's number, program and subcommand; other arguments may be secret."""
    program = Path(sys.argv[0]).name if sys.argv else ""
    program = {"": "python", "-c": "python", "__main__.py": "edge-embed"}.get(program, program)
    words = [program, *(word for word in sys.argv[1:2] if re.fullmatch(r"[a-z][a-z-]*", word))]
    name = f"process {os.getpid()}, {' '.join(words)}"
    return name.encode("utf-8", "replace")[:_NAME_BYTES] + b"\n"
