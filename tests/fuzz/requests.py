"""Requests at random to every path of a server: an answer or an error of the client's, in time."""

import asyncio
import copy
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from edge_embed.server import Service
from edge_embed.server.app import ENDPOINTS
from edge_embed.tasks import Index
from tests.fuzz.outcome import WILD, Outcome
from tests.support.serving import running, source

__all__ = ["fuzz_requests"]

# Longest that one answer may take; the largest requests are read in a second.
_SECONDS = 20.0
_LONGEST_ERROR = 2000
_VALUES: list[Any] = [*WILD, "a text", 1.5, [1, 2], ["a", "b"], [["a"]], [1, "a"], {"n": 1}]
_VALUES += [["word"] * 3000, "word " * 50_000, {"a": {"b": [None]}}, [0] * 5000, "\0", "\x1b[2J"]
_BODIES = [b"", b"{", b"[" * 100_000, b"NaN", b"null", b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}"]
_BODIES += [b'{"inputs": 1e999}', b'{"inputs": "\\ud83d"}', b"\x1f\x8b\x08", b'{"a":' * 2000]
_HEADERS: list[dict[bytes, bytes]] = [
    {b"content-type": b"text/plain"},
    {b"content-encoding": b"gzip"},
    {b"authorization": b"Bearer \xff"},
    {b"x-forwarded-for": b"1.2.3.4, evil", b"x-forwarded-host": b"evil.example"},
    {b"x-forwarded-prefix": b"/../..", b"forwarded": b"host=evil"},
    {b"accept": b"text/html"},
    {b"connection": b"upgrade", b"upgrade": b"h2c"},
    {b"expect": b"100-continue"},
]


def fuzz_requests(outcome: Outcome, rng: random.Random, model: Path, count: int) -> None:
    """Send so many requests to an application in this process."""
    asyncio.run(_fuzz(outcome, rng, model, count))


async def _fuzz(outcome: Outcome, rng: random.Random, model: Path, count: int) -> None:
    served = source(model)
    dim = served.load().dim
    with (
        tempfile.TemporaryDirectory() as folder,
        Index.create(Path(folder, "a.index"), dim=dim) as index,
    ):
        vectors = np.random.default_rng(0).normal(size=(20, dim))
        index.add([f"text {n}" for n in range(20)], vectors, metadata=[{"n": n} for n in range(20)])
        async with running(Service([served], index=index)) as http:
            for _ in range(count):
                await _one(outcome, rng, http)


async def _one(outcome: Outcome, rng: random.Random, http: httpx.AsyncClient) -> None:
    endpoint = rng.choice(ENDPOINTS)
    method, path = endpoint.method, endpoint.path
    headers: dict[bytes, bytes] = {}
    body = b"" if method == "GET" else _body(rng, dict(endpoint.example))
    if rng.random() < 0.1:
        headers = rng.choice(_HEADERS)
    if rng.random() < 0.05:
        method = rng.choice(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "X" * 100])
    if rng.random() < 0.05:
        path = rng.choice([path + "/", path + "/../../etc", path.upper(), "/a" * 500, "/%00"])
    outcome.tried["request"] += 1
    started = time.monotonic()
    told = f"{method} {path} {headers or ''} {body[:300]!r}"
    try:
        answer = await http.request(method, path, content=body, headers=headers)
    except Exception as error:  # noqa: BLE001 - the point
        outcome.fell.append(f"{told}: {type(error).__name__}: {error}")
        return
    if time.monotonic() - started > _SECONDS:
        outcome.fell.append(f"{told}: took {time.monotonic() - started:.0f} s")
    if answer.status_code >= 400:
        outcome.refused["request"] += 1
        _check_error(outcome, told, answer)


def _check_error(outcome: Outcome, told: str, answer: httpx.Response) -> None:
    if answer.status_code >= 500 and answer.status_code != 503:
        outcome.fell.append(f"{told}: status {answer.status_code}")
    if len(answer.content) > _LONGEST_ERROR:
        outcome.fell.append(f"{told}: an error of {len(answer.content)} bytes")
    if answer.request.method != "HEAD":
        try:
            json.loads(answer.content)
        except ValueError:
            outcome.fell.append(f"{told}: an error that is no JSON: {answer.content[:100]!r}")


def _body(rng: random.Random, example: dict[str, object]) -> bytes:
    if rng.random() < 0.1:
        return rng.choice(_BODIES)
    document = copy.deepcopy(example)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        _change(rng, document)
    return json.dumps(document).encode()


def _change(rng: random.Random, document: dict[str, Any]) -> None:
    place: Any = document
    while isinstance(place, (dict, list)) and place:
        key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
        below = place[key]
        if not isinstance(below, (dict, list)) or not below or rng.random() < 0.5:
            place[key] = copy.deepcopy(rng.choice(_VALUES))
            return
        place = below
