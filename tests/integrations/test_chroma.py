"""A collection of Chroma that one process makes and another opens, through a running server."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

chromadb = pytest.importorskip(
    "chromadb", reason="needs chromadb (the group 'clients')", exc_type=ImportError
)

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]

MAKE = """
import sys, chromadb
from edge_embed.integrations.chroma import EdgeEmbedEmbeddingFunction
client = chromadb.HttpClient(port=int(sys.argv[1]))
function = EdgeEmbedEmbeddingFunction(dim=256)
notes = client.create_collection("notes", embedding_function=function)
notes.add(ids=[str(n) for n in range(len(sys.argv) - 2)], documents=sys.argv[2:])
"""
OPEN = """
import sys, chromadb
import edge_embed.integrations.chroma
notes = chromadb.HttpClient(port=int(sys.argv[1])).get_collection("notes")
assert notes.configuration["hnsw"]["space"] == "cosine"
found = notes.query(query_texts=sys.argv[2:], n_results=1)
assert len(notes.get("0", include=["embeddings"])["embeddings"][0]) == 256
print(*[ids[0] for ids in found["ids"]])
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("chroma")
    chroma = Path(sys.executable).parent / "chroma"
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [chroma, "run", "--path", folder / "data", "--host", "127.0.0.1", "--port", str(port)],
            stdout=log,
            stderr=log,
        )
    try:
        for _ in range(200):
            try:
                chromadb.HttpClient(port=port).heartbeat()
                break
            except Exception:  # noqa: BLE001 - whatever it raises until it listens
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait(20)


def run(code: str, port: int, *texts: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, str(port), *texts],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )


def test_one_process_makes_it_and_another_opens_it(
    port: int, texts: list[str], queries: list[str]
) -> None:
    made = run(MAKE, port, *texts)
    assert made.returncode == 0, made.stderr
    opened = run(OPEN, port, *queries)
    assert opened.stdout.split() == ["0", "1", "2", "3"], opened.stderr


def test_another_number_of_dimensions_is_refused() -> None:
    from edge_embed.integrations.chroma import EdgeEmbedEmbeddingFunction

    function = EdgeEmbedEmbeddingFunction(dim=8)
    config = function.get_config()
    function.validate_config_update(config, {**config, "model": "moved"})
    with pytest.raises(ValueError, match="was made with dim=8"):
        function.validate_config_update(config, {**config, "dim": 16})
