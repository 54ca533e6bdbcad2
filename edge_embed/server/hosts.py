"""Which names a server answers to.

A page elsewhere can let its own name point to this machine ("DNS rebinding"): the browser then
takes the server's answers for the page's own and lets it read them. The name in the Host header
gives that away.
"""

import ipaddress
import socket
from collections.abc import Iterable

__all__ = ["AllowedHosts"]

_LOCAL = ("localhost", "127.0.0.1", "::1")


class AllowedHosts:
    """Names by which clients may call a server."""

    def __init__(self, listening: str, allowed: Iterable[str] = ()) -> None:
        """Know what it listens on.

        A literal address is always accepted, as no name can be made to point away from it. A server
        that listens beyond this machine also answers to its host's name and to names without a dot
        (of a container network), which nobody can register.

        Args:
            listening: The address or name that it listens on.
            allowed: Further names; ``*`` is any.
        """
        names = [listening, *allowed, "localhost"]
        self._beyond = listening not in _LOCAL
        if self._beyond:
            names += [socket.gethostname(), socket.getfqdn()]
        self._names = {name.rstrip(".").lower() for name in names}

    def accept(self, header: str | None) -> bool:
        """Whether a Host header, ``NAME`` or ``NAME:PORT``, is one of the names.

        A client without one is no browser.
        """
        if header is None or "*" in self._names:
            return True
        name = _name(header)
        if name in self._names or name.endswith(".localhost"):
            return True
        if self._beyond and name and "." not in name:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _name(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    name, colon, port = header.rpartition(":")
    return (name if colon and port.isdecimal() else header).rstrip(".").lower()
