"""The limits of a server, so that no client can use up its resources."""

import math
import sys
from contextlib import suppress
from dataclasses import dataclass, replace

from edge_embed.errors import InputError

__all__ = ["Limits", "within_descriptors"]

# Open files besides connections: models, an index, files of requests in threads.
_OTHER_DESCRIPTORS = 128


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of work and time; a request that exceeds one gets an error at once."""

    body_bytes: int = 8 << 20
    """The largest body of a request, in bytes."""
    inputs: int = 2048
    """The most texts of a request."""
    queue_tokens: int = 131_072
    """The most tokens in the queue of a model."""
    held_bytes: int = 32 << 20
    """The most bytes of all request bodies in memory."""
    answer_bytes: int = 64 << 20
    """The largest answer in bytes, as estimated before it is computed."""
    held_answer_bytes: int = 64 << 20
    """The most bytes of all large answers that are computed or sent, as estimated before."""
    results: int = 10_000
    """The most hits of a search: its queries times k."""
    requests: int = 256
    """The most requests being answered at a time; their texts wait in the queues."""
    connections: int = 1024
    """The most open connections; further ones are closed."""
    request_seconds: float = 60.0
    """The longest time that a request waits for its results."""
    client_seconds: float = 10.0
    """The longest time for sending the headers of a request, and again for its body."""
    drain_seconds: float = 30.0
    """The longest time that a stopping server waits for requests being answered."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (value > 0 and math.isfinite(value)):
                raise InputError(
                    f"{name.replace('_', ' ')} is {value}; it must be a number above 0"
                )


def within_descriptors(limits: Limits) -> Limits:
    """Return limits with at most as many connections as this process may have file descriptors.

    The soft limit is raised up to the hard one first. Beyond it, accepting a connection would fail
    again and again.
    """
    if sys.platform == "win32":
        return limits
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + _OTHER_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
        if soft < wanted:
            return replace(limits, connections=max(1, soft - _OTHER_DESCRIPTORS))
    return limits
