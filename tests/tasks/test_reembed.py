"""Moving an index to another model: nothing is lost, whenever it is stopped or written to."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_embed.errors import EdgeEmbedError, OutputError
from edge_embed.tasks import Index
from edge_embed.tasks.index.facts import StoreFacts
from edge_embed.tasks.index.reembed import reembed
from edge_embed.tasks.vectors import Floats

TEXTS = [f"text {number}" for number in range(1200)]
OTHER = StoreFacts(8, "float32", "f" * 64, "another model")


def vectors(texts: Sequence[str], dim: int = 8) -> Floats:
    """A vector that its text alone decides."""
    seeds = [int.from_bytes(text.encode()[-4:], "big") for text in texts]
    rows = [np.random.default_rng(seed).normal(size=dim) for seed in seeds]
    return np.array(rows, np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.index"
    with Index.create(path, dim=4, model="e" * 64, model_name="a model") as index:
        metadata = [{"n": number} for number in range(len(TEXTS))]
        index.add(TEXTS, vectors(TEXTS, 4), ids=TEXTS, metadata=metadata)
    return path


def check(path: Path, texts: Sequence[str]) -> None:
    """Every text is found by its own new vector, and nothing else is there or beside it."""
    with Index(path, model=OTHER.model) as index:
        assert len(index) == len(texts)
        assert index.facts.model_name == "another model"
        for start in range(0, len(texts), 256):
            part = texts[start : start + 256]
            found = index.search(vectors(part), k=1)
            assert [hits[0].text for hits in found] == list(part)
        assert index.get(["text 7"])[0].metadata == {"n": 7}
    assert [file.name for file in path.parent.iterdir() if "lock" not in file.name] == [path.name]


def test_all_is_brought_over(path: Path) -> None:
    done: list[int] = []
    assert reembed(path, OTHER, vectors, progress=done.append) == len(TEXTS)
    assert sum(done) == len(TEXTS)
    check(path, TEXTS)


def test_a_stopped_run_goes_on(path: Path) -> None:
    def stopped(texts: Sequence[str]) -> Floats:
        if "text 600" in texts:
            raise KeyboardInterrupt
        return vectors(texts)

    with pytest.raises(KeyboardInterrupt):
        reembed(path, OTHER, stopped)
    with Index(path, model="e" * 64) as index:  # as it was
        assert len(index) == len(TEXTS)
    done: list[int] = []
    reembed(path, OTHER, vectors, progress=done.append)
    assert sum(done) == len(TEXTS) - 512
    check(path, TEXTS)


def test_what_is_written_meanwhile_comes_too(path: Path) -> None:
    with Index(path) as writer:

        def embed(texts: Sequence[str]) -> Floats:
            if "text 600" in texts:
                writer.delete(["text 3"])
                writer.add(["new", "text 5"], vectors(["new", "text 5"], 4), ids=["new", "text 5"])
            return vectors(texts)

        reembed(path, OTHER, embed)
        # One that still has it open reads the new file, and is told when it adds to it.
        assert len(writer) == len(TEXTS)
        assert writer.facts.model == OTHER.model
        with pytest.raises(EdgeEmbedError, match=r"replaced by an index of|4 dimensions"):
            writer.add(["late"], vectors(["late"], 4))
        with pytest.raises(OutputError, match="replaced by an index of the model another model"):
            writer.add(["late"], vectors(["late"], 8))
    check(path, [text for text in TEXTS if text != "text 3"] + ["new"])


def test_a_run_for_another_model_begins_anew(path: Path) -> None:
    def stopped(texts: Sequence[str]) -> Floats:
        if "text 600" in texts:
            raise KeyboardInterrupt
        return vectors(texts, 5)

    with pytest.raises(KeyboardInterrupt):
        reembed(path, StoreFacts(5, "int8", "d" * 64, "a third"), stopped)
    reembed(path, OTHER, vectors)
    check(path, TEXTS)
