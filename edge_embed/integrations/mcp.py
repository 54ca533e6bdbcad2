"""A server of the Model Context Protocol, with an index as tools for agents, over standard input.

``edge-embed mcp INDEX`` runs it.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from edge_embed import __version__
from edge_embed.embedder import Embedder
from edge_embed.errors import InputError
from edge_embed.integrations.requirements import requires
from edge_embed.tasks import Index, deduplicate, split_text
from edge_embed.tasks.index.documents import Document, add_documents
from edge_embed.tasks.index.passages import text_id
from edge_embed.tasks.vectors import Vectors

with requires("mcp"):
    from mcp.server import MCPServer

__all__ = ["index_server"]

_T = TypeVar("_T")


def index_server(index: Index, model: Embedder) -> MCPServer:
    """Return a server with the tools search, add, delete, deduplicate and similarity.

    Args:
        index: The index to search and change; each change is on disk when its tool answers.
        model: The model that the index was made with.
    """
    server = MCPServer(
        "edge-embed",
        version=__version__,
        instructions="A store of texts that are found by meaning. Scores are cosines, at most 1.",
    )
    lock = threading.Lock()

    async def run(work: Callable[[], _T]) -> _T:
        """Run ``work`` in a thread, not to block the event loop; one call at a time."""

        def alone() -> _T:
            with lock:
                return work()

        return await asyncio.to_thread(alone)

    @server.tool(name="search")
    async def _search(
        query: str, k: int = 10, where: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Find the k stored texts that go best with the query, by meaning and by its words.

        where keeps those with metadata.
        """
        vectors = await run(lambda: model.encode_query([query], normalize=True))
        (hits,) = await run(lambda: index.search(vectors, k=k, where=where, queries=[query]))
        return [
            {
                "id": hit.id,
                "text": hit.text,
                "metadata": dict(hit.metadata),
                "score": round(hit.score, 6),
            }
            for hit in hits
        ]

    @server.tool(name="add")
    async def _add(
        texts: list[str],
        ids: list[str] | None = None,
        metadata: list[dict[str, Any]] | None = None,
    ) -> list[str]:
        """Store texts, or replace those whose id is there; returns the ids.

        Long texts are found by their passages.
        """
        names = [text_id(text) for text in texts] if ids is None else ids
        facts = [{} for _ in texts] if metadata is None else metadata
        if not len(names) == len(facts) == len(texts):
            raise InputError(f"{len(texts)} texts, {len(names)} ids and {len(facts)} metadata")
        prompt = model.document_prompt

        def embed(passages: Sequence[str]) -> Vectors:
            return model.encode(list(passages), prompt=prompt, normalize=True)

        def store() -> None:
            split = partial(
                split_text, count=model.count_tokens, limit=model.max_seq_length, prompt=prompt
            )
            given = zip(names, texts, facts, strict=True)
            documents = {id_: Document(id_, split(text), data) for id_, text, data in given}
            add_documents(index, list(documents.values()), embed)

        await run(store)
        return names

    @server.tool(name="delete")
    async def _delete(ids: list[str]) -> int:
        """Delete stored texts by their ids; returns how many there were."""
        return await run(lambda: index.delete(ids))

    @server.tool(name="deduplicate")
    async def _deduplicate(texts: list[str], threshold: float = 0.9) -> dict[str, Any]:
        """Find near-duplicates among given texts: rows to keep, and rows to drop with partners."""
        vectors = await run(lambda: model.encode(texts))
        result = await run(lambda: deduplicate(vectors, threshold=threshold))
        dropped = [
            {"row": int(d.row), "partner": int(d.partner), "score": round(float(d.score), 6)}
            for d in result.duplicates
        ]
        return {"kept": [int(row) for row in result.kept], "duplicates": dropped}

    @server.tool(name="similarity")
    async def _similarity(texts: list[str], others: list[str]) -> list[list[float]]:
        """Compare each text with each of others: a row for each text."""
        matrix = await run(lambda: model.similarity(texts, others))
        rows: list[list[float]] = matrix.round(6).tolist()
        return rows

    return server
