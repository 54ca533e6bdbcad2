"""Texts of millions of characters: read as far as the model does, within bounded memory."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edge_embed.errors import TextError
from edge_embed.model.config import ModelConfig
from edge_embed.model.locate import shipped_models
from edge_embed.model.pair_config import PairConfig
from edge_embed.runtime.long_texts import GROUP_CHARACTERS, beginning, ending, groups
from edge_embed.runtime.pair_tokenizer import PairTokenizer
from edge_embed.runtime.tokenizer import Tokenizer
from tests.support.peak_memory import PROGRAM, peak_of

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Tokenizer:
    return Tokenizer(ModelConfig.from_folder(tiny_model))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("between", [" ", "   ", "\n", ""])
def test_the_ids_are_those_of_the_whole_text(tokenizer: Tokenizer, side: str, between: str) -> None:
    text = between.join(f"word{n} is, number {n}!" for n in range(3000))
    whole = tokenizer._tokenized([tokenizer._tokenizer.encode(text).ids], side)  # type: ignore[arg-type]
    found = tokenizer([text, "short"], truncation_side=side)  # type: ignore[arg-type]
    assert found.ids[0].tolist() == whole.ids[0].tolist()
    assert found.truncated.tolist() == [0]
    assert found.incomplete == {0}
    assert tokenizer.tokens([text])[0][:3] == tokenizer.tokens([text[:200]])[0][:3]


def test_every_text_is_counted_as_it_is(tokenizer: Tokenizer) -> None:
    text = "some words and more " * 100
    assert tokenizer.count([text] * 2).tolist() == [len(tokenizer._tokenizer.encode(text).ids)] * 2


def test_spaces_and_endless_words_are_read_within_bounds(tokenizer: Tokenizer) -> None:
    started = time.perf_counter()
    spaces, word, mixed = " " * 3_000_000, "x" * 3_000_000, " " * 50_000 + "hello"
    found = tokenizer([spaces, word, mixed])
    assert found.incomplete == {0, 1}, "what was left out is told"
    assert found.ids[2].tolist() == tokenizer(["hello"]).ids[0].tolist()
    assert time.perf_counter() - started < 20


def test_a_text_is_cut_where_its_tokens_do_not_change() -> None:
    assert (beginning("one two three", 9), beginning("one", 9)) == ("one two", "one")
    assert (ending("one two three", 7), ending("one", 9)) == (" three", "one")
    word = "x" * 500
    # A word that goes on is read to its end, which may change how it begins.
    assert beginning(f"a {word} b", 300) == f"a {word}"
    assert ending(f"a {word} b", 250) == f" {word} b"
    assert beginning(word, 300) == ending(word, 300) == word
    longest = "x" * 200_000
    assert len(beginning(longest, 300)) == len(ending(longest, 300)) == 65_536
    assert len(beginning(longest, 100_000)) == len(ending(longest, 100_000)) == 100_000


def test_a_long_word_has_the_pieces_of_the_published_tokenizer() -> None:
    """Pieces of one letter's repetition depend on how often it comes, to the first of them."""
    folder = shipped_models()["edge-embed-albert"]
    tokenizer = Tokenizer(ModelConfig.from_folder(folder))
    sides: list[Any] = ["right", "left"]
    for side in sides:
        for length in (8_191, 8_192, 8_193, 9_001, 20_000, 65_535):
            text = "a" * length
            whole = tokenizer._tokenizer.encode(text).ids
            found = tokenizer([text], truncation_side=side)
            kept = tokenizer._truncated(whole, side)
            assert found.ids[0].tolist() == list(kept), (side, length)
            assert found.full_lengths[0] == len(whole)


def test_long_texts_are_tokenized_in_groups() -> None:
    texts = ["a" * 200_000, "b" * 200_000, "c", "d" * 3_000_000, "e"]
    assert [[text[0] for text in group] for group in groups(texts)] == [
        ["a"],
        ["b", "c"],
        ["d"],
        ["e"],
    ]
    assert list(groups(["short"])) == [["short"]]


def test_many_texts_are_tokenized_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokenizer's own form takes a hundred bytes a character: large requests filled 512 MB."""
    tokenizer = Tokenizer(ModelConfig.from_folder(shipped_models()["edge-embed-tiny"]))
    texts = ["some words " * 700] * 100  # each within the first window
    whole = tokenizer(texts)
    at_once, encode = [], tokenizer._encode

    def encode_noted(texts: Sequence[str], *, named: bool = False) -> object:
        at_once.append(sum(map(len, texts)))
        return encode(texts, named=named)

    monkeypatch.setattr(tokenizer, "_encode", encode_noted)
    found = tokenizer(texts)
    assert max(at_once) <= GROUP_CHARACTERS < sum(at_once) == sum(map(len, texts))
    assert [ids.tolist() for ids in found.ids] == [ids.tolist() for ids in whole.ids]
    with pytest.raises(TextError, match="text 100"):
        tokenizer([*texts, "\ud800"])


def test_many_pairs_are_tokenized_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = PairTokenizer(PairConfig.from_folder(MODELS / "edge-embed-pairs"))
    pairs = [("a query " * 500, f"some words {n} " * 300) for n in range(60)]
    whole = [tokenizer.pairs([pair]) for pair in pairs]
    at_once, encode = [], tokenizer._tokenizer.encode_batch

    class Noting:
        def encode_batch(self, group: Sequence[tuple[str, str]]) -> object:
            at_once.append(sum(len(text) for pair in group for text in pair))
            return encode(group)

    monkeypatch.setattr(tokenizer, "_tokenizer", Noting())
    found = tokenizer.pairs(pairs)
    assert max(at_once) <= GROUP_CHARACTERS < sum(at_once)
    assert [ids.tolist() for ids in found.ids] == [one.ids[0].tolist() for one in whole]
    assert found.second.tolist() == [int(one.second[0]) for one in whole]
    with pytest.raises(TextError, match="text 121"):
        tokenizer.pairs([*pairs, ("a", "\ud800")])


def test_one_line_of_many_megabytes(tiny_model: Path, tmp_path: Path) -> None:
    source = tmp_path / "line.txt"
    source.write_text("some words and more " * 500_000)
    arguments = ["embed", "-i", str(source), "-o", str(tmp_path / "out.npy"), "--no-cache"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments, "-m", str(tiny_model)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "longer than" in done.stderr
    assert peak_of(done.stderr) < 500, "MiB; such a line took 1,095 before"
