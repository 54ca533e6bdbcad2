"""Turn paths that a file names into real ones, and refuse those that lead out of the folder."""

from contextlib import suppress
from pathlib import Path, PureWindowsPath

from edge_embed.errors import ModelFormatError

__all__ = ["path_inside"]


def path_inside(folder: Path, name: object, file: Path) -> Path:
    """Return the path of ``name``, which was read from ``file``, in ``folder``.

    The file itself may be a symbolic link, as in a hub's cache; its folder must not be one that
    leads out of ``folder``.

    Raises:
        ModelFormatError: it is not a path, or it leads out of the folder.
    """
    if isinstance(name, str) and "\0" not in name:
        # As a Windows path, since Windows accepts both slashes and drive letters.
        parts = PureWindowsPath(name)
        if not (parts.is_absolute() or parts.drive or parts.root or ".." in parts.parts):
            path = folder / name
            with suppress(OSError, UnicodeError):  # too long, or half a surrogate pair
                name.encode()
                real = (path if path.is_dir() else path.parent).resolve()
                if real.is_relative_to(folder.resolve()):
                    return path
    raise ModelFormatError(
        f"{file} names {name!r:.80}, which is no path inside {folder}: such a folder is not used"
    )
