"""Every error that edge_embed raises on purpose.

    EdgeEmbedError
    ├── ModelNotFoundError      no such folder, shipped model or hub repository
    ├── ModelFormatError        the folder is there, but a file in it is missing or broken
    ├── InputError              the caller's text, option or file is wrong (also a ValueError)
    ├── OutputError             a result cannot be written
    ├── OverloadedError         the queue is full; try again later
    ├── SearchEngineError       Qdrant or Milvus cannot be reached, or refuses
    ├── ClusterError            a Ray cluster cannot be reached, or cannot finish its work
    └── MissingExtraError       an optional dependency is not installed (also an ImportError)

Each message names the thing and the remedy in one line: the command line prints it as it stands.
"""

__all__ = [
    "ClusterError",
    "EdgeEmbedError",
    "InputError",
    "MissingExtraError",
    "ModelFormatError",
    "ModelNotFoundError",
    "OutputError",
    "OverloadedError",
    "SearchEngineError",
]


class EdgeEmbedError(Exception):
    """The base of every error that edge_embed raises on purpose."""


class ModelNotFoundError(EdgeEmbedError):
    """A model name that is neither a folder, a shipped model nor a reachable hub repository."""


class ModelFormatError(EdgeEmbedError):
    """A model folder with a missing, damaged or contradictory file."""


class InputError(EdgeEmbedError, ValueError):
    """A text, an option or an input file that cannot be used as it is."""


class OutputError(EdgeEmbedError):
    """An output that cannot be written: no space, no permission, or already there."""


class OverloadedError(EdgeEmbedError):
    """More work is waiting than the bounded queue takes."""

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Whole seconds after which there should be room."""


class SearchEngineError(EdgeEmbedError):
    """A search engine that cannot be reached, or that refuses what it is asked."""


class ClusterError(EdgeEmbedError):
    """A Ray cluster that cannot be reached, or that cannot finish its work."""


class MissingExtraError(EdgeEmbedError, ImportError):
    """A feature whose optional dependencies are not installed."""

    def __init__(self, feature: str, extra: str, missing: str) -> None:
        super().__init__(
            f"{feature} needs the package {missing!r}: pip install 'edge-embed[{extra}]'"
        )
        self.extra = extra
