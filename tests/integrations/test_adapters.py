"""Each adapter in its own library: the vectors and the nearest neighbours are those of Embedder."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_embed import Embedder

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]


def library(name: str) -> Any:
    """Return a library, or skip the test where it is not installed."""
    return pytest.importorskip(
        name, reason=f"needs {name} (the group 'clients')", exc_type=ImportError
    )


def test_llama_index(texts: list[str], queries: list[str], same: Any) -> None:
    library("llama_index.core")
    from llama_index.core import Document, VectorStoreIndex

    from edge_embed.integrations.llama_index import EdgeEmbedEmbedding

    model = EdgeEmbedEmbedding(threads=1)
    same(model.get_text_embedding_batch(texts))
    same(asyncio.run(model.aget_text_embedding_batch(texts)))
    documents = [Document(text=text) for text in texts]
    engine = VectorStoreIndex.from_documents(documents, embed_model=model)
    found = engine.as_retriever(similarity_top_k=1)
    assert [found.retrieve(query)[0].text for query in queries] == texts
    again = EdgeEmbedEmbedding.from_dict(EdgeEmbedEmbedding(dim=64, variant="int8").to_dict())
    assert len(again.get_query_embedding("a")) == 64


def test_haystack(texts: list[str], queries: list[str], same: Any, tmp_path: Path) -> None:
    library("haystack")
    from haystack import Document, Pipeline
    from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    from edge_embed.integrations.haystack import EdgeEmbedDocumentEmbedder, EdgeEmbedTextEmbedder

    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    documents = [Document(content=text) for text in texts]
    made = EdgeEmbedDocumentEmbedder().run(documents)["documents"]
    same([document.embedding for document in made])
    assert documents[0].embedding is None
    store.write_documents(made)
    pipeline = Pipeline()
    pipeline.add_component(
        "embedder", EdgeEmbedTextEmbedder("edge-embed-small", truncation="error")
    )
    pipeline.add_component(
        "fields", EdgeEmbedDocumentEmbedder(meta_fields_to_embed=["title"], dim=8)
    )
    yaml = tmp_path / "pipeline.yaml"
    yaml.write_text(pipeline.dumps(), encoding="utf-8")
    module = "edge_embed.integrations.haystack"
    again = Pipeline.loads(yaml.read_text(encoding="utf-8"), allowed_modules=[module])
    assert again.to_dict() == pipeline.to_dict()
    again.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=1))
    again.connect("embedder.embedding", "retriever.query_embedding")
    both = {"fields": {"documents": [Document(content="b", meta={"title": "a"})]}}
    for query, text in zip(queries, texts, strict=True):
        answer = again.run({"embedder": {"text": query}, **both})
        assert answer["retriever"]["documents"][0].content == text
    titled = answer["fields"]["documents"][0].embedding
    assert np.allclose(titled, Embedder().encode("a\nb", dim=8, normalize=True), atol=1e-3)
    same([asyncio.run(EdgeEmbedTextEmbedder().run_async(texts[0]))["embedding"]])
    with pytest.raises(ValueError, match="takes one text; EdgeEmbedDocumentEmbedder"):
        EdgeEmbedTextEmbedder().run(texts)
    with pytest.raises(ValueError, match="takes a list of documents"):
        EdgeEmbedDocumentEmbedder().run(texts)


def test_lancedb(texts: list[str], queries: list[str], same: Any, tmp_path: Path) -> None:
    lancedb = library("lancedb")
    from lancedb.pydantic import LanceModel, Vector

    import edge_embed.integrations.lancedb  # noqa: F401 - registers

    function = lancedb.embeddings.get_registry().get("edge-embed").create(name="edge-embed-small")

    class Note(LanceModel):
        text: str = function.SourceField()
        vector: Vector(function.ndims()) = function.VectorField()  # type: ignore[valid-type]

    table = lancedb.connect(tmp_path).create_table("notes", schema=Note)
    table.add([{"text": text} for text in texts])
    same(table.to_arrow()["vector"].to_pylist())
    again = lancedb.connect(tmp_path).open_table("notes")  # the function as the table remembers it
    assert [again.search(query).limit(1).to_list()[0]["text"] for query in queries] == texts


def test_redisvl(texts: list[str], same: Any) -> None:
    library("redisvl")
    from edge_embed.integrations.redisvl import EdgeEmbedVectorizer

    model = EdgeEmbedVectorizer()
    assert model.dims == len(model.embed(texts[0]))
    same(model.embed_many(texts))
    same([np.frombuffer(buffer, np.float32) for buffer in model.embed_many(texts, as_buffer=True)])
    same(asyncio.run(model.aembed_many(texts)))
    same([asyncio.run(model.aembed(texts[0], role="query"))])


def test_bertopic(texts: list[str], same: Any) -> None:
    library("bertopic")
    from bertopic import BERTopic
    from bertopic.backend._utils import select_backend
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    from edge_embed.integrations.bertopic import EdgeEmbedBackend

    backend = EdgeEmbedBackend()
    same(select_backend(backend).embed_documents(texts))
    many = [f"{text} {number}" for text in texts for number in range(6)]
    topics, _ = BERTopic(
        embedding_model=backend,
        umap_model=PCA(n_components=3),
        hdbscan_model=KMeans(n_clusters=4, n_init=3, random_state=0),
    ).fit_transform(many)
    assert all(len(set(topics[start : start + 6])) == 1 for start in range(0, 24, 6))


def test_keybert(shipped: Embedder) -> None:
    library("keybert")
    from keybert import KeyBERT

    from edge_embed.integrations.keybert import EdgeEmbedBackend

    text = "The parcel has not arrived, although the courier said that it was delivered on Friday"
    (keyword, score), *_ = KeyBERT(model=EdgeEmbedBackend()).extract_keywords(text, top_n=1)
    words = ["parcel", "arrived", "courier", "said", "delivered", "friday"]
    cosines = shipped.similarity([text], words)[0]
    assert keyword == words[int(cosines.argmax())]
    assert abs(score - cosines.max()) < 2e-3


def test_txtai(texts: list[str], queries: list[str]) -> None:
    library("txtai")
    from txtai import Embeddings

    index = Embeddings(
        method="edge_embed.integrations.txtai.EdgeEmbedVectors",
        path="edge-embed-small",
        vectors={"truncation": "error"},
    )
    index.index(texts)
    assert [index.search(query, 1)[0][0] for query in queries] == [0, 1, 2, 3]


def test_dspy(texts: list[str], queries: list[str], same: Any) -> None:
    dspy = library("dspy")
    from edge_embed.integrations.dspy import EdgeEmbedEmbedder

    model = EdgeEmbedEmbedder()
    same(model(texts))
    found = dspy.retrievers.Embeddings(corpus=texts, embedder=model, k=1)
    assert [found(query).passages[0] for query in queries] == texts
    same(asyncio.run(model.acall(texts)))
    long, short = EdgeEmbedEmbedder(caching=True), EdgeEmbedEmbedder(caching=True, dim=16)
    same(long(texts))
    assert short(texts).shape == (4, 16)  # not the cached vectors of the other


def test_semantic_router(texts: list[str], queries: list[str], same: Any) -> None:
    library("semantic_router")
    from semantic_router import Route
    from semantic_router.routers import IndexedRouter

    from edge_embed.integrations.semantic_router import EdgeEmbedEncoder

    encoder = EdgeEmbedEncoder()
    same(encoder(texts))
    same(asyncio.run(encoder.acall(texts)))
    routes = [Route(name=f"route{n}", utterances=[text]) for n, text in enumerate(texts)]
    router = IndexedRouter(encoder=encoder, routes=routes)
    assert [router(query).name for query in queries] == [f"route{n}" for n in range(4)]


def test_pymilvus_model_and_gptcache(
    texts: list[str], queries: list[str], same: Any, truth: npt.NDArray[Any]
) -> None:
    from edge_embed.integrations.gptcache import EdgeEmbedEmbedding
    from edge_embed.integrations.pymilvus_model import EdgeEmbedEmbeddingFunction

    embed = EdgeEmbedEmbeddingFunction()
    for vectors in (embed(texts), embed.encode_documents(texts)):
        same(vectors)
        assert isinstance(vectors, list)
        assert {vector.dtype for vector in vectors} == {np.dtype(np.float32)}
    found = np.stack(embed.encode_queries(queries)) @ truth.T
    assert found.argmax(axis=1).tolist() == [0, 1, 2, 3]
    single = EdgeEmbedEmbedding()
    same([single.to_embeddings(texts[0], extra_param=None)])
    assert embed.dim == single.dimension == truth.shape[1]


def test_gptcache_itself(texts: list[str], tmp_path: Path) -> None:
    library("gptcache")
    from gptcache import Cache
    from gptcache.adapter.api import get, put
    from gptcache.manager.factory import manager_factory
    from gptcache.processor.pre import get_prompt
    from gptcache.similarity_evaluation import SearchDistanceEvaluation

    pytest.importorskip("faiss", reason="GPTCache's own search needs faiss-cpu")
    from edge_embed.integrations.gptcache import EdgeEmbedEmbedding

    model, cache = EdgeEmbedEmbedding(), Cache()
    manager = manager_factory(
        "sqlite,faiss", str(tmp_path), vector_params={"dimension": model.dimension}
    )
    cache.init(
        pre_embedding_func=get_prompt,
        embedding_func=model.to_embeddings,
        data_manager=manager,
        similarity_evaluation=SearchDistanceEvaluation(),
    )
    for number, text in enumerate(texts):
        put(text, f"answer {number}", cache_obj=cache)
    assert get("Reset my password, please", cache_obj=cache) == "answer 0"
