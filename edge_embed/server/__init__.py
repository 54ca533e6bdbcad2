"""An HTTP server for embeddings: OpenAI's protocol, text-embeddings-inference's, and our own.

    edge-embed serve --model DIR

A request passes through :mod:`~edge_embed.server.connection` (time limits of connections),
:mod:`~edge_embed.server.app` (keys, limit of requests, errors), :mod:`~edge_embed.server.endpoint`
(reads the body, writes the answer), the protocol's handler in ``api/``
(:mod:`~edge_embed.server.api.openai`, :mod:`~edge_embed.server.api.tei`,
:mod:`~edge_embed.server.api.tasks`, ...), :mod:`~edge_embed.server.served_model` (texts to
vectors), and the model's queue (:mod:`edge_embed.runtime.dynamic_batcher`).
"""

from edge_embed.errors import MissingExtraError

try:
    import httptools  # noqa: F401
    import msgspec  # noqa: F401
    import prometheus_client  # noqa: F401
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtraError("the server", "server", error.name or "uvicorn") from error

from edge_embed.server.app import create_app
from edge_embed.server.auth import ApiKeys
from edge_embed.server.hosts import AllowedHosts
from edge_embed.server.limits import Limits
from edge_embed.server.priority import behind_answers
from edge_embed.server.run import Listen, serve
from edge_embed.server.served_model import ModelSource
from edge_embed.server.service import Service

__all__ = [
    "AllowedHosts",
    "ApiKeys",
    "Limits",
    "Listen",
    "ModelSource",
    "Service",
    "behind_answers",
    "create_app",
    "serve",
]
