"""Models registered in fastembed, and what is built on it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
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
