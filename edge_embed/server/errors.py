"""Errors as HTTP answers: the status of each error, and the body in each protocol.

    400  the body is not JSON                   415  the content type is not JSON
    401  the API key is missing or wrong        422  JSON with a wrong type or value
    403  the Host header has another name       424  the served pair model cannot do it
    404  no such path, model or index           429  overloaded: try again after Retry-After
    405  the path takes another method          499  the client has disconnected (log only)
    408  the body was sent too slowly           500  the computation failed
    413  too large                              503  not ready, or not done in time

No message contains a text of the request; names in it are quoted up to 40 characters.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from edge_embed.errors import (
    DamagedIndexError,
    EdgeEmbedError,
    InputError,
    OverloadedError,
    TextTooLongError,
)

__all__ = [
    "STATUSES",
    "OllamaError",
    "OpenAIError",
    "OpenAIErrorBody",
    "Protocol",
    "StatusError",
    "TeiError",
]

Protocol = Literal["openai", "tei", "ollama"]

_MAX_MESSAGE = 1000

STATUSES: Mapping[int, str] = {
    400: "The body is no JSON.",
    401: "The API key is missing or wrong.",
    403: "The server was called by a name that it does not answer to.",
    404: "No such path, model or index.",
    405: "The path takes another method.",
    408: "The body came too slowly.",
    413: "The request is too large.",
    415: "The content type is not application/json.",
    422: "A type or value is wrong.",
    429: "Overloaded: try again after Retry-After seconds.",
    500: "The computation failed.",
    503: "Not ready, or not done in time.",
}


class StatusError(EdgeEmbedError):
    """An error with an HTTP status."""

    def __init__(
        self, status: int, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, error: BaseException) -> "StatusError":
        """Return the status and message to answer for any error."""
        if isinstance(error, StatusError):
            return error
        if isinstance(error, TextTooLongError):
            return cls(413, str(error))
        if isinstance(error, InputError) and not isinstance(error, DamagedIndexError):
            return cls(422, str(error))
        if isinstance(error, OverloadedError):
            return cls(429, str(error), headers={"Retry-After": str(error.retry_after)})
        # Other errors are only logged, as their messages may name files.
        return cls(500, "the computation failed; the server's log says why")

    def body(self, protocol: Protocol) -> bytes:
        """Return the error as JSON in the form of the protocol."""
        message = "".join(c if c.isprintable() else " " for c in str(self)[:_MAX_MESSAGE])
        if protocol == "ollama":
            return msgspec.json.encode(OllamaError(message))
        if protocol == "tei":
            kind = {429: "Overloaded", 500: "Backend", 503: "Unhealthy"}.get(
                self.status, "Validation"
            )
            return msgspec.json.encode(TeiError(message, kind))
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(
            self.status, "server_error" if self.status >= 500 else "invalid_request_error"
        )
        return msgspec.json.encode(OpenAIErrorBody(OpenAIError(message, kind)))


class TeiError(msgspec.Struct):
    """An error as text-embeddings-inference writes it."""

    error: str
    error_type: str


class OllamaError(msgspec.Struct):
    """An error as Ollama writes it."""

    error: str


class OpenAIError(msgspec.Struct):
    """The inner part of an error of OpenAI's protocol."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class OpenAIErrorBody(msgspec.Struct):
    """An error as OpenAI writes it."""

    error: OpenAIError
