"""Clients that people have, unchanged, against a running server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_embed import Embedder
from edge_embed.model.locate import shipped_models
from tests.support.serving import WAIT, Program, program

TEXTS = ["I forgot my password", "How do I reset my login?", "When do you open on Sundays?"]


@pytest.fixture(scope="module")
def shipped() -> Path:
    """For environments that have clients and cannot convert."""
    return shipped_models()["edge-embed-tiny"]


@pytest.fixture(
    scope="module",
    params=[
        "tiny_model",
        pytest.param("minilm", marks=pytest.mark.real),
        pytest.param("shipped", marks=pytest.mark.clients),
    ],
)
def model(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(request.param)
    return folder


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Program]:
    with program("-m", f"local={model}", environment={"EDGE_EMBED_API_KEYS": "key"}) as running:
        yield running


@pytest.fixture(scope="module")
def truth(model: Path) -> npt.NDArray[Any]:
    return Embedder(model, cache=False).encode(TEXTS, normalize=True)


def same(vectors: Any, truth: npt.NDArray[Any]) -> None:
    found = np.array(vectors, np.float32)
    found /= np.linalg.norm(found, axis=-1, keepdims=True)
    assert np.sum(found * truth, axis=-1).min() > 0.999


def test_openai(server: Program, truth: npt.NDArray[Any]) -> None:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="key", timeout=WAIT) as client:
        answer = client.embeddings.create(model="local", input=TEXTS)  # asks for base64
        same([item.embedding for item in answer.data], truth)
        answer = client.embeddings.create(model="local", input=TEXTS[0], encoding_format="float")
        same([item.embedding for item in answer.data], truth[:1])
        assert answer.usage.prompt_tokens > 3
        assert [model.id for model in client.models.list()] == ["local"]
        # As OpenVINO Model Server has it.
        other = client.with_options(base_url=f"{server.url}/v3")
        answer = other.embeddings.create(model="local", input=TEXTS)
        same([item.embedding for item in answer.data], truth)
        with pytest.raises(openai.NotFoundError, match="the models are: local"):
            client.embeddings.create(model="text-embedding-3-small", input="a")
        with pytest.raises(openai.UnprocessableEntityError, match="cannot keep 9999"):
            client.embeddings.create(model="local", input="a", dimensions=9999)
    with (
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="needs an API key"),
    ):
        client.embeddings.create(model="local", input="a")


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")
def test_langchain(server: Program, truth: npt.NDArray[Any]) -> None:
    langchain_openai = pytest.importorskip("langchain_openai")
    embeddings = langchain_openai.OpenAIEmbeddings(
        model="local",
        base_url=f"{server.url}/v1",
        api_key="key",
        check_embedding_ctx_length=False,  # else it sends the token ids of OpenAI's tokenizer
    )
    same(embeddings.embed_documents(TEXTS), truth)
    same(embeddings.embed_query(TEXTS[0]), truth[0])


def test_huggingface_hub(
    server: Program, truth: npt.NDArray[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import InferenceClient, constants

    # Other tests stay off the hub; this server is no hub.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for path in ("/embed", ""):
        client = InferenceClient(f"{server.url}{path}", token="key", timeout=WAIT)
        same(client.feature_extraction(TEXTS[0]), truth[:1])
        same(client.feature_extraction(TEXTS[1], truncate=True, normalize=True), truth[1:2])


def test_llama_index(server: Program, truth: npt.NDArray[Any]) -> None:
    tei = pytest.importorskip("llama_index.embeddings.text_embeddings_inference")
    embedding = tei.TextEmbeddingsInference(
        model_name="local", base_url=server.url, auth_token="key", timeout=WAIT
    )
    same(embedding.get_text_embedding_batch(TEXTS), truth)
    # It sends "query: " before a query of a model that it does not know, or nothing.
    assert len(embedding.get_query_embedding(TEXTS[0])) == truth.shape[1]
