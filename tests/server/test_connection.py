"""An answer's head and body leave in one piece, and nothing is held for long."""

import asyncio

from edge_embed.server.connection import JoiningTransport


class Sent(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.parts.append(data)

    def close(self) -> None:
        self.closed = True


def test_head_and_body_leave_together() -> None:
    async def write() -> None:
        sent = Sent()
        transport = JoiningTransport(sent, asyncio.get_running_loop())
        transport.write(b"head ")
        assert sent.parts == []
        transport.write(b"body")
        assert sent.parts == [b"head body"]
        await asyncio.sleep(0)
        assert sent.parts == [b"head body"]

    asyncio.run(write())


def test_what_stands_alone_leaves_soon() -> None:
    async def write() -> None:
        sent = Sent()
        transport = JoiningTransport(sent, asyncio.get_running_loop())
        transport.write(b"100 continue")
        await asyncio.sleep(0)
        assert sent.parts == [b"100 continue"]
        transport.write(b"head ")
        transport.write(b"")  # the body of an answer without one
        assert sent.parts == [b"100 continue", b"head "]
        transport.write(b"last words")
        transport.close()
        assert (sent.parts[-1], sent.closed) == (b"last words", True)

    asyncio.run(write())
