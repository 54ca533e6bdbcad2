"""Remove offers to upgrade the protocol, which a server may ignore (RFC 9110, section 7.8).

Java's HttpClient and ``curl --http2`` offer HTTP/2 in a connection's first request. The HTTP parser
would treat such a request as the end of HTTP/1.1 and lose its body.
"""

__all__ = ["HeadFilter"]

_END = b"\r\n\r\n"
_OFFERS = (b"upgrade", b"http2-settings")


class HeadFilter:
    """Removes upgrade offers from a request's head, as its bytes arrive."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return the bytes for the parser; those of an incomplete head are held until it ends."""
        data, self._held = self._held + data, b""
        head, end, rest = data.partition(_END)
        if end:
            return _without_offers(head) + end + rest if b"upgrade" in head.lower() else data
        # What does not look like a plain HTTP request is passed on for the parser to refuse.
        if b"\n\n" not in data and data[:1].isupper():
            self._held = data
            return b""
        return data

    @property
    def held(self) -> int:
        """How many bytes are held."""
        return len(self._held)


def _without_offers(head: bytes) -> bytes:
    lines = head.split(b"\r\n")
    if any(line[:1] in (b" ", b"\t") for line in lines):  # folded: the parser refuses it
        return head
    kept = lines[:1]
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.lower() in _OFFERS:
            continue
        if name.lower() == b"connection":
            tokens = [token.strip() for token in value.split(b",")]
            tokens = [token for token in tokens if token.lower() not in _OFFERS]
            line = b"Connection: " + b", ".join(tokens)
            if not tokens:
                continue
        kept.append(line)
    return b"\r\n".join(kept)
