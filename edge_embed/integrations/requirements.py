"""The libraries that adapters are written for: which version is tested, and how to install it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata

from edge_embed.errors import MissingExtraError

__all__ = ["REQUIREMENTS", "Requirement", "requires"]


@dataclass(frozen=True)
class Requirement:
    """What an extra needs."""

    name: str
    """What the library is called where people talk about it."""
    package: str
    """The distribution that pip installs."""
    tested: str
    """The oldest version that is tested; the extra in pyproject.toml asks for it or newer."""


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
    """Import an extra's library inside this block.

    Raises:
        MissingExtraError: it is not installed, or is older than what is tested, or lacks a name
            that the block imports.
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
