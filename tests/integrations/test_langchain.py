"""LangChain's own standard suite for embeddings, and a vector store."""

from typing import Any

import pytest

langchain_core = pytest.importorskip(
    "langchain_core", reason="needs langchain-core (the group 'clients')"
)
tests = pytest.importorskip(
    "langchain_tests", reason="needs langchain-tests (the group 'clients')", exc_type=ImportError
)

from langchain_core.vectorstores import InMemoryVectorStore  # noqa: E402
from langchain_tests.integration_tests import EmbeddingsIntegrationTests  # noqa: E402
from langchain_tests.unit_tests import EmbeddingsUnitTests  # noqa: E402

from edge_embed.integrations.langchain import EdgeEmbedEmbeddings  # noqa: E402

# The suite's coroutines are run by the plugin of anyio.
pytestmark = [pytest.mark.clients, pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


class TestUnit(EmbeddingsUnitTests):
    @property
    def embeddings_class(self) -> type[EdgeEmbedEmbeddings]:
        return EdgeEmbedEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": "edge-embed-albert"}


class TestIntegration(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[EdgeEmbedEmbeddings]:
        return EdgeEmbedEmbeddings


def test_a_vector_store(texts: list[str], queries: list[str], same: Any) -> None:
    model = EdgeEmbedEmbeddings()
    same(model.embed_documents(texts))
    store = InMemoryVectorStore.from_texts(texts, model)
    found = [store.similarity_search(query, k=1)[0].page_content for query in queries]
    assert found == texts
