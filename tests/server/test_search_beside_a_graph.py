"""Searches over HTTP while the index's graph of neighbours is made, however long that takes."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from edge_embed.server import Limits, Service
from edge_embed.tasks import Index
from edge_embed.tasks.index import hnsw_file, hnsw_rebuild, store
from edge_embed.tasks.index import index as index_module
from tests.support.serving import source, with_client

COUNT, DIM = 300, 32
LIMITS = Limits(request_seconds=1)
QUERY = {"query": "word", "k": 3}


class SlowGraph:
    """A graph whose parts are added more slowly than a request may take."""

    def __init__(self, graph: Any, pause: Callable[[], object]) -> None:
        self._graph, self._pause = graph, pause

    def add(self, *arguments: Any, **options: Any) -> None:
        self._pause()
        self._graph.add(*arguments, **options)

    def __len__(self) -> int:
        return len(self._graph)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._graph, name)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a graph from 50 entries on, in parts of 20; load models without a warm-up."""
    pytest.importorskip("usearch", reason="needs usearch (the extra 'index')")
    monkeypatch.setattr(index_module, "_EXACT", 50)
    monkeypatch.setattr(store, "_BLOCK", 20)
    monkeypatch.setattr("edge_embed.server.priority._lower_priority", lambda: None)
    monkeypatch.setattr("edge_embed.embedder.Embedder.warm_up", lambda _: None)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    path = tmp_path / "i.index"
    with Index.create(path, dim=DIM) as made:
        made.add(
            [f"text {n}" for n in range(COUNT)], np.random.default_rng(0).normal(size=(COUNT, DIM))
        )
    with Index(path, background=True) as opened:
        yield opened


def slow_down(monkeypatch: pytest.MonkeyPatch, pause: Callable[[], object]) -> None:
    graph = hnsw_file._graph
    monkeypatch.setattr(hnsw_file, "_graph", lambda dim: SlowGraph(graph(dim), pause))


async def search(http: httpx.AsyncClient) -> list[str]:
    answer = await http.post("/v1/search", json=QUERY)
    assert answer.status_code == 200, answer.text
    return [hit["id"] for hit in answer.json()["hits"][0]]


def test_a_graph_that_takes_longer_than_a_request_is_made_and_searches_are_answered(
    tiny_model: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_down(monkeypatch, lambda: time.sleep(0.2))  # 3 seconds in all

    async def ask(http: httpx.AsyncClient) -> None:
        started, answers = time.monotonic(), []
        while not index.info().neighbours:
            assert time.monotonic() - started < 30, "each search began it anew"
            answers += await asyncio.gather(*(search(http) for _ in range(6)))
        assert index.info().neighbours == COUNT
        assert time.monotonic() - started > LIMITS.request_seconds
        assert await search(http) == answers[0] == answers[-1]

    with_client(Service([source(tiny_model)], limits=LIMITS, index=index), ask)


def test_a_graph_that_does_not_end_stops_with_the_index(
    tiny_model: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_down(monkeypatch, lambda: time.sleep(0.5))

    async def ask(http: httpx.AsyncClient) -> None:
        await search(http)

    with_client(Service([source(tiny_model)], limits=LIMITS, index=index), ask)
    started = time.monotonic()
    index.close()
    assert time.monotonic() - started < 2
    assert not list(index.store.path.parent.glob("*neighbours*"))


@pytest.mark.parametrize("error", [RuntimeError("no memory"), MemoryError()])
def test_a_graph_that_fails_is_said_and_tried_again_later(
    tiny_model: Path,
    index: Index,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    tried = threading.Semaphore(0)

    def fail() -> None:
        tried.release()
        raise error

    slow_down(monkeypatch, fail)

    async def ask(http: httpx.AsyncClient) -> None:
        for _ in range(20):
            await search(http)
            await asyncio.sleep(0.01)

    with pytest.warns(UserWarning, match="every entry is compared instead"):
        with_client(Service([source(tiny_model)], limits=LIMITS, index=index), ask)
    assert tried.acquire(blocking=False)
    assert not tried.acquire(blocking=False), "it is not tried again at each search"
    assert hnsw_rebuild._RETRY >= 10
