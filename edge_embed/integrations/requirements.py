"""The library and the oldest tested version of each adapter's extra."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata

from edge_embed.errors import MissingExtraError

__all__ = ["REQUIREMENTS", "Requirement", "requires"]


@dataclass(frozen=True)
class Requirement:
    """The library that an extra installs."""

    name: str
    """The library's name, for messages."""
    package: str
    """The name of its distribution on PyPI."""
    tested: str
    """The oldest version that is tested; the extra in pyproject.toml requires it or newer."""


REQUIREMENTS: Mapping[str, Requirement] = {
    "bertopic": Requirement("BERTopic", "bertopic", "0.17"),
    "chroma": Requirement("Chroma", "chromadb", "1.5"),
    "dspy": Requirement("DSPy", "dspy", "3.4"),
    "fastembed": Requirement("fastembed", "fastembed", "0.9"),
    "haystack": Requirement("Haystack", "haystack-ai", "3.4"),
    "keybert": Requirement("KeyBERT", "keybert", "0.9"),
    "lancedb": Requirement("LanceDB", "lancedb", "0.40"),
    "langchain": Requirement("LangChain", "langchain-core", "1.8"),
    "llama-index": Requirement("LlamaIndex", "llama-index-core", "0.14"),
    "mcp": Requirement("MCP", "mcp", "2.3"),
    "redisvl": Requirement("RedisVL", "redisvl", "0.28"),
    "semantic-router": Requirement("semantic-router", "semantic-router", "1.1"),
    "txtai": Requirement("txtai", "txtai", "9.14"),
}


@contextmanager
def requires(extra: str) -> Iterator[None]:
    """Raise an error that names the extra if its library cannot be imported within the block.

    Raises:
        MissingExtraError: it is not installed, is older than the oldest tested version, or lacks a
            name that the block imports.
    """
    need = REQUIREMENTS[extra]
    try:
        installed = metadata.version(need.package)
    except metadata.PackageNotFoundError:
        raise MissingExtraError(f"embedding for {need.name}", extra, need.package) from None
    other = f"{need.package}>={need.tested} ({installed} is installed)"
    if _numbers(installed) < _numbers(need.tested):
        raise MissingExtraError(f"embedding for {need.name}", extra, other)
    try:
        yield
    except MissingExtraError:
        raise
    except ImportError as error:
        wrong = f"{need.package} as of {need.tested} ({installed} is installed: {error})"
        raise MissingExtraError(f"embedding for {need.name}", extra, wrong) from error


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, without pre-releases and builds."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
