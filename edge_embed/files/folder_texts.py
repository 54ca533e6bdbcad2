"""The texts of a folder of documents (.txt, .md and .html), with its subfolders."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from edge_embed.errors import InputError
from edge_embed.files.markup import html_text, markdown_text
from edge_embed.files.text_lines import decoded_lines

__all__ = ["DOCUMENTS", "FolderFile", "folder_files"]

DOCUMENTS: Mapping[str, Callable[[str], str]] = {
    ".txt": str.strip,
    ".md": markdown_text,
    ".markdown": markdown_text,
    ".html": html_text,
    ".htm": html_text,
}
"""Ending of a file's name to the function from its content to its text."""

_MAX_BYTES = 64 << 20
_HASH_BYTES = 16
_CHARSET = re.compile(
    rb"<meta[^>]{0,200}charset\s{0,9}=\s{0,9}[\"']?([\w.:-]{1,40})", re.IGNORECASE
)
_SNIFFED = 1024  # the HTML standard: a page names its encoding within its first 1024 bytes


@dataclass(frozen=True)
class FolderFile:
    """A document of a folder."""

    name: str
    """Its path relative to the folder, with slashes."""
    path: Path

    def hash(self) -> str:
        """Return a hash of its content, 32 hexadecimal digits.

        Raises:
            InputError: it cannot be read, or is too large.
        """
        return _hash(self._content())

    def read(self) -> tuple[str, str]:
        """Return its text, without markup, and its hash.

        Raises:
            InputError: it cannot be read, is not in the encoding that it states, or is too large.
        """
        content = self._content()
        suffix = self.path.suffix.lower()
        encoding = None
        if suffix in (".html", ".htm"):
            encoding = _named_encoding(content)
        try:
            source = (
                "".join(decoded_lines(BytesIO(content), str(self.path)))
                if encoding is None
                else content.decode(encoding)
            )
        except UnicodeDecodeError as error:
            raise InputError(f"{self.path} is not {encoding}, as it says: {error}") from None
        return DOCUMENTS[suffix](source.replace("\r\n", "\n")), _hash(content)

    def _content(self) -> bytes:
        try:
            if self.path.stat().st_size > _MAX_BYTES:
                raise InputError(f"{self.path} is larger than {_MAX_BYTES >> 20} MiB: split it")
            return self.path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror or error}") from error


def folder_files(folder: Path) -> Iterator[FolderFile]:
    """Yield the documents of a folder and its subfolders, sorted by name.

    Hidden files and folders (names that begin with a dot) and symbolic links are skipped.

    Raises:
        InputError: it is not a folder, or cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder")

    def fail(error: OSError) -> None:
        raise InputError(f"cannot read {error.filename}: {error.strerror or error}") from error

    for place, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place) / name
            if name.startswith(".") or path.suffix.lower() not in DOCUMENTS:
                continue
            if path.is_file() and not path.is_symlink():
                yield FolderFile(path.relative_to(folder).as_posix(), path)


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=_HASH_BYTES).hexdigest()


def _named_encoding(content: bytes) -> str | None:
    """Return the encoding that a page names; None for an unknown one, or one of Unicode."""
    found = _CHARSET.search(content[:_SNIFFED])
    if found is None or content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return None
    name = found[1].decode("ascii").lower()
    try:
        "".encode(name)
    except (LookupError, UnicodeError):  # unknown, or not a text encoding
        return None
    # As its ASCII text could be read, the page is not UTF-16, whatever it names (HTML standard).
    return None if name.startswith(("utf-", "utf8")) else name
