"""Numbers of entries and bytes of an index."""

from dataclasses import dataclass
from pathlib import Path

from edge_embed.tasks.index.facts import VectorType
from edge_embed.tasks.index.hnsw_file import HnswFile
from edge_embed.tasks.index.store import Store

__all__ = ["IndexInfo", "index_info"]


@dataclass(frozen=True)
class IndexInfo:
    """Numbers of entries and bytes of an index, and its model."""

    entries: int
    dim: int
    dtype: VectorType
    model: str
    model_name: str
    neighbours: int
    """Number of entries in the HNSW file; 0 if there is none."""
    store_bytes: int
    neighbour_bytes: int


def index_info(store: Store, neighbours: Path) -> IndexInfo:
    """Return the numbers of an index, given its store and the path of its HNSW file."""
    facts = store.facts
    there = neighbours.is_file()
    opened = None
    if there:
        opened = HnswFile.open(neighbours, store=facts.identity, dim=facts.dim)
    return IndexInfo(
        len(store),
        facts.dim,
        facts.dtype,
        facts.model,
        facts.model_name,
        0 if opened is None else opened.count,
        store.path.stat().st_size,
        neighbours.stat().st_size if there else 0,
    )
