"""The part of Qdrant's REST interface that edge_embed uses, in front of the client's local mode.

It is there because a server's URL takes the client's other half, which writes requests as JSON and
reads answers back. Paths and bodies are those of Qdrant's OpenAPI description.
"""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from qdrant_client import QdrantClient, models
from qdrant_client.http.models import (
    CountRequest,
    CreateCollection,
    PointIdsList,
    PointsList,
    QueryRequestBatch,
    ScrollRequest,
)

__all__ = ["QdrantRest"]

_store = QdrantClient(":memory:")


def _create(name: str, body: bytes) -> bool:
    asked = CreateCollection.model_validate_json(body)
    assert asked.vectors is not None
    return _store.create_collection(name, vectors_config=asked.vectors, metadata=asked.metadata)


def _upsert(name: str, body: bytes) -> Any:
    return _store.upsert(name, PointsList.model_validate_json(body).points)


def _delete(name: str, body: bytes) -> Any:
    return _store.delete(name, PointIdsList.model_validate_json(body))


def _query(name: str, body: bytes) -> Any:
    return _store.query_batch_points(name, QueryRequestBatch.model_validate_json(body).searches)


def _scroll(name: str, body: bytes) -> Any:
    asked = ScrollRequest.model_validate_json(body)
    assert asked.limit is not None
    points, following = _store.scroll(
        name, limit=asked.limit, offset=asked.offset, with_payload=asked.with_payload or False
    )
    return models.ScrollResult(points=points, next_page_offset=following)


def _count(name: str, body: bytes) -> Any:
    return _store.count(name, exact=bool(CountRequest.model_validate_json(body).exact))


_ANSWERS: dict[tuple[str, str], Callable[[str, bytes], Any]] = {
    ("GET", ""): lambda name, body: _store.get_collection(name),
    ("GET", "/exists"): lambda name, body: {"exists": _store.collection_exists(name)},
    ("PUT", ""): _create,
    ("PUT", "/points"): _upsert,
    ("POST", "/points/delete"): _delete,
    ("POST", "/points/query/batch"): _query,
    ("POST", "/points/scroll"): _scroll,
    ("POST", "/points/count"): _count,
}


class QdrantRest(BaseHTTPRequestHandler):
    """Answers one request."""

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        _, _, name, *rest = self.path.partition("?")[0].split("/")
        action = "".join(f"/{part}" for part in rest)
        result = _plain(_ANSWERS[self.command, action](name, body))
        answer = json.dumps({"status": "ok", "time": 0.0, "result": result}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value
