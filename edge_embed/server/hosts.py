"""The host names that a server answers to, against DNS rebinding.

A web page can make its own host name resolve to this machine; the browser then lets the page read
the server's answers. The Host header of such requests has the page's name.
"""

import ipaddress
import socket
from collections.abc import Iterable

__all__ = ["AllowedHosts"]

_LOCAL = ("localhost", "127.0.0.1", "::1")


class AllowedHosts:
    """Names by which clients may call a server."""

    def __init__(self, listening: str, allowed: Iterable[str] = ()) -> None:
        """Determine the names.

        IP addresses are always accepted, as DNS is not involved. A server that listens on more than
        this machine's loopback also accepts its host's name, and names without a dot (as in
        container networks), which nobody can register.

        Args:
            listening: The address or name that it listens on.
            allowed: Further names; ``*`` allows any.
        """
        names = [listening, *allowed, "localhost"]
        self._beyond = listening not in _LOCAL
        if self._beyond:
            names += [socket.gethostname(), socket.getfqdn()]
        self._names = {name.rstrip(".").lower() for name in names}

    def accept(self, header: str | None) -> bool:
        """Return whether a Host header, ``NAME`` or ``NAME:PORT``, has one of the names.

        None is accepted, as browsers always send the header.
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
