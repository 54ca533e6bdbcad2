"""What a server takes at most, so that no client can take it all."""

import math
import sys
from contextlib import suppress
from dataclasses import dataclass, replace

from edge_embed.errors import InputError

__all__ = ["Limits", "within_descriptors"]

# Files that are open besides connections: models, an index, those of requests in threads.
_OTHER_DESCRIPTORS = 128


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of work and time; past one, a request is answered with an error at once."""

    body_bytes: int = 8 << 20
    """Largest request body."""
    inputs: int = 2048
    """Most texts a request."""
    queue_tokens: int = 131_072
    """Most tokens that wait for a model."""
    held_bytes: int = 64 << 20
    """Most bytes of request bodies held at a time."""
    answer_bytes: int = 64 << 20
    """Largest answer, as estimated before it is computed."""
    results: int = 10_000
    """Most hits a search: its queries times k."""
    requests: int = 256
    """Most requests answered at a time; their texts wait in the queues."""
    connections: int = 1024
    """Most open connections; further ones are closed."""
    request_seconds: float = 60.0
    """Longest that a request waits for its vectors."""
    client_seconds: float = 10.0
    """Longest that a client may take for its headers, and again for its body."""
    drain_seconds: float = 30.0
    """Longest that a stop waits for requests at work."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (value > 0 and math.isfinite(value)):
                raise InputError(
                    f"{name.replace('_', ' ')} is {value}; it must be a number above 0"
                )


def within_descriptors(limits: Limits) -> Limits:
    """Return limits whose connections fit the file descriptors that this process may have.

    The soft limit is raised to the hard one first; an accept beyond fails, again and again.
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
