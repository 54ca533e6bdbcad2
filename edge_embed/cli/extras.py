"""Run commands that need the extra ``convert``."""

from collections.abc import Iterator
from contextlib import contextmanager

from edge_embed.errors import MissingExtraError

__all__ = ["conversion_errors"]

# Import names of the packages of the extra ``convert``.
_CONVERSION = frozenset({"edge_embed_conversion", "nncf", "optimum", "torch", "transformers"})


@contextmanager
def conversion_errors() -> Iterator[None]:
    """Turn a missing conversion tool, imported within the block, into one line with its remedy."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing not in _CONVERSION:
            raise
        raise MissingExtraError("this command", "convert", missing) from error
