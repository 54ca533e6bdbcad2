"""Endpoints: a path with its handler and the types of request and answer.

The types serve for reading, writing and the OpenAPI schema. To add a path, add an
:class:`Endpoint` to a list in :mod:`edge_embed.server.api`.
"""

import codecs
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import numpy as np
from starlette.responses import Response

from edge_embed.files.json_values import find_surrogate
from edge_embed.server.errors import Protocol, StatusError
from edge_embed.server.request import Caller
from edge_embed.server.service import Service

__all__ = [
    "INPUTS_SCHEMA",
    "Endpoint",
    "Handler",
    "Inputs",
    "Matrix",
    "Vector",
    "read_inputs",
]

# Takes the service, the request's body (None with GET) and the caller; returns a value of the
# endpoint's answer type, bytes if that is None, or a whole response.
Handler = Callable[[Service, Any, Caller], Awaitable[object]]

# Arrays of float32 in answers, as the schema shows them.
Vector = Annotated[
    Any, msgspec.Meta(extra_json_schema={"type": "array", "items": {"type": "number"}})
]
Matrix = Annotated[
    Any,
    msgspec.Meta(
        extra_json_schema={
            "type": "array",
            "items": {"type": "array", "items": {"type": "number"}},
        }
    ),
]

INPUTS_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
        {
            "type": "array",
            "items": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
            "minItems": 1,
        },
    ]
}

# A text, texts, token ids or lists of token ids; msgspec cannot distinguish kinds of lists, which
# is done in read_inputs.
Inputs = str | list[str | int | list[int]]

# Answers to more texts are encoded in a thread, as that takes milliseconds.
_FEW_TEXTS = 32


@dataclass(frozen=True)
class Endpoint:
    """A path that takes JSON with POST, or is read with GET."""

    path: str
    protocol: Protocol
    """The protocol that decides the form of its errors."""
    body: type | None
    """The type of the request's body, a msgspec struct; None for GET."""
    answer: Any
    """The type of the answer; None if it is not JSON."""
    handler: Handler
    summary: str
    example: Mapping[str, object] = field(default_factory=dict)
    """An example of a request's body."""
    media_type: str = "application/json"
    problems: Mapping[int, str] = field(default_factory=dict)
    """For GET: statuses besides 200 and 401, with a description."""
    without_key: bool = False
    """Whether it needs no API key."""

    @property
    def method(self) -> str:
        """``POST`` with a body, else ``GET``."""
        return "GET" if self.body is None else "POST"

    async def respond(self, service: Service, caller: Caller) -> Response:
        """Answer the request of ``caller``.

        Raises:
            Exception: any error; :mod:`edge_embed.server.app` turns it into an answer.
        """
        try:
            return await self._respond(service, caller)
        finally:
            caller.finish()

    async def _respond(self, service: Service, caller: Caller) -> Response:
        if self.body is None:
            answer = await self.handler(service, None, caller)
            if isinstance(answer, Response):
                return answer
            content = answer if isinstance(answer, bytes) else _encode(answer)
            return Response(content, media_type=self.media_type)
        # Ollama's documentation calls it with curl -d, which says that JSON is a form.
        body = _decode(await caller.body(any_type=self.protocol == "ollama"), self.body)
        with caller.in_time():
            answer = await self.handler(service, body, caller)
            with caller.stage("write"):
                if caller.texts > _FEW_TEXTS:
                    content = await caller.run("long", lambda: _encode(answer))
                else:
                    content = _encode(answer)
        return Response(content, media_type=self.media_type)


def read_inputs(inputs: Inputs) -> list[str] | list[list[int]]:
    """Return inputs as a list of texts or a list of token id lists.

    Raises:
        StatusError: they are mixed.
    """
    if isinstance(inputs, str):
        return [inputs]
    texts = [item for item in inputs if isinstance(item, str)]
    lists = [item for item in inputs if isinstance(item, list)]
    ids = [item for item in inputs if isinstance(item, int)]
    if len(texts) == len(inputs):
        return texts
    if len(lists) == len(inputs):
        return lists
    if len(ids) == len(inputs):
        return [ids]
    raise StatusError(
        422, "the input mixes texts, token ids and lists: send a text, texts, ids, or lists of ids"
    )


def _decode(body: bytes, kind: type) -> object:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        # msgspec's message about a choice quotes the request, which errors must not contain.
        raise StatusError(
            422, re.sub(r"^(Invalid enum value) .* - at", r"\1 - at", str(error))
        ) from None
    except (RecursionError, OverflowError):
        raise StatusError(400, "the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StatusError(400, f"the body is no JSON: {_what_it_is(body) or error}") from None


def _what_it_is(body: bytes) -> str | None:
    """Return a message for common mistakes of clients; None for anything else."""
    if body.startswith(b"\x1f\x8b"):
        return "it is compressed with gzip; send it as it is"
    if body.startswith(codecs.BOM_UTF8):
        return "it begins with a byte order mark; leave that out"
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in body[:4]:
        return "it is UTF-16; send UTF-8"
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return "it is not UTF-8"
    try:
        half = find_surrogate(json.loads(text))
    except (ValueError, RecursionError):
        return None
    if half is not None:
        return f"a text holds half a surrogate pair (U+{ord(half):04X}), such as a cut emoji leaves"
    return None


def _encode(answer: object) -> bytes:
    return msgspec.json.encode(answer, enc_hook=_numbers)


def _numbers(value: object) -> object:
    """Convert arrays to lists, rounded to the digits of float32; more would double the size."""
    if isinstance(value, np.ndarray):
        if value.ndim > 1:
            return list(value)  # row by row, as Python's numbers take four times the memory
        return value.astype(np.float64).round(8).tolist()
    raise NotImplementedError(f"an answer holds {type(value).__name__}")
