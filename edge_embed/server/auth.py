"""API keys: who may use the server."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

from edge_embed.errors import InputError

__all__ = ["ApiKeys"]


class ApiKeys:
    """API keys, stored as hashes and compared in constant time."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Hash the keys; empty ones are ignored.

        Raises:
            InputError: there is none, so that nobody could use the server.
        """
        self._digests = [_digest(key.strip().encode()) for key in keys if key.strip()]
        if not self._digests:
            raise InputError("there is no API key: write one a line, or leave the option out")

    @classmethod
    def from_file(cls, path: Path) -> "ApiKeys":
        """Read a file with one key a line; lines that begin with # are comments.

        Raises:
            InputError: it cannot be read, or has no key.
        """
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the API keys in {path}: {error}") from error
        return cls(line for line in lines if not line.lstrip().startswith("#"))

    def accept(self, authorization: bytes) -> bool:
        """Return whether an Authorization header has one of the keys.

        API clients send ``Bearer KEY``; a browser asks for a password and sends
        ``Basic base64(NAME:KEY)``, with any name.
        """
        kind, _, value = authorization.partition(b" ")
        key = value.strip()
        if kind.lower() == b"basic":
            try:
                key = base64.b64decode(key, validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        elif kind.lower() != b"bearer":
            return False
        digest = _digest(key)
        # All keys are compared, so that the time does not reveal which one matched.
        return sum(hmac.compare_digest(digest, known) for known in self._digests) > 0


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
