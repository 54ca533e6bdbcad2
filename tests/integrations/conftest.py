"""Libraries that adapters are for, kept from the network; and what their vectors must equal."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_embed import Embedder
from tests.support.milvus import milvus
from tests.support.postgresql import PASSWORD, postgresql

# Before any of them is imported: some look for news of themselves.
os.environ |= {
    "ANONYMIZED_TELEMETRY": "False",
    "DO_NOT_TRACK": "1",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "MEM0_TELEMETRY": "False",
    "TOKENIZERS_PARALLELISM": "false",
}

Same = Callable[[Any], None]


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """What is to be found."""
    return [
        "Reset my password",
        "When do you open on Sundays?",
        "The parcel has not arrived",
        "I would like my money back",
    ]


@pytest.fixture(scope="session")
def queries() -> list[str]:
    """What is searched for: each is nearest to the text of the same number."""
    return ["I forgot my login", "opening hours", "where is my delivery?", "refund please"]


@pytest.fixture(scope="session")
def shipped(texts: list[str], queries: list[str]) -> Embedder:
    """The model that ships, which every adapter takes by default."""
    model = Embedder()
    assert model.similarity(queries, texts).argmax(axis=1).tolist() == [0, 1, 2, 3]
    return model


@pytest.fixture(scope="session")
def truth(shipped: Embedder, texts: list[str]) -> npt.NDArray[Any]:
    """Vectors of the texts, of unit length."""
    return shipped.encode(texts, normalize=True)


@pytest.fixture(scope="session")
def same(truth: npt.NDArray[Any]) -> Same:
    """A function that holds vectors of the texts, or of some of them, against those."""

    def check(vectors: Sequence[Any]) -> None:
        found = np.asarray(vectors, np.float32)
        assert found.shape[1:] == truth.shape[1:]
        assert np.abs(found - truth[: len(found)]).max() < 1e-3

    return check


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The address of a server and its first database."""
    with postgresql() as address:
        yield address


@pytest.fixture
def database(postgresql_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty database, whose password is in the environment."""
    psycopg = pytest.importorskip("psycopg", reason="needs psycopg (the extra 'postgresql')")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    name = f"shop{next(_DATABASES)}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{postgresql_server.rpartition('/')[0]}/{name}"


_DATABASES = count()


@pytest.fixture(scope="session")
def milvus_server() -> Iterator[str]:
    """The URL of a server."""
    with milvus() as url:
        yield url


@pytest.fixture
def milvus_url(milvus_server: str) -> Iterator[str]:
    """The URL of a server without collections."""
    client = pytest.importorskip("pymilvus", reason="needs pymilvus (the extra 'milvus')")
    yield milvus_server
    with contextlib.closing(client.MilvusClient(milvus_server)) as connection:
        for name in connection.list_collections():
            connection.drop_collection(name)
