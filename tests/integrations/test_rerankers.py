"""Clients that rerank, unchanged, against a running server: Cohere's, LangChain's, LlamaIndex'."""

import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_embed import PairScorer
from edge_embed.model.locate import DEFAULT_PAIR_MODEL, shipped_pair_models
from tests.support.serving import Program, program

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]

QUERY = "How do I get my money back?"
WANTED = 2


@pytest.fixture(autouse=True)
def clients_are_closed() -> Iterator[None]:
    """Clients that are never closed end with their test, whose warnings are ignored."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    """The pair model that ships; else a tiny one, where models can be converted."""
    shipped = shipped_pair_models().get(DEFAULT_PAIR_MODEL)
    if shipped is not None:
        return shipped
    pytest.importorskip("optimum", reason="no pair model ships, and none can be converted here")
    tiny: Path = request.getfixturevalue("tiny_pair_model")
    return tiny


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Program]:
    with program(
        *("-m", "edge-embed-tiny", "--pair-model", str(folder)),
        environment={"EDGE_EMBED_API_KEYS": "key"},
    ) as running:
        yield running


@pytest.fixture(scope="module")
def best(folder: Path, texts: list[str]) -> list[tuple[int, float]]:
    """The first two texts and their scores, as the library gives them."""
    ranked = PairScorer(folder, cache=False).rank(QUERY, texts, top_k=WANTED)
    return [(text.row, text.score) for text in ranked]


def same(found: list[tuple[int, float]], best: list[tuple[int, float]]) -> None:
    assert [row for row, _ in found] == [row for row, _ in best]
    np.testing.assert_allclose([s for _, s in found], [s for _, s in best], atol=1e-3)


@pytest.mark.parametrize("version", ["Client", "ClientV2"])
def test_cohere(
    server: Program, folder: Path, texts: list[str], best: list[tuple[int, float]], version: str
) -> None:
    cohere = pytest.importorskip("cohere")
    client = getattr(cohere, version)(api_key="key", base_url=server.url)
    name = folder.resolve().name
    answer = client.rerank(model=name, query=QUERY, documents=texts, top_n=WANTED)
    same([(found.index, found.relevance_score) for found in answer.results], best)
    with pytest.raises(cohere.core.ApiError, match="there is no pair model 'other'"):
        client.rerank(model="other", query=QUERY, documents=texts)
    stranger = getattr(cohere, version)(api_key="wrong", base_url=server.url)
    with pytest.raises(cohere.core.ApiError, match="needs an API key"):
        stranger.rerank(model=name, query=QUERY, documents=texts)


def test_langchain(
    server: Program, folder: Path, texts: list[str], best: list[tuple[int, float]]
) -> None:
    rerank = pytest.importorskip("langchain_cohere.rerank")
    documents = pytest.importorskip("langchain_core.documents")
    compressor = rerank.CohereRerank(
        cohere_api_key="key", base_url=server.url, model=folder.resolve().name, top_n=WANTED
    )
    kept = compressor.compress_documents([documents.Document(text) for text in texts], QUERY)
    scores = [document.metadata["relevance_score"] for document in kept]
    rows = [texts.index(document.page_content) for document in kept]
    same(list(zip(rows, scores, strict=True)), best)


def test_llama_index(
    server: Program, folder: Path, texts: list[str], best: list[tuple[int, float]]
) -> None:
    schema = pytest.importorskip("llama_index.core.schema")
    tei = pytest.importorskip("llama_index.postprocessor.tei_rerank")
    cohere = pytest.importorskip("llama_index.postprocessor.cohere_rerank")
    name = folder.resolve().name
    for reranker in (
        tei.TextEmbeddingInference(base_url=server.url, top_n=WANTED, auth_token="Bearer key"),
        cohere.CohereRerank(api_key="key", base_url=server.url, model=name, top_n=WANTED),
    ):
        nodes = [schema.NodeWithScore(node=schema.TextNode(text=text), score=0) for text in texts]
        kept = reranker.postprocess_nodes(nodes, query_str=QUERY)
        same([(texts.index(node.text), node.score) for node in kept], best)
