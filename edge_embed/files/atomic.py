"""Outputs that appear whole or not at all: write beside the target, then rename.

Shared by everything that writes: embeddings, model folders, reports.

A process that is killed leaves its unfinished output behind, hidden, as ``.NAME.*.part``. It held
a lock on that, which the system releases with it: the next one that writes NAME removes what nobody
holds a lock on.
"""

import errno
import os
import re
import shutil
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edge_embed.errors import OutputError
from edge_embed.files.lock import owned_file
from edge_embed.files.write_errors import output_error, temporary_files

__all__ = ["atomic_file", "atomic_folder", "check_folder"]

# Another thread that writes the same output must not take ours for abandoned before it is locked.
_making = threading.Lock()


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it when the block succeeds.

    On any error, an interrupt included, the temporary file is removed and ``path`` is untouched.
    What cannot be replaced (a device, a pipe, a file that is mounted by itself or lies in a folder
    of somebody else) is filled at the end, from a file in the folder for temporary ones.

    Raises:
        OutputError: the file cannot be written.
    """
    given, path = path, Path(path)
    if fills_in_place(path):
        with _filled(path) as temporary:
            yield temporary
        return
    # Through a link, which stays.
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
    """Whether ``path`` is there and can be filled, but not replaced by another file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    if stat.S_ISDIR(mode):
        return False
    real = os.path.realpath(path)
    shut = not os.access(Path(real).parent, os.W_OK) and os.access(real, os.W_OK)
    # /dev/stdout leads to whatever file the shell has opened, and must not replace it.
    place = str(path.absolute())
    system = place.startswith(("/dev/", "/proc/")) and not place.startswith("/dev/shm/")  # noqa: S108
    return not stat.S_ISREG(mode) or shut or system or real in _mounts()


@contextmanager
def _filled(path: Path) -> Iterator[Path]:
    """Yield a temporary file whose content goes into ``path`` when the block succeeds."""
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
    """Return where something is mounted, files too (``docker run -v FILE:FILE``); Linux alone."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError):
        return set()
    places = (line.split()[4] for line in lines if len(line.split()) > 4)
    return {re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), place) for place in places}


def check_folder(path: Path, *, force: bool = False) -> None:
    """Refuse an output folder that must not be replaced, before any work is done.

    Raises:
        OutputError: it is a file, or holds something (without ``force``).
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
    On any error, an interrupt included, nothing is left behind and ``path`` is untouched.

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
            stays = path.is_dir() and (str(path) in _mounts() or not _may_write(path.parent))
            place = path / path.name if stays else path
            _remove_abandoned(place)
            check_folder(path, force=force)
            handle, temporary = _part(place, folder=True)
        except OSError as error:
            raise output_error(path, error) from error
        retired = temporary.with_suffix(".old")
        if temporary.parent == path:  # a mounted folder, which stays
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
    """Make an unfinished output beside ``path``, open and locked."""
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
    """Put what is in ``temporary`` into the folder around it, in the place of all else."""
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
    """Remove what killed processes left beside ``path``."""
    prefix = f".{path.name}."
    with _making:
        for part in path.parent.iterdir():
            if not (part.name.startswith(prefix) and part.suffix == ".part"):
                continue
            try:
                handle = os.open(part, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            except OSError:  # gone meanwhile, or not ours
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
    """Lock an open file or folder for as long as it is open; say whether it was free."""
    if sys.platform == "win32":
        return False  # nothing is locked there, and nothing taken for abandoned
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process holds it, or the file system knows no locks
        return False
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _keep_mode(path: Path, temporary: Path) -> None:
    """Give the new file the mode it would have had without the detour through mkstemp."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    temporary.chmod(mode)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
