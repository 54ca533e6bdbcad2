"""Every error that edge_embed raises on purpose.

    EdgeEmbedError
    ├── ModelNotFoundError      no such folder, shipped model or hub repository
    ├── ModelFormatError        the folder is there, but a file in it is missing or broken
    ├── InputError              the caller's text, option or file is wrong (also a ValueError)
    │   ├── DamagedIndexError   an index file is damaged, or was not written by this package
    │   └── TextError           one text of several is wrong; the message says which
    │       └── TextTooLongError    it has more tokens than the model's limit
    ├── OutputError             a result cannot be written
    ├── OverloadedError         the queue is full; try again later
    ├── SearchEngineError       a search engine cannot be reached, or refuses
    ├── ClusterError            a Ray cluster cannot be reached, or cannot finish its work
    ├── MissingExtraError       an optional dependency is not installed (also an ImportError)
    └── UnsupportedProcessorError   the processor is too old (also an ImportError)

Each message is one line that names the thing and the remedy; the command line prints it unchanged.
"""

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "ClusterError",
    "DamagedIndexError",
    "EdgeEmbedError",
    "InputError",
    "MissingExtraError",
    "ModelFormatError",
    "ModelNotFoundError",
    "OutputError",
    "OverloadedError",
    "SearchEngineError",
    "TextError",
    "TextTooLongError",
    "UnsupportedProcessorError",
]


class EdgeEmbedError(Exception):
    """The base of every error that edge_embed raises on purpose."""


class ModelNotFoundError(EdgeEmbedError):
    """A model name that is neither a folder, a shipped model nor a reachable hub repository."""


class ModelFormatError(EdgeEmbedError):
    """A model folder with a missing, damaged or contradictory file."""


class InputError(EdgeEmbedError, ValueError):
    """A text, an option or an input file that cannot be used as it is."""


class TextError(InputError):
    """One of several texts cannot be used as it is; the message says which."""

    def __init__(self, index: int, fault: str, *, place: str | None = None) -> None:
        named = f"text {index}" if place is None else f"{place}: the text"
        super().__init__(f"{named} {fault}")
        self.index = index
        """The text's index in the caller's input, from 0."""
        self.fault = fault
        """What is wrong, such as ``is not a string but int``."""
        self.place = place
        """Where the text is, such as ``texts.txt, line 3``; if None, the message has its index."""

    def numbered(self, index: int) -> "Self":
        """Return the same error with another index."""
        return type(self)(index, self.fault)

    def at(self, place: str) -> "Self":
        """Return the same error with a place."""
        return type(self)(self.index, self.fault, place=place)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the error, so that it can be raised in another process."""
        return partial(type(self), place=self.place), (self.index, self.fault)


class TextTooLongError(TextError):
    """A text with more tokens than the model's limit, with ``truncation="error"``."""


class DamagedIndexError(InputError):
    """An index file that is damaged, or was made by something else."""


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


class UnsupportedProcessorError(EdgeEmbedError, ImportError):
    """A processor without instruction sets that numpy and openvino are compiled for."""
