"""HTTP as clients speak it: offers to upgrade, odd bodies, a proxy's prefix."""

import asyncio
import gzip
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from edge_embed.errors import InputError
from edge_embed.server import Service, create_app
from edge_embed.server.upgrade import HeadFilter
from tests.support.serving import Program, client, source

BODY = b'{"input": "a late parcel"}'
HEAD = b"POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
JAVA = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAI\r\nUpgrade: h2c\r\n"
OFFERS = {
    "java": JAVA,
    "keep-alive": b"Connection: keep-alive, upgrade\r\nupgrade:  h2c\r\n",
    "websocket": b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
    "none": b"",
}


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[Program]:
    program = Program(["--model", str(tiny_model), "--root-path", "/embed"])
    yield program
    program.end()


def answer(connection: socket.socket) -> tuple[int, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head.lower())
    assert found is not None
    while len(body) < int(found[1]):
        body += connection.recv(65536)
    return int(head.split()[1]), body


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("pieces", [1, 2, 40])
def test_an_offer_to_upgrade_is_passed_over(server: Program, offer: str, pieces: int) -> None:
    """The body is read, whole or in pieces, and on the same connection again."""
    size = f"Content-Length: {len(BODY)}\r\n\r\n".encode()
    request = HEAD + OFFERS[offer] + size + BODY
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for _ in range(2):
            step = -(-len(request) // pieces)
            for start in range(0, len(request), step):
                connection.sendall(request[start : start + step])
            status, body = answer(connection)
            assert status == 200
            assert json.loads(body)["data"][0]["embedding"]


def test_the_head_without_its_offers() -> None:
    heads = HeadFilter()
    whole = b"GET / HTTP/1.1\r\nHost: x\r\n" + JAVA + b"Accept: */*\r\n\r\nrest upgrade"
    expected = b"GET / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\nrest upgrade"
    assert heads.feed(whole) == expected
    first = heads.feed(whole[:60])
    assert (first, heads.held) == (b"", 60)
    assert heads.feed(whole[60:]) == expected
    assert HeadFilter().feed(b"\x16\x03\x01 no request") == b"\x16\x03\x01 no request"
    untouched = b"GET /upgrades HTTP/1.1\r\nHost: upgrade.example\r\n\r\n"
    assert HeadFilter().feed(untouched) == untouched
    folded = b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n more\r\n\r\n"
    assert HeadFilter().feed(folded) == folded  # for the parser to refuse


@pytest.mark.parametrize(
    ("content", "headers", "message"),
    [
        (gzip.compress(BODY, mtime=0), {"Content-Encoding": "gzip"}, "compressed (gzip)"),
        (gzip.compress(BODY, mtime=0), {}, "compressed with gzip"),
        (b"\xef\xbb\xbf" + BODY, {}, "byte order mark"),
        (BODY.decode().encode("utf-16"), {}, "UTF-16"),
        (BODY.decode().encode("utf-16-le"), {}, "UTF-16"),
        (b'{"input": "caf\xe9"}', {}, "not UTF-8"),
        (rb'{"input": "cut \ud83d"}', {}, "half a surrogate pair (U+D83D)"),
        (b"", {}, "no JSON"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/embeddings", "/embed"])
def test_bodies_that_are_no_json(
    tiny_model: Path, path: str, content: bytes, headers: dict[str, str], message: str
) -> None:
    async def ask() -> httpx.Response:
        async with client(create_app(Service([source(tiny_model)]))) as http:
            kind = {"Content-Type": "application/json"}
            sent = content.replace(b"input", b"inputs") if path == "/embed" else content
            return await http.post(path, content=sent, headers=kind | headers)

    answer = asyncio.run(ask())
    assert answer.status_code == 400
    assert message in answer.text


def test_below_a_prefix(server: Program) -> None:
    """Pages ask beside themselves, and paths are found with the prefix and without."""
    with httpx.Client(base_url=server.url, timeout=20) as http:
        for prefix in ("", "/embed"):
            assert http.get(f"{prefix}/docs").status_code == 200
            posted = http.post(
                f"{prefix}/v1/embeddings",
                content=BODY,
                headers={"Content-Type": "application/json"},
            )
            assert posted.status_code == 200
        assert http.get("/embed").status_code == 200
        assert http.get("/embedded").status_code == 404
        for page in ("/", "/docs"):
            found = re.findall(r'href="([^"]+)"|ask\("([^"]+)"', http.get(page).text)
            addresses = [one or other for one, other in found]
            assert addresses
            assert not [a for a in addresses if a.startswith("/")]
        assert http.get("/openapi.json").json()["servers"] == [{"url": "/embed"}]


def test_a_prefix_begins_with_a_slash(tiny_model: Path) -> None:
    with pytest.raises(InputError, match="begin with a slash"):
        create_app(Service([source(tiny_model)]), root_path="embed")
