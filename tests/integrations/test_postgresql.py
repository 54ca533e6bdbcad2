"""What is PostgreSQL's own: address and password, graph of neighbours, what it does not store."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edge_embed.errors import InputError, SearchEngineError
from edge_embed.integrations.search_engines.export import open_collection
from edge_embed.tasks.index.facts import StoreFacts
from edge_embed.tasks.index.store import Entry
from tests.support.postgresql import PASSWORD

psycopg = pytest.importorskip("psycopg", reason="needs psycopg (the extra 'postgresql')")

DIM = 8
FACTS = StoreFacts(DIM, "float32", "m1", "one", "an index")


@pytest.fixture
def notes(database: str) -> Iterator[Any]:
    with open_collection(f"{database}#notes", create=FACTS) as collection:
        yield collection


def unit_vectors(count: int, dim: int = DIM) -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(count, dim)).astype(np.float32)
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def test_the_graph_goes_on_where_a_filter_leaves_too_few(notes: Any) -> None:
    """One text in a hundred fits: the 100 that the graph looks at first hold one of them."""
    vectors = unit_vectors(2000)
    notes.upsert([Entry(n, str(n), "a text", {"rare": n % 100 == 0}) for n in range(2000)], vectors)
    connection = notes._connection
    for other in ("seqscan", "bitmapscan", "sort"):
        connection.execute(f"SET enable_{other} = off")
    plan = connection.execute(
        f"EXPLAIN SELECT id FROM notes ORDER BY vector <#> '{vectors[0].tolist()}' LIMIT 10"
    ).fetchall()
    assert "notes_vector_idx" in str(plan)
    for query in vectors[:3]:
        found = [hit.id for hit in notes.search(query[None], k=10, where={"rare": True})[0]]
        rare = np.arange(0, 2000, 100)
        exact = rare[np.argsort(-(vectors[rare] @ query))][:10]
        assert len(found) == 10
        assert len(set(found) & {str(number) for number in exact}) >= 9


def test_long_vectors_are_compared_one_by_one(database: str) -> None:
    facts = StoreFacts(2001, "float32", "m1", "one", "an index")
    with open_collection(f"{database}#long", create=facts) as collection:
        vectors = unit_vectors(3, 2001)
        collection.upsert([Entry(n, str(n), "a text", {}) for n in range(3)], vectors)
        assert [hits[0].id for hits in collection.search(vectors, k=1)] == ["0", "1", "2"]


@pytest.mark.parametrize(
    "entry",
    [
        Entry(1, "a", "x\0y", {}),
        Entry(1, "a\0", "x", {}),
        Entry(1, "a", "x", {"page": ["\0"]}),
        Entry(1, "a", "x", {"page": "\\\0"}),
    ],
)
def test_nul_is_refused_by_its_entry(notes: Any, entry: Entry) -> None:
    with pytest.raises(InputError, match=r"of 'a.* holds a NUL character.*remove it in the index"):
        notes.upsert([Entry(2, "b", "y", {}), entry], unit_vectors(2))
    assert len(notes) == 0


def test_what_only_looks_like_nul_is_stored(notes: Any) -> None:
    metadata = {"path": r"\u0000", "two": r"\\u0000"}
    notes.upsert([Entry(1, "a", r"\u0000", metadata)], unit_vectors(1))
    (hits,) = notes.search(unit_vectors(1))
    assert (hits[0].text, hits[0].metadata) == (r"\u0000", metadata)


def test_a_name_is_taken_as_it_is(database: str) -> None:
    odd = 'a "b" {}; DROP TABLE x --'
    with open_collection(f"{database}#{odd}", create=FACTS) as collection:
        collection.upsert([Entry(1, "a", "x", {})], unit_vectors(1))
        assert list(collection.held()) == [("a", 1)]
        assert collection.search(unit_vectors(1), where={"page": 1}) == [[]]
    for name in ("x" * 64, "100 %"):
        with pytest.raises(InputError, match="up to 63 bytes and no %"):
            open_collection(f"{database}#{name}", create=FACTS)


def test_a_table_of_others_is_refused(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (number int)")
    with pytest.raises(InputError, match="was not made by 'edge-embed index export'"):
        open_collection(f"{database}#orders", create=FACTS)


def test_the_password(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPASSWORD")
    address = f"{database}#notes"
    with open_collection(address, create=FACTS, key=PASSWORD) as collection:
        assert len(collection) == 0
    with pytest.raises(SearchEngineError, match=r"cannot reach .*give the password with --engine"):
        open_collection(address)
    with pytest.raises(SearchEngineError, match="--engine-key"):
        open_collection(address, key="another")
    with pytest.raises(InputError, match="holds no password: give that with --engine-key") as error:
        open_collection(address.replace("ada@", "ada:secret@"))
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("postgresql:shop#notes", InputError, "write postgresql://HOST/DATABASE#TABLE"),
        ("postgresql://localhost/shop?nothing=1#notes", InputError, "is no URL of PostgreSQL"),
        ("postgresql://127.0.0.1:1/shop#notes", SearchEngineError, "is the server running there?"),
    ],
)
def test_bad_addresses(address: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        open_collection(address, create=FACTS)
    assert message in str(raised.value)


def test_a_server_that_stops(notes: Any) -> None:
    with psycopg.connect(notes.address.partition("#")[0], autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database()"
        )
    with pytest.raises(SearchEngineError, match="does not answer"):
        notes.search(unit_vectors(1))
