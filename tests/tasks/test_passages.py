"""Long texts as passages: whole sentences, within the limit, nothing lost; how they are kept."""

import itertools
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_embed.errors import InputError
from edge_embed.tasks import Index, split_text
from edge_embed.tasks.index.documents import Document, add_documents

DIM = 4


def words(texts: Sequence[str]) -> list[int]:
    """A tokenizer of words, those over eight letters in parts, and two special tokens."""
    return [2 + sum(-(-len(word) // 8) for word in text.split()) for text in texts]


def embed(texts: Sequence[str]) -> np.ndarray:
    return np.stack([np.random.default_rng(len(text)).normal(size=DIM) for text in texts])


SENTENCES = [f"Sentence number {i} has seven short words." for i in range(40)]


def test_a_text_within_the_limit_is_itself() -> None:
    assert split_text(" One. Two. ", words, 10) == [" One. Two. "]
    assert split_text("", words, 10) == [""]


def test_passages_are_whole_sentences_and_overlap() -> None:
    passages = split_text(" ".join(SENTENCES), words, 60)
    assert max(words(passages)) <= 60
    for passage in passages:
        assert passage.startswith("Sentence number")
        assert passage.endswith("words.")
    for before, after in itertools.pairwise(passages):
        assert after.split(". ")[0].rstrip(".") in before  # its first sentence is the last before
    whole = " ".join(passages)
    assert all(sentence in whole for sentence in SENTENCES)
    apart = split_text(" ".join(SENTENCES), words, 60, overlap=0)
    assert " ".join(apart) == " ".join(SENTENCES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Dr. Smith met J. Doe, e.g. today. He left.",
            ["Dr. Smith met J. Doe, e.g. today.", "He left."],
        ),
        ("It is 3.5 m. or so. Is it? Yes!", ["It is 3.5 m. or so.", "Is it? Yes!"]),
        ('It ends. "Quoted." And 5 more.', ['It ends. "Quoted."', "And 5 more."]),
        ("今日は雨です。明日は晴れです。", ["今日は雨です。", "明日は晴れです。"]),
        ("a b c d e f\n\ng h i j k l", ["a b c d e f", "g h i j k l"]),
        (
            "to buy:\n- milk and two eggs\n- bread, butter, tea",
            ["to buy:\n- milk and two eggs", "- bread, butter, tea"],
        ),
    ],
)
def test_where_a_sentence_ends(text: str, expected: list[str]) -> None:
    def letters(texts: Sequence[str]) -> list[int]:
        return [len("".join(text.split())) for text in texts]

    limit = max(letters(expected))
    assert split_text(text, letters, limit, overlap=0) == expected


def test_what_has_no_sentence_end_is_split_all_the_same() -> None:
    for text in ("word " * 500, "x" * 3000, "雨" * 3000, "a" * 5000 + " b. C" * 100):
        passages = split_text(text, words, 32)
        assert max(words(passages)) <= 32
        assert set("".join(passages)) >= set(text) - {" "}


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="aB .!?\n。-", max_size=400), st.integers(3, 40))
def test_nothing_is_lost(text: str, limit: int) -> None:
    passages = split_text(text, words, limit, overlap=0)
    assert "".join("".join(passages).split()) == "".join(text.split())
    assert len(passages) == 1 or max(words(passages)) <= limit
    with_overlap = split_text(text, words, limit, overlap=0.5)
    assert len(with_overlap) == 1 or max(words(with_overlap)) <= limit


def test_a_long_text_takes_time_in_proportion() -> None:
    counted = 0

    def counting(texts: Sequence[str]) -> list[int]:
        nonlocal counted
        counted += sum(map(len, texts))
        return words(texts)

    text = " ".join(random.Random(0).choices(SENTENCES, k=4000))
    assert len(split_text(text, counting, 100)) > 300
    assert counted < 5 * len(text)


def test_a_document_is_replaced_and_deleted_with_its_passages(tmp_path: Path) -> None:
    with Index.create(tmp_path / "a.index", dim=DIM) as index:
        long, short = Document("a", ["one", "two", "three"], {"n": 1}), Document("a#", ["other"])
        assert add_documents(index, [long, short], embed) == 0
        assert len(index) == 4
        hit = index.search(embed(["two"]), k=1, where={"passage": 2})[0][0]
        assert (hit.id, hit.document, hit.passage) == ("a#passage-2", "a", 2)
        assert hit.metadata == {"n": 1, "document": "a", "passage": 2, "passages": 3}
        assert index.store.known(["a", "a#", "b", "a#passage-9"]) == {"a", "a#"}
        # Fewer passages than before leave none of the old ones, nor does a whole text.
        assert add_documents(index, [Document("a", ["four", "five"])], embed) == 1
        assert len(index) == 3
        assert add_documents(index, [Document("a", ["whole"])], embed) == 1
        assert [entry.text for entry in index.get(["a", "a#"])] == ["whole", "other"]
        add_documents(index, [Document("a", ["six", "seven"])], embed)
        assert index.get(["a"]) == []
        assert index.delete(["a", "none"]) == 1
        assert len(index) == 1
        # A text whose own metadata call something a document is no passage.
        index.add(["page"], embed(["page"]), ids=["a#passage-x"], metadata=[{"document": "b"}])
        assert index.search(embed(["page"]), k=1, where={"document": "b"})[0][0].passage is None
        assert index.delete(["b"]) == 0
        with pytest.raises(InputError, match="'document', a name that its own metadata have"):
            add_documents(index, [Document("c", ["x", "y"], {"document": 1})], embed)
        assert len(index) == 2
