"""A durable index of texts: add, update, delete, filter, search by meaning and by words.

All data are in the store (:mod:`edge_embed.tasks.index.store`); the HNSW file beside it is made
from the store, and made again if it is missing, outdated or damaged.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from edge_embed.errors import InputError
from edge_embed.tasks.index.facts import StoreFacts, VectorType, check_model
from edge_embed.tasks.index.held_vectors import HeldVectors
from edge_embed.tasks.index.hnsw_rebuild import HnswSearch
from edge_embed.tasks.index.info import IndexInfo, index_info
from edge_embed.tasks.index.metadata import Where
from edge_embed.tasks.index.passages import text_id
from edge_embed.tasks.index.ranking import (
    FUSED,
    Hit,
    Ranking,
    Rerank,
    best_of,
    fuse,
    reranked,
)
from edge_embed.tasks.index.store import Entry, Store
from edge_embed.tasks.vectors import Floats, Rows, Vectors, fitting_rows

__all__ = ["Hit", "Index", "IndexInfo"]

# Up to this many entries every vector is compared, which takes a few milliseconds.
_EXACT = 20_000
# Without usearch the vectors of as many are kept in memory: 154 MB of 384 dimensions, and a search
# takes 18 ms. Those of a larger index are read from the file, 0.3 s at this size.
_HELD = 100_000


class Index:
    """An open index; a context manager. Other threads and processes may search while one writes.

    >>> with Index.create("notes.index", dim=2) as index:  # doctest: +SKIP
    ...     index.add(["red", "blue"], np.eye(2), metadata=[{"warm": True}, {"warm": False}])
    ...     index.search(np.array([[1.0, 0.1]]), k=1)[0][0].text
    'red'
    """

    def __init__(
        self, path: str | Path, *, model: str | None = None, background: bool = False
    ) -> None:
        """Open an index.

        Args:
            path: Its file.
            model: The fingerprint of the model that will make vectors; None does not check it.
            background: For servers: where the HNSW file is missing or lacks too much, a thread
                writes it, and searches compare every entry meanwhile. Else a search that needs the
                file writes it first, which takes minutes for a million entries.

        Raises:
            InputError: there is no such index, it is damaged, or it is of another model.
        """
        self._store = Store(Path(path))
        if model is not None:
            try:
                check_model(f"the index {path}", self._store.facts, model)
            except InputError:
                self._store.close()
                raise
        path = self._store.path.with_name(f"{self._store.path.name}.neighbours")
        self._hnsw = HnswSearch(self._store, path, background=background)
        self._held = HeldVectors(self._store)

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        dim: int,
        model: str = "",
        model_name: str = "",
        dtype: VectorType = "float32",
    ) -> "Index":
        """Create an empty index and open it.

        Args:
            path: Its file, which must not exist.
            dim: Dimensions of its vectors.
            model: The fingerprint of the model that makes them.
            model_name: The name of that model in errors.
            dtype: How vectors are stored: int8 takes a quarter of the space and changes cosines by
                about 0.005.

        Raises:
            OutputError: the file exists or cannot be written.
        """
        Store.create(Path(path), StoreFacts(dim, dtype, model, model_name)).close()
        return cls(path)

    def add(
        self,
        texts: Sequence[str],
        vectors: Vectors,
        *,
        ids: Sequence[str] | None = None,
        metadata: Sequence[Mapping[str, Any]] | None = None,
        replaces: Sequence[str] = (),
    ) -> list[str]:
        """Add texts, or replace those with the same id; they are on disk when this returns.

        See :func:`~edge_embed.tasks.index.documents.add_documents` for texts over a model's limit.

        Args:
            texts: n texts.
            vectors: Float (n, dim).
            ids: n different ids; None hashes the texts, so that equal texts are stored once.
            metadata: n JSON objects.
            replaces: Ids to delete in the same transaction, with their passages.

        Returns:
            The ids.

        Raises:
            InputError: numbers or dimensions do not fit, a vector has NaN, an id is given twice.
            OutputError: the disk is full, or another process has been writing for too long.
        """
        rows = self._rows(vectors)
        count = len(texts)
        data = [{}] * count if metadata is None else list(metadata)
        names = [text_id(text) for text in texts] if ids is None else [str(id_) for id_ in ids]
        if not len(rows) == len(data) == len(names) == count:
            raise InputError(
                f"{count} texts, {len(rows)} vectors, {len(names)} ids and {len(data)} metadata: "
                "give the same number of each"
            )
        last = {name: row for row, name in enumerate(names)}
        if ids is not None and len(last) < count:
            twice = next(name for row, name in enumerate(names) if last[name] != row)
            raise InputError(f"the id {twice!r} is given twice")
        chosen = sorted(last.values())
        unit = rows.take(np.array(chosen, np.intp))
        self._store.add(
            [names[row] for row in chosen],
            [texts[row] for row in chosen],
            [data[row] for row in chosen],
            unit,
            replaces=replaces,
        )
        return names

    def delete(self, ids: Sequence[str]) -> int:
        """Delete texts by id, with their passages; return how many existed.

        The change is on disk when this returns.
        """
        return self._store.delete(ids)

    @property
    def store(self) -> Store:
        """The store of all data."""
        return self._store

    def get(self, ids: Sequence[str]) -> list[Entry]:
        """Return the entries with these ids, in the order given; unknown ids are skipped."""
        return self._store.by_id(ids)

    def __len__(self) -> int:
        return len(self._store)

    @property
    def facts(self) -> StoreFacts:
        """The index's dimensions, type of vectors and model."""
        return self._store.facts

    def search(
        self,
        vectors: Vectors,
        *,
        k: int = 10,
        where: Where | None = None,
        queries: Sequence[str] | None = None,
        dense: bool = False,
        exact: bool = False,
        rerank: Rerank | None = None,
        candidates: int = 50,
    ) -> list[list[Hit]]:
        """Return the ``k`` best entries of each query, best first.

        Up to 20,000 entries (of those that fit ``where``) all are compared; beyond that, only the
        candidates that the HNSW file proposes, or all while another thread writes that file. They
        all are without usearch, too, and a warning says so.

        Args:
            vectors: Float (queries, dim).
            k: How many hits.
            where: Only entries whose metadata have these values; a list means any of its values.
            queries: The queries' texts. With them the search is hybrid: the ranking by vectors and
                the BM25 ranking of the words are fused.
            dense: Rank by vectors only, even with ``queries``.
            exact: Compare with every entry, however many there are.
            rerank: Scores pairs of query and text, as :meth:`PairScorer.predict
                <edge_embed.pairs.scorer.PairScorer.predict>` does; hits are ordered by its scores.
                Needs ``queries``.
            candidates: How many hits of each query are reranked, at least ``k``.

        Raises:
            InputError: the vectors have another dimension or NaN, or ``k`` is below 1.
        """
        if k < 1:
            raise InputError(f"k is {k}; at least 1 hit is needed")
        rows = self._rows(vectors)
        if queries is not None and len(queries) != len(rows):
            raise InputError(f"{len(queries)} query texts for {len(rows)} vectors: give one each")
        if rerank is not None:
            if queries is None:
                raise InputError("reranking reads the queries: give their texts as well")
            wide = self.search(
                vectors,
                k=max(k, candidates),
                where=where,
                queries=queries,
                dense=dense,
                exact=exact,
            )
            return reranked(queries, wide, rerank, k)
        unit = rows.take(np.arange(len(rows)))
        if dense:
            queries = None
        depth = k if queries is None else max(k, FUSED)
        found = self._nearest(unit, depth, where, exact=exact)
        if queries is None:
            return [
                self._hits([number for number, _ in ranking], dict(ranking)) for ranking in found
            ]
        return [
            self._fused(query, vector, ranking, k, where)
            for query, vector, ranking in zip(queries, unit, found, strict=True)
        ]

    def refresh(self, *, progress: Callable[[int], None] | None = None) -> bool:
        """Bring the HNSW file up to date; write it if it is missing or damaged.

        Calling this is optional, but useful after adding many entries: a search writes a missing
        file, and compares entries added since the file was written one by one.

        Returns:
            Whether it was written.

        Raises:
            OutputError: it cannot be written.
            MissingExtraError: usearch is not installed.
        """
        if len(self._store) <= _EXACT:
            return False
        return self._hnsw.refresh(progress)

    def info(self) -> IndexInfo:
        """Return the index's numbers of entries and bytes, and its model."""
        return index_info(self._store, self._hnsw.path)

    def stopping(self, stop: Callable[[], bool]) -> AbstractContextManager[None]:
        """End this thread's searches within the block with an EdgeEmbedError once ``stop`` is true.

        It is called about every millisecond.
        """
        return self._store.stopping(stop)

    def close(self) -> None:
        """Close the files."""
        self._hnsw.close()
        self._store.close()

    def __enter__(self) -> "Index":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _rows(self, vectors: Vectors) -> Rows:
        return fitting_rows(vectors, self.facts.dim, f"the index {self._store.path}")

    def _nearest(
        self, unit: Floats, depth: int, where: Where | None, *, exact: bool
    ) -> list[Ranking]:
        """Return (number, cosine) of the nearest entries of each query, best first."""
        allowed = None if where is None else self._store.numbers(where)
        total = len(self._store) if allowed is None else len(allowed)
        if total == 0:
            return [[] for _ in unit]
        if total <= _EXACT and allowed is None:
            return self._held.nearest(unit, depth)
        if exact or total <= _EXACT:
            numbers = self._store.numbers() if allowed is None else allowed
            return best_of(self._store.blocks(numbers), unit, depth)
        file = self._hnsw.ready()
        if file is None:
            if self._hnsw.without_usearch and allowed is None and total <= _HELD:
                return self._held.nearest(unit, depth)
            return best_of(self._store.blocks(self._store.numbers(where)), unit, depth)
        return [self._hnsw.search(file, vector, depth, allowed) for vector in unit]

    def _fused(
        self,
        query: str,
        vector: Floats,
        ranking: Ranking,
        k: int,
        where: Where | None,
    ) -> list[Hit]:
        self._store.check_stop()
        by_words = self._store.words(query, max(k, FUSED), where)
        fused = fuse([number for number, _ in ranking], by_words)
        best = sorted(fused, key=lambda number: (-fused[number], number))[:k]
        there, vectors = self._store.vectors(best)
        scores = dict(zip(there.tolist(), (vectors @ vector).clip(-1, 1).tolist(), strict=True))
        return self._hits([number for number in best if number in scores], scores, fused)

    def _hits(
        self,
        numbers: Sequence[int],
        scores: Mapping[int, float],
        fused: Mapping[int, float] | None = None,
    ) -> list[Hit]:
        entries = self._store.entries(numbers)
        return [
            Hit(
                entry.id,
                entry.text,
                entry.metadata,
                scores[number],
                None if fused is None else fused[number],
            )
            for number in numbers
            if (entry := entries.get(number)) is not None  # None: deleted meanwhile
        ]
