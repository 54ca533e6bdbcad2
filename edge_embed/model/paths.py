"""Names that come out of a file, as paths: none of them leaves its folder."""

from contextlib import suppress
from pathlib import Path, PureWindowsPath

from edge_embed.errors import ModelFormatError

__all__ = ["path_inside"]


def path_inside(folder: Path, name: object, file: Path) -> Path:
    """Return the path that ``name``, read from ``file``, has in ``folder``.

    A file may be a link, as those of a hub's cache are; a folder on the way must not lead out.

    Raises:
        ModelFormatError: it is no name, or leads out of the folder.
    """
    if isinstance(name, str) and "\0" not in name:
        # Read as Windows does, which takes both slashes and drives.
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
