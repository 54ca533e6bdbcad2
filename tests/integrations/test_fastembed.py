"""Models registered in fastembed, and what is built on it."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_embed import Embedder

pytest.importorskip(
    "fastembed", reason="needs fastembed (the group 'clients')", exc_type=ImportError
)

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]


def test_text_embedding(texts: list[str], same: Any, shipped: Embedder) -> None:
    from fastembed import TextEmbedding

    import edge_embed.integrations.fastembed  # noqa: F401 - registers

    model = TextEmbedding("edge-embed-small", lazy_load=True)
    assert model.embedding_size == shipped.dim
    same(list(model.embed(iter(texts))))
    same(list(model.query_embed(texts[0])))
    same(list(model.passage_embed(texts, parallel=2)))
    assert model.token_count(texts) == shipped.count_tokens(texts).sum()
    with pytest.raises(ValueError, match="runs on the CPU"):
        TextEmbedding("edge-embed-small", cuda=True)


def test_register(shipped: Embedder) -> None:
    from fastembed import TextEmbedding

    from edge_embed.integrations.fastembed import register

    register(shipped.config.folder, name="mine", variant="int8")
    (vector,) = TextEmbedding("mine").embed("a")
    assert np.allclose(vector, shipped.encode("a", normalize=True), atol=1e-3)
    with pytest.raises(ValueError, match="has a model 'MINE' already: give another name="):
        register(shipped.config.folder, name="MINE")


def test_qdrant_client(texts: list[str], queries: list[str]) -> None:
    qdrant = pytest.importorskip("qdrant_client")
    import edge_embed.integrations.fastembed  # noqa: F401 - registers

    models, name = qdrant.models, "edge-embed-small"
    client = qdrant.QdrantClient(":memory:")
    size = client.get_embedding_size(name)
    params = models.VectorParams(size=size, distance=models.Distance.COSINE)
    client.create_collection("notes", vectors_config=params)
    points = [
        models.PointStruct(id=n, vector=models.Document(text=text, model=name))
        for n, text in enumerate(texts)
    ]
    client.upsert("notes", points)
    for number, query in enumerate(queries):
        document = models.Document(text=query, model=name)
        (found,) = client.query_points("notes", query=document, limit=1).points
        assert found.id == number


def test_haystack_component(texts: list[str], same: Any) -> None:
    pytest.importorskip(
        "haystack_integrations.components.embedders.fastembed",
        reason="needs fastembed-haystack (the group 'clients')",
        exc_type=ImportError,
    )
    from haystack import Document
    from haystack_integrations.components.embedders.fastembed import FastembedDocumentEmbedder

    import edge_embed.integrations.fastembed  # noqa: F401 - registers

    embedder = FastembedDocumentEmbedder(model="edge-embed-small", progress_bar=False)
    embedder.warm_up()
    documents = embedder.run([Document(content=text) for text in texts])["documents"]
    same([document.embedding for document in documents])


def test_mem0(
    texts: list[str], queries: list[str], truth: npt.NDArray[Any], shipped: Embedder, tmp_path: Path
) -> None:
    pytest.importorskip("mem0", reason="needs mem0ai (the group 'clients')", exc_type=ImportError)
    from mem0 import Memory

    import edge_embed.integrations.fastembed  # noqa: F401 - registers

    store = {"path": str(tmp_path / "qdrant"), "embedding_model_dims": shipped.dim}
    memory = Memory.from_config(
        {
            "embedder": {"provider": "fastembed", "config": {"model": "edge-embed-small"}},
            "vector_store": {"provider": "qdrant", "config": store},
            "llm": {"provider": "openai", "config": {"api_key": "not used"}},
            "history_db_path": str(tmp_path / "history.db"),
        }
    )
    for text in texts:
        memory.add(text, user_id="ann", infer=False)  # without the LLM
    cosines = (shipped.encode(queries, normalize=True) * truth).sum(axis=1)
    for number, query in enumerate(queries):
        (found,) = memory.search(query, filters={"user_id": "ann"}, top_k=1)["results"]
        assert found["memory"] == texts[number]
        assert abs(found["score"] - cosines[number]) < 2e-3


def test_mcp_server_qdrant(texts: list[str], queries: list[str], tmp_path: Path) -> None:
    """The program as it is, started through the module; its client is the official one."""
    pytest.importorskip(
        "mcp_server_qdrant",
        reason="needs mcp-server-qdrant (the group of that name, in an environment of its own)",
        exc_type=ImportError,
    )
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    script = str(Path(sys.executable).with_name("mcp-server-qdrant"))
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "edge_embed.integrations.fastembed", script],
        env={
            **os.environ,
            "COLLECTION_NAME": "notes",
            "EMBEDDING_MODEL": "edge-embed-small",
            "QDRANT_LOCAL_PATH": str(tmp_path / "qdrant"),
            "QDRANT_SEARCH_LIMIT": "1",
        },
    )

    async def ask() -> None:
        async with (
            stdio_client(server) as (reader, writer),
            ClientSession(reader, writer) as session,
        ):
            await session.initialize()
            for text in texts:
                stored = await session.call_tool("qdrant-store", {"information": text})
                assert not stored.isError, stored
            for number, query in enumerate(queries):
                found = await session.call_tool("qdrant-find", {"query": query})
                assert f"<content>{texts[number]}</content>" in found.content[0].text

    asyncio.run(ask())


def test_other_programs_can_be_given_the_models(tmp_path: Path) -> None:
    """A program that only uses fastembed, started through the module."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nfrom fastembed import TextEmbedding\n"
        "print(sys.argv[1], len(next(iter(TextEmbedding('edge-embed-small').embed('a')))))\n"
    )
    command = [sys.executable, "-m", "edge_embed.integrations.fastembed", str(program), "argument"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["argument", "384"]
