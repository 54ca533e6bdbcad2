"""Ollama's protocol and what names of models stand for, in this process; and its own clients."""

import asyncio
import gc
import importlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from edge_embed import Embedder, InputError
from edge_embed.model.locate import resolve_model
from edge_embed.server import Service
from edge_embed.server.api.ollama import _modified
from edge_embed.server.errors import StatusError
from edge_embed.server.names import ModelNames, Named
from tests.support.serving import WAIT, Program, program, running, source

TEXTS = ["Reset my password", "When do you open on Sundays?"]
LONG = "word " * 300
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with prompts."""
    folder = tmp_path_factory.mktemp("models") / "mini"
    shutil.copytree(resolve_model("edge-embed-tiny"), folder)
    prompts = {"prompts": {"query": "question: ", "passage": "answer: "}}
    file = folder / "config_sentence_transformers.json"
    content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    file.write_text(json.dumps(content | prompts), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Embedder:
    return Embedder(folder, cache=False, packed=False)


@pytest.fixture(scope="module")
def ask(folder: Path) -> Iterator[Ask]:
    """A function that asks a server with the model: a method, a path, a body, a status."""
    aliases = {"nomic-embed-text": "mini", "search": "mini:query"}
    loop = asyncio.new_event_loop()
    context = running(Service([source(folder, "mini")], aliases=aliases))
    http = loop.run_until_complete(context.__aenter__())

    def call(method: str, path: str, body: object = None, status: int = 200, **options: Any) -> Any:
        if body is not None:
            options["json"] = body
        response = loop.run_until_complete(http.request(method, path, **options))
        assert response.status_code == status, response.text
        return response.json() if "json" in response.headers["content-type"] else response.text

    yield call
    loop.run_until_complete(context.__aexit__(None, None, None))
    loop.close()


def same(found: Any, expected: npt.NDArray[Any]) -> None:
    np.testing.assert_allclose(np.array(found, np.float32), expected, atol=2e-3)


@pytest.mark.parametrize("headers", [{}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}])
def test_any_content_type_but_not_of_a_page(ask: Ask, headers: dict[str, str]) -> None:
    """As ``curl -d`` sends it; what a form in a page elsewhere sends looks alike but for these."""
    form = {"content-type": "application/x-www-form-urlencoded", **headers}
    content = b'{"model": "mini", "input": "one"}'
    answer = ask("POST", "/api/embed", None, 415 if headers else 200, content=content, headers=form)
    assert ("embeddings" in answer) == (not headers)
    for path in ("/embed", "/v1/embeddings"):
        ask("POST", path, None, 415, content=content, headers=form)


def test_embed(ask: Ask, model: Embedder) -> None:
    body = {"model": "mini:latest", "input": TEXTS, "options": {"num_ctx": 1}, "keep_alive": "5m"}
    answer = ask("POST", "/api/embed", body)
    same(answer["embeddings"], model.encode(TEXTS, normalize=True))
    assert answer["model"] == "mini:latest"
    assert answer["prompt_eval_count"] == model.count_tokens(TEXTS).sum()
    assert answer["total_duration"] > answer["load_duration"] >= 0
    one = ask("POST", "/api/embed", {"model": "mini", "input": TEXTS[0], "dimensions": 16})
    same(one["embeddings"], model.encode(TEXTS[:1], dim=16, normalize=True))
    cut = ask("POST", "/api/embed", {"model": "mini", "input": LONG})
    same(cut["embeddings"], model.encode([LONG], normalize=True, truncation="ignore"))
    empties: tuple[object, ...] = ("", [])
    for empty in empties:  # asks for the model to be loaded
        assert ask("POST", "/api/embed", {"model": "mini", "input": empty})["embeddings"] == []


def test_embeddings(ask: Ask, model: Embedder) -> None:
    answer = ask("POST", "/api/embeddings", {"model": "mini", "prompt": TEXTS[0]})
    same(answer["embedding"], model.encode(TEXTS[0]))
    assert ask("POST", "/api/embeddings", {"model": "mini"}) == {"embedding": []}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"model": "other", "input": "a"}, 404, "there is no such model; the models are: mini,"),
        ({"model": "mini:7b", "input": "a"}, 404, "there is no such model"),
        ({"model": "mini", "input": LONG, "truncate": False}, 413, "text 0 has"),
        ({"model": "mini", "input": "a", "dimensions": 9999}, 422, "cannot keep 9999 dimensions"),
        ({"model": "mini", "input": 1}, 422, "$.input"),
    ],
)
def test_errors_are_written_as_ollama_does(
    ask: Ask, body: object, status: int, message: str
) -> None:
    answer = ask("POST", "/api/embed", body, status)
    assert list(answer) == ["error"]
    assert message in answer["error"]


def test_models(ask: Ask, model: Embedder) -> None:
    tags = ask("GET", "/api/tags")["models"]
    names = [tag["name"] for tag in tags]
    assert names == [
        "mini:latest",
        "nomic-embed-text:latest",
        "search:latest",
        "mini:query",
        "mini:document",
        "nomic-embed-text:query",
        "nomic-embed-text:document",
    ]
    assert tags[0]["size"] > 1000
    assert tags[0]["details"]["family"] == "bert"
    listed = [entry["id"] for entry in ask("GET", "/v1/models")["data"]]
    assert [name.removesuffix(":latest") for name in names] == listed
    shown = ask("POST", "/api/show", {"name": "search"})
    assert shown["capabilities"] == ["embedding"]
    assert shown["model_info"]["bert.embedding_length"] == model.dim
    assert ask("POST", "/api/pull", {"model": "nomic-embed-text"}) == {"status": "success"}
    refused = ask("POST", "/api/pull", {"model": "llama3"}, 404)
    assert "downloads nothing: start it with --model NAME=MODEL" in refused["error"]
    assert set(ask("GET", "/api/version")) == {"version"}


def test_roles_and_aliases(ask: Ask, model: Embedder) -> None:
    queries, documents = model.encode_query(TEXTS), model.encode_document(TEXTS)
    assert not np.allclose(queries, documents, atol=1e-2)
    for path in ("/v1/embeddings", "/embeddings", "/v3/embeddings"):
        for name, expected in {
            "mini:query": queries,
            "search": queries,
            "search:latest": queries,
            "nomic-embed-text:document": documents,
        }.items():
            answer = ask("POST", path, {"model": name, "input": TEXTS})
            same([item["embedding"] for item in answer["data"]], expected)
    unit = model.encode_query(TEXTS, normalize=True)
    same(ask("POST", "/api/embed", {"model": "search", "input": TEXTS})["embeddings"], unit)
    assert ask("GET", "/ping") == "ready\n"


def test_names() -> None:
    names = ModelNames(["a", "b:1"], {"c": "b:1", "d": "a:query"})
    assert names.find(None) == names.find("a:latest") == Named("a")
    assert names.find("b:1:document") == Named("b:1", "document")
    assert names.find("d") == Named("a", "query")
    for unknown in ("b", "a:", ":a", "a:queries", "a:query:document:latest:x"):
        with pytest.raises(StatusError):
            names.find(unknown)
    with pytest.raises(InputError, match="the alias 'a' is the name of a model"):
        ModelNames(["a"], {"a": "a"})
    with pytest.raises(InputError, match="the alias 'x' stands for 'y', which is no model"):
        ModelNames(["a"], {"x": "y"})


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Program]:
    with program("-m", f"mini={folder}", "--alias", "x=mini", "--no-page") as running_program:
        yield running_program


@pytest.fixture
def library() -> Callable[[str], Any]:
    """A function that returns a client, or skips the test where it is not installed."""

    def find(name: str) -> Any:
        pytest.importorskip(name, reason=f"needs {name} (group 'clients')", exc_type=ImportError)
        return importlib.import_module(name)

    return find


def test_the_program_answers_where_clients_of_ollama_look(server: Program) -> None:
    assert httpx.get(server.url, timeout=WAIT).text == "edge-embed is running"
    assert httpx.head(server.url, timeout=WAIT).status_code == 200
    assert httpx.post(f"{server.url}/embed", json={"inputs": LONG}, timeout=WAIT).status_code == 200


@pytest.mark.clients
@pytest.mark.filterwarnings("ignore")
class TestClients:
    @pytest.fixture(autouse=True)
    def collected(self) -> Iterator[None]:
        """Clients leave their sockets to the garbage collector: it runs while that is ignored."""
        yield
        gc.collect()

    def test_ollama(self, server: Program, model: Embedder, library: Any) -> None:
        client = library("ollama").Client(server.url, timeout=WAIT)
        same(client.embed("mini", TEXTS).embeddings, model.encode(TEXTS, normalize=True))
        same(client.embeddings("mini", TEXTS[0]).embedding, model.encode(TEXTS[0]))
        assert "x:latest" in [entry.model for entry in client.list().models]
        assert client.show("x").capabilities == ["embedding"]
        assert client.pull("mini").status == "success"
        assert [part.status for part in client.pull("mini", stream=True)] == ["success"]
        with pytest.raises(library("ollama").ResponseError, match="downloads nothing"):
            client.pull("llama3")

    def test_langchain(self, server: Program, model: Embedder, library: Any) -> None:
        embeddings = library("langchain_ollama").OllamaEmbeddings(
            model="mini:query", base_url=server.url
        )
        same(embeddings.embed_query(TEXTS[0]), model.encode_query(TEXTS[0], normalize=True))
        same(embeddings.embed_documents(TEXTS), model.encode_query(TEXTS, normalize=True))

    def test_llama_index(self, server: Program, model: Embedder, library: Any) -> None:
        embedding = library("llama_index.embeddings.ollama").OllamaEmbedding(
            model_name="mini", base_url=server.url
        )
        same(embedding.get_text_embedding_batch(TEXTS), model.encode(TEXTS, normalize=True))
        same(embedding.get_query_embedding(TEXTS[0]), model.encode(TEXTS[0], normalize=True))

    def test_haystack(self, server: Program, model: Embedder, library: Any) -> None:
        embedders = library("haystack_integrations.components.embedders.ollama")
        embedder = embedders.OllamaTextEmbedder(model="mini", url=server.url)
        same(embedder.run(TEXTS[0])["embedding"], model.encode(TEXTS[0], normalize=True))

    def test_mem0(self, server: Program, model: Embedder, library: Any) -> None:
        library("mem0")
        from mem0.configs.embeddings.base import BaseEmbedderConfig
        from mem0.embeddings.ollama import OllamaEmbedding

        config = BaseEmbedderConfig(model="mini", ollama_base_url=server.url)
        embedding = OllamaEmbedding(config)  # lists, and would pull
        same(embedding.embed(TEXTS[0]), model.encode(TEXTS[0], normalize=True))


@pytest.mark.parametrize("seconds", [-3e9, 0, 100, 4e12])
def test_models_of_a_clock_that_was_wrong(seconds: float) -> None:
    class Source:
        def stamp(self) -> tuple[tuple[str, int, int], ...]:
            return (("a", int(seconds * 1e9), 1),)

    assert _modified(Source())[:2] in ("19", "99")  # type: ignore[arg-type]
