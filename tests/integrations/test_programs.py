"""Programs that were written for other libraries run with one changed line, and find the same.

They lie in ``programs/`` as their authors would have them, and know nothing of edge_embed. Each
prints for each question the nearest notes, which must be those that an Embedder finds.
"""

import contextlib
import gc
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_embed import Embedder
from tests.support.serving import Program, program

# Programs leave clients open, and use libraries that warn.
pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]
# Where CONTRIBUTING.md installs packages of npm.
NODE_MODULES = ROOT / "build" / "node" / "node_modules"
TOP = 3

NOTES = [
    "Reset your password under Settings, Security",
    "The password needs at least twelve characters",
    "Too many failed logins lock the account for an hour",
    "We are open from nine to six, and closed on Sundays",
    "On public holidays the shop stays closed",
    "A parcel takes two to three days",
    "The courier rings twice and then leaves the parcel with a neighbour",
    "Track your delivery with the number in the confirmation",
    "Your money is back within a week of a return",
    "Returns are free within thirty days",
    "Broken articles are replaced at no cost",
    "We accept credit cards and bank transfers",
]
QUESTIONS = [
    "I forgot my password",
    "When are you open?",
    "Where is my parcel?",
    "How do I get my money back?",
]

# Program: the library that it needs, the line as it was and as it is.
CHANGES = {
    "sentence_transformers": (
        "sentence_transformers",
        "from sentence_transformers import SentenceTransformer",
        "from edge_embed.compat.sentence_transformers import SentenceTransformer",
    ),
    "langchain": (
        "langchain_core",
        "from langchain_openai import OpenAIEmbeddings",
        "from edge_embed.integrations.langchain import EdgeEmbedEmbeddings as OpenAIEmbeddings",
    ),
    "llama_index": (
        "llama_index.core",
        "from llama_index.embeddings.openai import OpenAIEmbedding",
        "from edge_embed.integrations.llama_index import EdgeEmbedEmbedding as OpenAIEmbedding",
    ),
    "haystack": (
        "haystack",
        "from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder",
        "from edge_embed.integrations.haystack import (EdgeEmbedDocumentEmbedder as "
        "OpenAIDocumentEmbedder, EdgeEmbedTextEmbedder as OpenAITextEmbedder)",
    ),
    "chroma": (
        "chromadb",
        "from chromadb.utils.embedding_functions import DefaultEmbeddingFunction",
        "from edge_embed.integrations.chroma import EdgeEmbedEmbeddingFunction as "
        "DefaultEmbeddingFunction",
    ),
    "bertopic": (
        "bertopic",
        "from bertopic.backend import FastEmbedBackend",
        "from edge_embed.integrations.bertopic import EdgeEmbedBackend as FastEmbedBackend",
    ),
    "openai": (
        "openai",
        'client = OpenAI(api_key="sk-1234")',
        'client = OpenAI(api_key="sk-1234", base_url="http://SERVER/v1")',
    ),
    "ollama": (
        "ollama",
        'client = ollama.Client(host="http://127.0.0.1:11434")',
        'client = ollama.Client(host="http://SERVER")',
    ),
}
# The names that the clients of a server ask for, as it is started for them.
ALIASES = [
    word
    for name in ("text-embedding-3-small", "nomic-embed-text")
    for word in ("--alias", f"{name}=edge-embed-small")
]


@pytest.fixture(scope="module")
def expected() -> list[str]:
    """What a program prints: of each question the nearest notes, by an Embedder."""
    model = Embedder()
    found = []
    for question, scores in zip(QUESTIONS, model.similarity(QUESTIONS, NOTES), strict=True):
        order = np.argsort(-scores)[: TOP + 1]
        assert np.diff(-scores[order]).min() > 3e-3  # no order that rounding decides
        found.append("\t".join([question, *(NOTES[number] for number in order[:TOP])]))
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[Program]:
    with program("--no-page", *ALIASES) as running_program:
        yield running_program


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place where a program runs, with its notes and, for one of them, its model."""
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("\n".join(NOTES) + "\n", encoding="utf-8")
    Path("questions.txt").write_text("\n".join(QUESTIONS) + "\n", encoding="utf-8")
    Path("encoder").symlink_to(Embedder().config.folder, target_is_directory=True)


def changed(name: str, old: str, new: str) -> str:
    """Return a program with its one line changed."""
    code = (PROGRAMS / name).read_text(encoding="utf-8")
    assert "edge_embed" not in code
    assert len(code.splitlines()) < 45
    (line,) = (line for line in code.splitlines() if line.strip() == old)
    return code.replace(line, line.replace(old, new))


@pytest.mark.parametrize("name", CHANGES)
def test_a_program_runs_with_one_changed_line(
    name: str, expected: list[str], request: pytest.FixtureRequest
) -> None:
    library, old, new = CHANGES[name]
    pytest.importorskip(
        library, reason=f"needs {library} (the group 'clients')", exc_type=ImportError
    )
    if "SERVER" in new:
        new = new.replace("SERVER", request.getfixturevalue("server").address)
    code = changed(f"search_{name}.py", old, new)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, name, "exec"), {"__name__": "__main__"})
    gc.collect()  # what the program left open, here and not in another test
    assert said.getvalue().splitlines() == expected


def test_a_program_of_fastembed_is_started_through_the_module(expected: list[str]) -> None:
    pytest.importorskip("fastembed", reason="needs fastembed (the group 'clients')")
    code = changed(
        "search_fastembed.py",
        'model = TextEmbedding("BAAI/bge-small-en-v1.5")',
        'model = TextEmbedding("edge-embed-small")',
    )
    Path("search.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "edge_embed.integrations.fastembed", "search.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == expected, done.stderr


def test_a_program_of_node(expected: list[str], request: pytest.FixtureRequest) -> None:
    node = shutil.which("node")
    if node is None or not (NODE_MODULES / "ollama").is_dir():
        pytest.skip("needs node and npm's ollama (CONTRIBUTING.md)")
    address = request.getfixturevalue("server").address
    old = 'const client = new Ollama({ host: "http://127.0.0.1:11434" });'
    code = changed("search_ollama.cjs", old, old.replace("127.0.0.1:11434", address))
    Path("search.cjs").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [node, "search.cjs"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NODE_PATH": str(NODE_MODULES)},
    )
    assert done.stdout.splitlines() == expected, done.stderr


def test_there_is_a_program_for_each() -> None:
    programs = {file.stem.removeprefix("search_") for file in PROGRAMS.glob("*.py")}
    assert programs == {*CHANGES, "fastembed"}
    assert len(programs) == 9
