"""What a server takes at most, so that no client can take it all."""

from dataclasses import dataclass

from edge_embed.errors import InputError

__all__ = ["Limits"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of work and time; past one, a request is answered with an error at once."""

    body_bytes: int = 8 << 20
    """Largest request body."""
    inputs: int = 2048
    """Most texts a request."""
    queue_tokens: int = 131_072
    """Most tokens that wait for a model."""
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
            if value <= 0:
                raise InputError(f"{name.replace('_', ' ')} is {value}; it must be above 0")
