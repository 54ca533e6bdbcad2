"""Evaluate retrieval: whether search finds the relevant documents.

Files are in BEIR's format (Thakur et al. 2021) and measures as in trec_eval: exact search by cosine
over the whole corpus, linear gains, and documents without judgement count as irrelevant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError
from edge_embed.evaluation.files import dataset_name, number
from edge_embed.evaluation.measured import Measured, Role, Score, Vectors
from edge_embed.evaluation.metrics import mean, ndcg, recall, reciprocal_rank
from edge_embed.files.formats import TABLES
from edge_embed.files.readers import read_records
from edge_embed.vectors import unit_length

__all__ = ["RetrievalSet", "search"]

# Documents ranked for each query, for recall@100.
_DEPTH = 100
# Queries whose similarities are held in memory at once.
_QUERIES = 256

_IDS = ("_id", "id")


@dataclass(frozen=True)
class RetrievalSet:
    """Documents, queries, and relevance judgements."""

    name: str
    documents: Sequence[str]
    queries: Sequence[str]
    """The queries with at least one relevant document."""
    judgements: Sequence[Mapping[int, float]]
    """For each query its relevant documents: index to gain, above 0."""
    left_out: Mapping[str, int]
    """Numbers of unused parts of the files: unjudged queries, judgements with unknown ids."""

    @classmethod
    def read(cls, folder: str | Path, *, split: str = "test") -> "RetrievalSet":
        """Read a folder in BEIR's format.

        ``corpus.*`` and ``queries.*`` have ``_id`` or ``id``, ``text`` and optionally ``title``,
        which is prepended to the text; ``qrels/SPLIT.*``, ``SPLIT-qrels.*`` or (for the split
        ``test``) ``qrels.*`` has ``query-id``, ``corpus-id`` and ``score``. ``SPLIT-queries.*`` is
        preferred to ``queries.*``. Endings: .tsv, .jsonl, .csv, also with .gz.

        Raises:
            InputError: a file is missing or unreadable, an id is repeated, or no judgement fits.
        """
        folder = Path(folder)
        documents = _texts(_find(folder, "corpus"))
        queries = _texts(_find(folder, f"{split}-queries", "queries"))
        names = (f"qrels/{split}", f"{split}-qrels", *(["qrels"] if split == "test" else []))
        file = _find(folder, *names)
        index = {id_: row for row, id_ in enumerate(documents)}
        judged: dict[str, dict[int, float]] = {}
        left_out = {"unknown documents": 0, "unknown queries": 0, "queries without judgement": 0}
        for record in read_records(file, _QRELS):
            gain = number(record, "score", file)
            query, document = record.values["query-id"], record.values["corpus-id"]
            if query not in queries:
                left_out["unknown queries"] += 1
            elif document not in index:
                left_out["unknown documents"] += 1
            elif gain > 0:
                judged.setdefault(query, {})[index[document]] = gain
        left_out["queries without judgement"] = len(queries) - len(judged)
        if not judged:
            raise InputError(f"{file} judges no query of {folder} to have a relevant document")
        return cls(
            dataset_name(folder) if split == "test" else f"{dataset_name(folder)}/{split}",
            list(documents.values()),
            [queries[query] for query in judged],
            list(judged.values()),
            {reason: count for reason, count in left_out.items() if count},
        )

    @property
    def rows(self) -> int:
        """Number of queries."""
        return len(self.queries)

    def inputs(self) -> Mapping[Role, Sequence[str]]:
        """Return queries and documents."""
        return {"query": self.queries, "document": self.documents}

    def measure(self, vectors: Mapping[Role, Vectors]) -> Measured:
        """Search each query in all documents and measure the rankings."""
        found = search(vectors["query"], vectors["document"], depth=_DEPTH)
        return self._measured(found.tolist())

    def measure_reranked(
        self, vectors: Mapping[Role, Vectors], score: Score, candidates: int
    ) -> Measured:
        """Measure rankings whose first ``candidates`` documents are reranked by ``score``."""
        found: list[list[int]] = search(
            vectors["query"], vectors["document"], depth=max(_DEPTH, candidates)
        ).tolist()
        pairs = [
            (query, self.documents[row])
            for query, ranking in zip(self.queries, found, strict=True)
            for row in ranking[:candidates]
        ]
        scores = iter(score(pairs).tolist())
        reranked = []
        for ranking in found:
            known = {row: next(scores) for row in ranking[:candidates]}
            reranked.append(
                sorted(known, key=known.__getitem__, reverse=True) + ranking[candidates:]
            )
        return self._measured([ranking[:_DEPTH] for ranking in reranked])

    def _measured(self, found: Sequence[Sequence[int]]) -> Measured:
        gains = [
            [judged.get(row, 0.0) for row in ranking]
            for ranking, judged in zip(found, self.judgements, strict=True)
        ]
        both = list(zip(gains, self.judgements, strict=True))
        values = {
            "ndcg@10": [ndcg(g[:10], sorted(j.values(), reverse=True)[:10]) for g, j in both],
            "recall@10": [recall(g[:10], len(j)) for g, j in both],
            "recall@100": [recall(g[:100], len(j)) for g, j in both],
            "mrr@10": [reciprocal_rank(g[:10]) for g in gains],
        }
        metrics = {name: mean(np.asarray(column)) for name, column in values.items()}
        details = {"documents": len(self.documents), "left_out": dict(self.left_out)}
        return Measured(self.rows, metrics, details)


def search(queries: Vectors, documents: Vectors, *, depth: int) -> npt.NDArray[np.int64]:
    """Return the rows of the nearest documents by cosine, best first: int64 (queries, depth).

    A ``depth`` above the number of documents is reduced to it. Equal cosines are ordered by row.
    """
    queries, documents = unit_length(queries), unit_length(documents)
    depth = min(depth, len(documents))
    found = np.empty((len(queries), depth), np.int64)
    for start in range(0, len(queries), _QUERIES):
        chunk = slice(start, start + _QUERIES)
        scores = queries[chunk] @ documents.T
        nearest = np.sort(np.argpartition(-scores, depth - 1, axis=1)[:, :depth], axis=1)
        order = np.argsort(-np.take_along_axis(scores, nearest, axis=1), axis=1, kind="stable")
        found[chunk] = np.take_along_axis(nearest, order, axis=1)
    return found


_QRELS = {
    "query-id": ("query-id", "query_id", "qid"),
    "corpus-id": ("corpus-id", "corpus_id", "docid"),
    "score": ("score", "relevance", "rel"),
}


def _find(folder: Path, *stems: str) -> Path:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give one with corpus, queries and qrels")
    names = [f"{stem}{ending}" for stem in stems for ending in TABLES]
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    if found is None:
        looked = ", ".join(f"{stem}.tsv" for stem in stems)
        raise InputError(f"{folder} has no {looked} (or .jsonl, .csv, .gz)")
    return found


def _texts(file: Path) -> dict[str, str]:
    """Return id to text, with the title prepended."""
    texts: dict[str, str] = {}
    columns = {"id": _IDS, "title": ("title",), "text": ("text",)}
    for record in read_records(file, columns, optional=["title"]):
        id_ = record.values["id"]
        if id_ in texts:
            raise InputError(f"{file}, {record.place}: the id {id_!r} is there twice")
        texts[id_] = f"{record.values['title']} {record.values['text']}".strip()
    return texts
