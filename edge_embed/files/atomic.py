"""Outputs that appear whole or not at all: written beside the target, then renamed.

Everything that writes files uses this: embeddings, model folders, reports.

A process that is killed leaves its unfinished output as a hidden ``.NAME.*.part``. The system
releases the process's lock on it, and the next process that writes NAME removes unfinished outputs
that are not locked.
"""

import errno
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edge_embed.errors import OutputError
from edge_embed.files.fork_lock import ForkLock
from edge_embed.files.lock import owned_file
from edge_embed.files.write_errors import output_error, temporary_files

__all__ = ["atomic_file", "atomic_folder", "check_folder"]

# Held between the creation of an unfinished output and its locking, so that another thread does not
# remove it as abandoned.
_making = ForkLock()


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it when the block succeeds.

    On any error, an interrupt included, the temporary file is removed and ``path`` is unchanged.
    A path that cannot be replaced (a device, a pipe, a file that is a mount point or in a folder
    without write permission) is overwritten in place at the end, from a file in the folder for
    temporary files.

    Raises:
        OutputError: the file cannot be written.
    """
    given, path = path, Path(path)
    if fills_in_place(path):
        with _filled(path) as temporary:
            yield temporary
        return
    # Write the target of a symbolic link; the link itself is kept.
    path = Path(os.path.realpath(path))
    with owned_file(path):
        try:
            if path.is_dir():
                raise OutputError(f"cannot write {given}: it is a folder; give a file name")
            _remove_abandoned(path)
            handle, temporary = _part(path)
        except OSError as error:
            raise output_error(path, error) from error
        try:
            yield temporary
            _keep_mode(path, temporary)
            _sync(temporary)
            temporary.replace(path)
        except OSError as error:
            raise output_error(path, error) from error
        finally:
            os.close(handle)
            temporary.unlink(missing_ok=True)


def fills_in_place(path: Path) -> bool:
    """Return whether ``path`` exists and must be overwritten in place, not replaced by rename."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    if stat.S_ISDIR(mode):
        return False
    real = os.path.realpath(path)
    fixed = not os.access(Path(real).parent, os.W_OK) and os.access(real, os.W_OK)
    # /dev/stdout is a link to the file that the shell has opened, which must be written itself.
    place = str(path.absolute())
    system = place.startswith(("/dev/", "/proc/")) and not place.startswith("/dev/shm/")  # noqa: S108
    return not stat.S_ISREG(mode) or fixed or system or real in _mounts()


@contextmanager
def _filled(path: Path) -> Iterator[Path]:
    """Yield a temporary file whose content is copied to ``path`` when the block succeeds."""
    try:
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, "no permission")
        with ExitStack() as stack:
            with temporary_files():
                made = tempfile.TemporaryDirectory(prefix="edge-embed-")
                temporary = Path(stack.enter_context(made), path.name)
                temporary.touch()
                yield temporary
            with temporary.open("rb") as source, path.open("wb", buffering=0) as target:
                shutil.copyfileobj(source, target)
    except OSError as error:
        raise output_error(path, error) from error


def _mounts() -> set[str]:
    """Return all mount points, files included (``docker run -v FILE:FILE``); empty if not Linux."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError):
        return set()
    places = (line.split()[4] for line in lines if len(line.split()) > 4)
    return {re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), place) for place in places}


def check_folder(path: Path, *, force: bool = False) -> None:
    """Check that an output folder may be written, before any work is done.

    Raises:
        OutputError: it is a file, or a folder that is not empty (without ``force``).
    """
    if path.exists():
        if not path.is_dir():
            raise OutputError(f"cannot write {path}: it is a file; give a folder")
        if not force and any(path.iterdir()):
            raise OutputError(f"{path} already exists; give --force to replace it")


@contextmanager
def atomic_folder(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside ``path`` that becomes ``path`` when the block succeeds.

    An existing folder is refused unless ``force`` is given; then it is replaced only at the end.
    On any error, an interrupt included, nothing is left behind and ``path`` is unchanged.

    Raises:
        OutputError: the folder exists (without ``force``), or cannot be written.
    """
    path = Path(path).resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(path, error) from error
    with owned_file(path):
        try:
            fixed = path.is_dir() and (str(path) in _mounts() or not _may_write(path.parent))
            place = path / path.name if fixed else path
            _remove_abandoned(place)
            check_folder(path, force=force)
            handle, temporary = _part(place, folder=True)
        except OSError as error:
            raise output_error(path, error) from error
        retired = temporary.with_suffix(".old")
        if temporary.parent == path:  # the folder cannot be renamed: replace its content
            try:
                yield temporary
                _move_into(path, temporary)
            except OSError as error:
                raise output_error(path, error) from error
            finally:
                os.close(handle)
                shutil.rmtree(temporary, ignore_errors=True)
            return
        try:
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    _sync(file)
            temporary.chmod(stat.S_IMODE(path.stat().st_mode) if path.exists() else _new_mode())
            if path.exists():
                path.rename(retired)
            try:
                temporary.rename(path)
            except OSError:
                if retired.exists():
                    retired.rename(path)
                raise
        except OSError as error:
            raise output_error(path, error) from error
        finally:
            os.close(handle)
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(retired, ignore_errors=True)


def _part(path: Path, *, folder: bool = False) -> tuple[int, Path]:
    """Create an unfinished output beside ``path``; return its open, locked handle and its path."""
    prefix = f".{path.name}."
    with _making:
        if folder:
            temporary = Path(tempfile.mkdtemp(prefix=prefix, suffix=".part", dir=path.parent))
            handle = os.open(temporary, os.O_RDONLY)
        else:
            handle, made = tempfile.mkstemp(prefix=prefix, suffix=".part", dir=path.parent)
            temporary = Path(made)
        _lock(handle)
        return handle, temporary


def _may_write(folder: Path) -> bool:
    return os.access(folder, os.W_OK)


def _move_into(folder: Path, temporary: Path) -> None:
    """Replace the content of ``folder`` by that of ``temporary``, a folder within it."""
    for old in folder.iterdir():
        if old == temporary:
            continue
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
    for new in temporary.iterdir():
        new.rename(folder / new.name)


def _new_mode() -> int:
    return 0o777 & ~_umask()


def _remove_abandoned(path: Path) -> None:
    """Remove unfinished outputs of killed processes beside ``path``."""
    prefix = f".{path.name}."
    with _making:
        for part in path.parent.iterdir():
            if not (part.name.startswith(prefix) and part.suffix == ".part"):
                continue
            try:
                handle = os.open(part, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            except OSError:  # removed meanwhile, or another user's
                continue
            try:
                if _lock(handle):
                    _undo(part, path)
            finally:
                os.close(handle)


def _undo(part: Path, path: Path) -> None:
    retired = part.with_suffix(".old")
    if retired.exists() and not path.exists():  # killed between the two renames of a replacement
        retired.rename(path)
    for leftover in (part, retired):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _lock(handle: int) -> bool:
    """Lock an open file or folder until it is closed; return whether that succeeded."""
    if sys.platform == "win32":
        return False  # no locks there, so that nothing counts as abandoned
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process holds it, or the file system has no locks
        return False
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _keep_mode(path: Path, temporary: Path) -> None:
    """Set the mode that the file would have without mkstemp, which makes private files."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    temporary.chmod(mode)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
