"""A server under load and under attack: what is refused, what fails, and that it goes on."""

import asyncio
import base64
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from edge_embed import Embedder
from edge_embed.errors import EdgeEmbedError, InputError
from edge_embed.runtime.batch import Batch
from edge_embed.server import ApiKeys, Limits, ModelSource, Service, create_app
from tests.support.serving import WAIT, client, running, source, with_client

TEXT = "the text that no log and no error may hold"


class Engine:
    """An engine that waits at a gate, and fails where it is told to."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.requests, self.packed = 1, engine.packed
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.poison: int | None = None
        """A batch with this token fails."""
        self.batches = 0

    def run(self, batches: Iterable[Batch], out: npt.NDArray[np.float32]) -> None:
        for batch in batches:
            self.entered.set()
            assert self.gate.wait(WAIT)
            self.batches += 1
            if self.poison is not None and self.poison in batch.inputs["input_ids"]:
                raise EdgeEmbedError("inference failed: out of luck")
            self._engine.run([batch], out)


class Guarded:
    """A service whose engine a test holds in its hand."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.embedder = Embedder(folder, cache=False)
        self.engine = Engine(self.embedder.engine)
        self.embedder.engine = self.engine  # type: ignore[assignment]
        source = ModelSource("tiny", lambda: self.embedder, folder, 1)
        self.service = Service([source], **options)

    def test(self, test: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
        async def run() -> None:
            async with running(self.service) as http:
                self.engine.entered.clear()  # forget the inference that made it ready
                self.engine.batches = 0
                try:
                    await asyncio.wait_for(test(http), WAIT)
                finally:
                    self.engine.gate.set()

        asyncio.run(run())

    @property
    def waiting(self) -> int:
        return self.service.pool.loaded[0].waiting_tokens

    async def until_at_work(self) -> None:
        await asyncio.to_thread(self.engine.entered.wait, WAIT)

    async def until_waiting(self, tokens: int) -> None:
        while self.waiting != tokens:
            await asyncio.sleep(0.001)

    def counted(self, line: str) -> float:
        text = self.service.metrics.text().decode()
        return next((float(x.split()[-1]) for x in text.splitlines() if x.startswith(line)), 0.0)


@pytest.mark.parametrize(
    ("path", "field"),
    [("/v1/embeddings", "input"), ("/embed", "inputs"), ("/", "inputs"), ("/v1/dedup", "texts")],
)
def test_a_full_queue_refuses_at_once_on_every_path(
    tiny_model: Path, path: str, field: str
) -> None:
    server = Guarded(tiny_model, limits=Limits(queue_tokens=20))

    async def test(http: httpx.AsyncClient) -> None:
        server.engine.gate.clear()
        first = asyncio.create_task(http.post(path, json={field: ["a"]}))
        await server.until_at_work()
        others = [asyncio.create_task(http.post(path, json={field: ["a b"]})) for _ in range(5)]
        await server.until_waiting(20)
        refused = await http.post(path, json={field: ["a b"]})
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        server.engine.gate.set()
        answers = await asyncio.gather(first, *others)
        assert [answer.status_code for answer in answers] == [200] * 6
        assert (await http.post(path, json={field: ["a"]})).status_code == 200
        too_many = await http.post(path, json={field: ["a b"] * 6})
        assert too_many.status_code == 413
        assert "has 24 tokens, the server takes 20" in too_many.text

    server.test(test)
    assert server.counted('edge_embed_rejected_requests_total{reason="overload"}') == 1
    assert server.engine.batches < 6  # those that waited shared a batch


def test_too_many_requests_at_a_time(tiny_model: Path) -> None:
    server = Guarded(tiny_model, limits=Limits(requests=2))

    async def test(http: httpx.AsyncClient) -> None:
        server.engine.gate.clear()
        two = [asyncio.create_task(http.post("/embed", json={"inputs": "a"})) for _ in range(2)]
        await server.until_at_work()
        refused = await http.post("/embed", json={"inputs": "a"})
        assert (refused.status_code, refused.json()["error_type"]) == (429, "Overloaded")
        assert (await http.get("/metrics")).status_code == 200
        server.engine.gate.set()
        assert [answer.status_code for answer in await asyncio.gather(*two)] == [200, 200]

    server.test(test)


def test_who_goes_away_leaves_the_queue(tiny_model: Path) -> None:
    server = Guarded(tiny_model)
    app = create_app(server.service)

    async def test(http: httpx.AsyncClient) -> None:
        server.engine.gate.clear()
        first = asyncio.create_task(http.post("/embed", json={"inputs": "a"}))
        await server.until_at_work()
        gone = asyncio.Event()
        body = [{"type": "http.request", "body": b'{"inputs": ["a b", "c"]}', "more_body": False}]

        async def receive() -> Any:
            if body:
                return body.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        leaving = asyncio.create_task(post_raw(app, receive))
        await server.until_waiting(7)
        gone.set()
        await server.until_waiting(0)
        assert await leaving == 499
        server.engine.gate.set()
        assert (await first).status_code == 200
        assert server.engine.batches == 1

    server.test(test)


def test_a_request_waits_no_longer_than_stated(tiny_model: Path) -> None:
    server = Guarded(tiny_model, limits=Limits(request_seconds=0.05))

    async def test(http: httpx.AsyncClient) -> None:
        server.engine.gate.clear()
        late = await http.post("/embed", json={"inputs": "a"})
        assert late.status_code == 503
        assert "no result after 0.05 seconds" in late.json()["error"]
        server.engine.gate.set()
        while (await http.post("/embed", json={"inputs": "a"})).status_code != 200:
            pass

    server.test(test)


def test_a_request_waits_no_longer_for_a_model_to_be_loaded(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_embed.embedder.Embedder.warm_up", lambda _: None)
    loading = threading.Event()

    def load() -> Embedder:
        assert loading.wait(WAIT)
        return Embedder(tiny_model, cache=False)

    slow = ModelSource.find("slow", str(tiny_model), load)

    async def test(http: httpx.AsyncClient) -> None:
        body = {"input": "a", "model": "slow"}
        late = await http.post("/v1/embeddings", json=body)
        assert late.status_code == 503
        assert "no result after 1 seconds" in late.json()["error"]["message"]
        loading.set()
        while (await http.post("/v1/embeddings", json=body)).status_code != 200:
            pass

    try:
        with_client(Service([source(tiny_model), slow], limits=Limits(request_seconds=1)), test)
    finally:
        loading.set()


def test_a_failing_inference_fails_its_own_batch(
    tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Guarded(tiny_model)
    poison = server.embedder.tokenizer(["?"]).ids[0].tolist()[1]

    async def test(http: httpx.AsyncClient) -> None:
        server.engine.poison = poison
        bad = await http.post("/v1/embeddings", json={"input": f"{TEXT} ?"})
        assert bad.status_code == 500
        assert bad.json()["error"]["type"] == "server_error"
        bad = await http.post("/embed", json={"inputs": f"{TEXT} ?"})
        assert (bad.status_code, bad.json()["error_type"]) == (500, "Backend")
        assert TEXT not in bad.text
        good = await http.post("/embed", json={"inputs": TEXT})
        assert good.status_code == 200

    with caplog.at_level(logging.DEBUG):
        server.test(test)
    assert "out of luck" in caplog.text
    assert TEXT not in caplog.text


def test_sizes(tiny_model: Path) -> None:
    server = Guarded(tiny_model, limits=Limits(body_bytes=1000, inputs=3))

    async def chunks() -> Any:
        for _ in range(100):
            yield b" " * 100

    async def test(http: httpx.AsyncClient) -> None:
        json = {"content-type": "application/json"}
        large = await http.post("/embed", json={"inputs": TEXT * 100})
        assert large.status_code == 413
        assert "the server takes 1000 bytes" in large.json()["error"]
        large = await http.post("/embed", content=chunks(), headers=json)
        assert (large.status_code, large.headers["connection"]) == (413, "close")
        for path, body in (
            ("/embed", {"inputs": ["a"] * 4}),
            ("/v1/embeddings", {"input": ["a"] * 4}),
            ("/similarity", {"inputs": {"source_sentence": "a", "sentences": ["b"] * 3}}),
            ("/v1/similarity", {"texts": ["a", "b"], "others": ["c", "d"]}),
            ("/v1/dedup", {"texts": ["a"] * 4}),
            ("/tokenize", {"inputs": ["a"] * 4}),
            ("/decode", {"ids": [[1]] * 4}),
        ):
            many = await http.post(path, json=body)
            assert many.status_code == 413, path
            assert "4 inputs, the server takes 3" in many.text

    server.test(test)
    assert server.counted('edge_embed_rejected_requests_total{reason="size"}') == 9


def test_a_slow_body(tiny_model: Path) -> None:
    server = Guarded(tiny_model, limits=Limits(client_seconds=0.05))

    async def test(http: httpx.AsyncClient) -> None:
        parts: list[Any] = [{"type": "http.request", "body": b"{", "more_body": True}]

        async def receive() -> Any:
            if not parts:
                await asyncio.sleep(WAIT)
            return parts.pop()

        assert await post_raw(create_app(server.service), receive) == 408

    server.test(test)


async def post_raw(app: Any, receive: Any) -> int:
    """Post to /embed with a body that the test hands over message by message."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/embed"}
    scope |= {"headers": headers}
    scope |= {"query_string": b"", "http_version": "1.1", "root_path": "", "scheme": "http"}
    await app(scope, receive, send)
    status: int = sent[0]["status"]
    return status


PATHS = (
    "/",
    "/ready",
    "/health",
    "/metrics",
    "/docs",
    "/openapi.json",
    "/v1/models",
    "/info",
    "/x",
)


def test_keys(tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# for the shop\nfirst-key\n\nsecond-key \n")
    server = Guarded(tiny_model, keys=ApiKeys.from_file(file))

    def basic(key: str) -> str:
        return f"Basic {base64.b64encode(key.encode()).decode()}"

    async def test(http: httpx.AsyncClient) -> None:
        assert (await http.get("/live")).status_code == 200
        wrong = (
            "",
            "Bearer",
            "Bearer ",
            "Bearer first",
            "first-key",
            "Basic %",
            basic("first-key"),
        )
        for value in wrong:
            headers = {"authorization": value}
            for path in PATHS:
                assert (await http.get(path, headers=headers)).status_code == 401, path
            refused = await http.post("/v1/embeddings", content=b"{", headers=headers)
            assert refused.status_code == 401
            assert refused.json()["error"]["type"] == "authentication_error"
            assert refused.headers["www-authenticate"].startswith("Basic")
        for value in ("Bearer first-key", "bearer second-key", basic("me:first-key")):
            headers = {"authorization": value}
            answer = await http.post("/embed", json={"inputs": "a"}, headers=headers)
            assert answer.status_code == 200
            assert (await http.get("/x", headers=headers)).status_code == 404

    server.test(test)
    assert server.engine.batches == 3
    file.write_text("# nothing\n")
    with pytest.raises(InputError, match="there is no API key"):
        ApiKeys.from_file(file)
    with pytest.raises(InputError, match="cannot read the API keys"):
        ApiKeys.from_file(tmp_path / "nowhere")


def test_not_ready_before_the_model_is(tiny_model: Path) -> None:
    async def test() -> None:
        service = Service([source(tiny_model)])
        async with client(create_app(service)) as http:
            assert (await http.get("/live")).status_code == 200
            assert (await http.get("/ready")).status_code == 503
            # A request that comes early waits for the model.
            assert (await http.post("/embed", json={"inputs": "a"})).status_code == 200
            await service.start()
            assert (await http.get("/ready")).status_code == 200
            service.stopping = True
            assert (await http.get("/health")).status_code == 503
        await service.close()

    asyncio.run(test())


def test_results_are_never_mixed_up(tiny_model: Path, corpus: list[str]) -> None:
    server = Guarded(tiny_model)
    texts = corpus[:200]
    truth = Embedder(tiny_model, cache=False).encode(texts, normalize=True, truncation="ignore")

    async def test(http: httpx.AsyncClient) -> None:
        async def ask(start: int, count: int) -> None:
            body = {"inputs": texts[start : start + count], "truncate": True}
            answer = (await http.post("/embed", json=body)).json()
            cosines = np.sum(np.array(answer) * truth[start : start + count], axis=1)
            assert cosines.min() > 0.999

        sizes = np.random.default_rng(0).integers(1, 12, 60).tolist()
        await asyncio.gather(*(ask(3 * number, size) for number, size in enumerate(sizes)))

    server.test(test)


def test_limits_are_above_zero() -> None:
    with pytest.raises(InputError, match="queue tokens is 0"):
        Limits(queue_tokens=0)
