"""Requests without a bound, names that are not the server's, and what errors say."""

import asyncio
import gc
import json
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from edge_embed.errors import DamagedIndexError, InputError
from edge_embed.server import AllowedHosts, ApiKeys, Limits, Service, create_app
from edge_embed.server.errors import StatusError
from edge_embed.server.limits import within_descriptors
from edge_embed.server.request import Caller
from edge_embed.server.run import _inode, _remove_own
from edge_embed.tasks import Index
from tests.support.serving import source, with_client

SMALL = Limits(answer_bytes=100_000, results=100, held_bytes=200_000, body_bytes=150_000)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    path = tmp_path_factory.mktemp("index") / "i.index"
    with Index.create(path, dim=32) as made:
        vectors = np.random.default_rng(0).normal(size=(50, 32))
        made.add([f"text number {n} " + "x" * 2000 for n in range(50)], vectors)
        yield made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load without a warm-up: no test here looks at times or memory."""
    monkeypatch.setattr("edge_embed.server.priority._lower_priority", lambda: None)
    monkeypatch.setattr("edge_embed.embedder.Embedder.warm_up", lambda _: None)


CASES: list[tuple[str, dict[str, Any], int]] = [
    ("/tokenize", {"inputs": "word " * 2000}, 413),
    ("/tokenize", {"inputs": "word " * 100}, 200),
    ("/embed_all", {"inputs": ["word " * 20] * 20}, 413),
    ("/embed_all", {"inputs": ["word " * 20]}, 200),
    ("/embed", {"inputs": ["word"] * 400}, 413),
    ("/embed", {"inputs": ["word " * 20_000], "truncate": True}, 200),
    ("/v1/similarity", {"texts": ["word"] * 100}, 413),
    ("/v1/similarity", {"texts": ["word"] * 10}, 200),
    ("/v1/search", {"query": ["word"] * 11, "k": 10}, 413),
    ("/v1/search", {"query": ["word"] * 2, "k": 50}, 413),
    ("/v1/search", {"query": ["word"] * 2, "k": 10, "hybrid": True}, 200),
    ("/v1/search", {"query": "word", "where": {"n": 2**70}}, 422),
    ("/v1/search", {"query": "word", "where": {"n\0": 1}}, 422),
    ("/v1/search", {"query": "word", "where": {"n" * 100_000: 1}}, 422),
    ("/embed", {"inputs": "word", "prompt_name": "p" * 100_000}, 422),
    ("/tokenize", {"inputs": "word", "prompt_name": "p\x1b[31m" * 1000}, 422),
]


def test_what_an_answer_may_take(tiny_model: Path, index: Index) -> None:
    async def ask(http: httpx.AsyncClient) -> None:
        for path, body, status in CASES:
            answer = await http.post(path, json=body)
            assert answer.status_code == status, (path, str(body)[:80], answer.text[:300])
            assert len(answer.content) <= SMALL.answer_bytes
            if status != 200:
                assert len(answer.content) < 500
                assert "pppp" not in answer.text

    with_client(Service([source(tiny_model)], limits=SMALL, index=index), ask)


def test_bodies_are_held_within_a_bound(tiny_model: Path) -> None:
    async def ask(http: httpx.AsyncClient) -> None:
        body = json.dumps({"inputs": ["word " * 1000] * 20, "truncate": True})
        answers = await asyncio.gather(*(post(http, body) for _ in range(6)))
        assert {answer.status_code for answer in answers} == {200, 429}
        assert (await post(http, body)).status_code == 200, "what was held is let go of"

    async def post(http: httpx.AsyncClient, body: str) -> httpx.Response:
        return await http.post("/embed", content=body, headers={"content-type": "application/json"})

    with_client(Service([source(tiny_model)], limits=SMALL), ask)


def test_large_answers_are_held_within_a_bound_until_they_are_read(tiny_model: Path) -> None:
    """A client that does not read its answer keeps it in memory until its time is up."""
    limits = Limits(answer_bytes=20 << 20, held_answer_bytes=30 << 20)
    service = Service([source(tiny_model)], limits=limits)
    app = create_app(service)
    body = json.dumps({"texts": ["word"] * 1200}).encode()  # 17 MB of similarities
    head = [(b"content-type", b"application/json"), (b"host", b"localhost")]
    scope = {"type": "http", "method": "POST", "path": "/v1/similarity", "headers": head}
    read = asyncio.Event()

    async def ask(*, reads: bool) -> int:
        statuses: list[int] = []
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            elif not reads:
                await read.wait()

        await app({**scope, "query_string": b"", "raw_path": b""}, receive, send)
        return statuses[0]

    async def run() -> None:
        await service.start()
        deaf = asyncio.create_task(ask(reads=False))
        while not service.held.answers:
            await asyncio.sleep(0.001)
        assert await ask(reads=True) == 429
        read.set()
        assert await deaf == 200
        assert await ask(reads=True) == 200
        assert service.held.answers == 0
        await service.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tokenize", {"inputs": "word " * 20_000}),  # refused at once
        ("/embed", {"inputs": ["word " * 500] * 5, "truncate": False}),  # in another thread
    ],
)
def test_a_refused_request_is_forgotten_without_garbage_collection(
    tiny_model: Path, path: str, body: dict[str, Any]
) -> None:
    async def ask(http: httpx.AsyncClient) -> None:
        gc.collect()
        gc.disable()
        try:
            assert (await http.post(path, json=body)).status_code == 413
            await asyncio.sleep(0.1)
            assert not [each for each in gc.get_objects() if type(each) is Caller]
        finally:
            gc.enable()

    with_client(Service([source(tiny_model)], limits=SMALL), ask)


def test_memory_is_returned_after_large_requests(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    returned: list[None] = []
    monkeypatch.setattr("edge_embed.server.memory._SECONDS", 0.05)
    monkeypatch.setattr("edge_embed.server.memory.return_memory", lambda: returned.append(None))

    async def ask(http: httpx.AsyncClient) -> None:
        await http.post("/embed", json={"inputs": "word"})
        await asyncio.sleep(0.2)
        assert not returned
        for _ in range(3):
            await http.post("/embed", json={"inputs": "word " * 300_000, "truncate": True})
        await asyncio.sleep(0.3)
        assert 1 <= len(returned) <= 3

    with_client(Service([source(tiny_model)]), ask)


def test_a_damaged_index_is_the_servers_fault(
    tiny_model: Path,
    index: Index,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def damaged(*_: object, **__: object) -> None:
        raise DamagedIndexError("the index /secret/place is damaged")

    async def ask(http: httpx.AsyncClient) -> None:
        answer = await http.post("/v1/search", json={"query": "word"})
        assert (answer.status_code, "secret" in answer.text) == (500, False)
        assert "/secret/place" in caplog.text

    monkeypatch.setattr(index, "search", damaged)
    with_client(Service([source(tiny_model)], index=index), ask)


def test_a_search_that_takes_too_long_is_stopped(
    tiny_model: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = []

    def slow(*_args: object, **_named: object) -> list[list[object]]:
        for _step in range(1000):
            time.sleep(0.01)
            index._store.check_stop()
        return [[]]

    async def ask(http: httpx.AsyncClient) -> None:
        started = time.monotonic()
        answer = await http.post("/v1/search", json={"query": "word"})
        assert answer.status_code == 503
        assert time.monotonic() - started < 5
        ended.append(True)

    monkeypatch.setattr(index, "search", slow)
    with_client(Service([source(tiny_model)], limits=Limits(request_seconds=0.5), index=index), ask)
    assert ended


class PanicException(BaseException):  # as pyo3 names it
    pass


def test_a_panic_of_a_library_is_an_answer(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def panic(*_: object, **__: object) -> None:
        raise PanicException("index out of bounds")

    service = Service([source(tiny_model)])

    async def ask(http: httpx.AsyncClient) -> None:
        async with service.pool.use() as served:
            monkeypatch.setattr(served.embedder.tokenizer, "decode", panic)
        answer = await http.post("/decode", json={"ids": [1]})
        assert (answer.status_code, answer.json()["error_type"]) == (500, "Backend")

    with_client(service, ask)


@pytest.mark.parametrize(
    ("listening", "header", "accepted"),
    [
        ("127.0.0.1", "127.0.0.1:8080", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "LOCALHOST.:8080", True),
        ("127.0.0.1", "app.localhost:8080", True),
        ("127.0.0.1", "[::1]:8080", True),
        ("127.0.0.1", None, True),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "evil.example:8080", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "embedder:8080", False),
        ("127.0.0.1", "", False),
        ("0.0.0.0", "embedder:8080", True),
        ("0.0.0.0", "192.168.1.5:8080", True),
        ("0.0.0.0", "evil.example", False),
        ("box.example", "box.example:80", True),
        ("127.0.0.1", "good.example", True),
    ],
)
def test_names_that_a_server_answers_to(listening: str, header: str | None, accepted: bool) -> None:
    assert AllowedHosts(listening, ["good.example"]).accept(header) is accepted
    assert AllowedHosts(listening, ["*"]).accept(header)


def test_a_page_elsewhere_reads_nothing(tiny_model: Path) -> None:
    service = Service([source(tiny_model)])
    service.hosts = AllowedHosts("127.0.0.1")

    async def ask(http: httpx.AsyncClient) -> None:
        evil = {"host": "evil.example"}
        for path in ("/v1/models", "/info", "/", "/docs", "/metrics"):
            answer = await http.get(path, headers=evil)
            assert answer.status_code == 403
            assert "--allowed-host" in answer.text
        assert (await http.get("/live", headers=evil)).status_code == 200
        good = {"host": "localhost:8080"}
        assert (await http.get("/info", headers=good)).status_code == 200
        cross = {**good, "sec-fetch-site": "cross-site"}
        answer = await http.post("/embed", json={"inputs": "word"}, headers=cross)
        assert answer.status_code == 403
        service.keys = ApiKeys(["key"])
        named = {**evil, "authorization": "Bearer key"}
        assert (await http.get("/info", headers=named)).status_code == 200

    with_client(service, ask)


FORWARDED = [
    ("x-forwarded-host", "{}"),
    ("forwarded", "for=1.2.3.4;host={};proto=https"),
    ("x-original-host", "{}"),
    ("x-host", "{}"),
    ("x-forwarded-server", "{}"),
]


def test_what_a_proxy_says_of_the_client_changes_nothing(tiny_model: Path) -> None:
    """Anybody can send such headers: they neither open a server nor appear in its answers."""
    service = Service([source(tiny_model)])
    service.hosts = AllowedHosts("127.0.0.1")

    async def ask(http: httpx.AsyncClient) -> None:
        good = {"host": "localhost:8080"}
        plain = {path: (await http.get(path, headers=good)).content for path in ("/", "/docs")}
        for name, value in FORWARDED:
            opened = {"host": "evil.example", name: value.format("localhost:8080")}
            assert (await http.get("/info", headers=opened)).status_code == 403, name
            shown = {**good, name: value.format("evil.example"), "x-forwarded-prefix": "/evil"}
            shown |= {"x-forwarded-for": "evil", "x-forwarded-proto": "evil", "x-real-ip": "evil"}
            for path, content in plain.items():
                assert (await http.get(path, headers=shown)).content == content, name
            answer = await http.post("/embed", json={"inputs": ""}, headers=shown)
            assert b"evil" not in answer.content
            assert "evil" not in str(answer.headers)

    with_client(service, ask)


def test_an_indented_comment_is_no_key(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("  # not a key\n\t#neither\nreal\n")
    keys = ApiKeys.from_file(file)
    assert keys.accept(b"Bearer real")
    assert not keys.accept(b"Bearer # not a key")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 0.0])
def test_limits_are_numbers(value: float) -> None:
    with pytest.raises(InputError, match="must be a number above 0"):
        Limits(drain_seconds=value)


def test_messages_are_bounded_and_clean() -> None:
    body = StatusError(422, "x\x1b[31m" * 1_000_000).body("tei")
    assert len(body) < 1200
    assert b"\\u001b" not in body


def test_connections_fit_the_file_descriptors() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
        "from edge_embed.server import Limits\n"
        "from edge_embed.server.limits import within_descriptors\n"
        "print(within_descriptors(Limits()).connections)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "128\n"
    assert within_descriptors(Limits(connections=10)).connections == 10


def test_a_socket_file_of_a_successor_stays(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        first.bind(str(path))
        own = _inode(path)
        path.rename(tmp_path / "kept")  # so that the inode is not given out again
        second.bind(str(path))
        _remove_own(path, own)
        assert stat.S_ISSOCK(path.stat().st_mode)
        _remove_own(path, _inode(path))
        assert not path.exists()
