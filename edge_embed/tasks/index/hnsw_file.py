"""The HNSW file of an index: a graph of near neighbours, memory-mapped, for fast search.

HNSW (Malkov & Yashunin 2018) of the library usearch, with int8 vectors. It only proposes
candidates; their order is decided by the store's vectors. The file can be rebuilt from the store at
any time.
"""

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.errors import MissingExtraError, OutputError
from edge_embed.files.atomic import atomic_file
from edge_embed.files.json_text import parse_json
from edge_embed.files.lock import owned_file
from edge_embed.tasks.vectors import Floats

__all__ = ["HnswFile", "require_usearch"]

Numbers = npt.NDArray[np.int64]

_CONNECTIVITY = 16
_EXPANSION_ADD = 128
_EXPANSION_SEARCH = 128
_SCHEMA = 1


@dataclass(frozen=True)
class _Manifest:
    """Describes the file, to recognise one of another store, an outdated or an incomplete one."""

    schema: int
    store: str
    """The identity of the store that it was made from."""
    dim: int
    count: int
    newest: int
    """The highest entry number in the file; newer entries are compared one by one."""
    checksum: int
    size: int
    stamp: list[int] = field(default_factory=list)
    """The file's inode and times when its checksum was last found right."""


def require_usearch() -> None:
    """Check that the library is installed.

    Raises:
        MissingExtraError: usearch is not installed.
    """
    try:
        import usearch.index  # noqa: F401
    except ImportError:
        raise MissingExtraError("fast search in a large index", "index", "usearch") from None


class HnswFile:
    """An open HNSW file."""

    def __init__(self, graph: Any, manifest: _Manifest) -> None:  # noqa: ANN401
        self._graph = graph
        self.newest = manifest.newest
        self.count = manifest.count

    @classmethod
    def open(cls, path: Path, *, store: str, dim: int) -> "HnswFile | None":
        """Map a file; None if it is missing, damaged, or of another store.

        Its checksum is compared first, since a damaged graph could crash the process; once for each
        state of the file, as its inode and times show it.

        Args:
            path: The file.
            store: The identity of the store.
            dim: Dimensions of the vectors.
        """
        require_usearch()
        try:
            content = parse_json(_manifest_file(path).read_bytes())
            manifest = _Manifest(**content)
            if (manifest.schema, manifest.store, manifest.dim) != (_SCHEMA, store, dim):
                return None
            stamp = _stamp(path)
            if path.stat().st_size != manifest.size:
                return None
            if stamp != manifest.stamp:
                if _checksum(path) != manifest.checksum:
                    return None
                # The folder may be one that can only be read, and the file may have been replaced.
                with suppress(OutputError), owned_file(path):
                    if _stamp(path) == stamp:
                        _write(path, replace(manifest, stamp=stamp))
            graph = _graph(dim)
            graph.view(str(path))
            if len(graph) != manifest.count:
                return None
        except (OSError, ValueError, TypeError, RuntimeError):
            return None
        return cls(graph, manifest)

    @classmethod
    def build(
        cls,
        path: Path,
        parts: Callable[[int], Iterator[tuple[Numbers, Floats]]],
        *,
        store: str,
        dim: int,
        threads: int,
        extend: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> "HnswFile | None":
        """Write a file and open it.

        Args:
            path: The file.
            parts: Returns numbers (n,) and vectors, float32 (n, dim), of all entries above a
                number, block by block.
            store: The identity of the store.
            dim: Dimensions of the vectors.
            threads: How many threads add to it.
            extend: Keep the entries that the file already has.
            progress: Called with the number of entries added since the last call.

        Raises:
            OutputError: it cannot be written.
        """
        require_usearch()
        with owned_file(path):
            graph = _graph(dim)
            newest = 0
            if extend and (before := cls.open(path, store=store, dim=dim)) is not None:
                newest = before.newest
                graph.load(str(path))
            for numbers, vectors in parts(newest):
                graph.add(numbers.astype(np.uint64), vectors, threads=threads)
                newest = max(newest, int(numbers.max(initial=0)))
                if progress is not None:
                    progress(len(numbers))
            with atomic_file(path) as temporary:
                graph.save(str(temporary))
                size, checksum = temporary.stat().st_size, _checksum(temporary)
            # If the process is killed between the two, the manifest does not fit the file, which is
            # then rebuilt.
            made = _Manifest(_SCHEMA, store, dim, len(graph), newest, checksum, size, _stamp(path))
            _write(path, made)
        return cls.open(path, store=store, dim=dim)

    def candidates(self, query: Floats, count: int) -> Numbers:
        """Return the numbers of about ``count`` entries near ``query``, float32 (dim,)."""
        count = min(count, self.count)
        self._graph.expansion_search = max(_EXPANSION_SEARCH, count)
        return np.asarray(self._graph.search(query, count).keys, np.int64).reshape(-1)


def _graph(dim: int) -> Any:  # noqa: ANN401
    from usearch.index import Index

    return Index(
        ndim=dim,
        metric="cos",
        dtype="i8",
        connectivity=_CONNECTIVITY,
        expansion_add=_EXPANSION_ADD,
        expansion_search=_EXPANSION_SEARCH,
    )


def _manifest_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _write(path: Path, manifest: _Manifest) -> None:
    with atomic_file(_manifest_file(path)) as temporary:
        temporary.write_text(json.dumps(asdict(manifest)) + "\n", encoding="utf-8")


def _stamp(path: Path) -> list[int]:
    """Return values of which one changes with every change of a file; its user can set no ctime."""
    facts = path.stat()
    return [facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns]


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value
