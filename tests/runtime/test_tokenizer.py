"""Token ids: those of the source's published tokenizer.json, cut where transformers cuts."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as FastTokenizer

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.files.readers import read_texts
from edge_embed.model.config import ModelConfig
from edge_embed.runtime.tokenized_texts import TruncationSide
from edge_embed.runtime.tokenizer import Tokenizer

NASTY = [
    "",
    " ",
    "plain",
    "Café naïve ÅNGSTRÖM",
    "emoji 😀👩‍👩‍👧‍👦🏳️‍🌈 end",
    "漢字かな交じり文 한국어",
    "a\u200bb\u200dc\ufeffd",
    "ﬁ ﬂ ﬃ ½ ① Ⅷ",
    "ｆｕｌｌ　ｗｉｄｔｈ",
    "bell\x07 null\x00 escape\x1b[31m del\x7f",
    "tab\tnew\nline\r\nnext\u2028sep",
    "``quoted'' ''text``",
    "x" * 5000,
    "e\u0301 combining o\u0308",
    "\u202eright to left\u202c العربية",
    "[CLS] [SEP] <pad> [MASK]",
]


@pytest.fixture(params=["tiny_bert_source", "tiny_albert_source"])
def source(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(request.param)
    return folder


def published(folder: Path, limit: int) -> FastTokenizer:
    """Return the file as it was published, cutting as transformers sets it up."""
    tokenizer = FastTokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(limit)
    return tokenizer


def limited(source: Path, folder: Path, limit: int, **tokenizer_config: Any) -> Tokenizer:
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    limits = {"max_seq_length": limit, "do_lower_case": False}
    (folder / "sentence_bert_config.json").write_text(json.dumps(limits))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config))
    return Tokenizer(ModelConfig.from_folder(folder))


def test_ids_of_parity_texts(source: Path) -> None:
    tokenizer = Tokenizer(ModelConfig.from_folder(source))
    truth = published(source, tokenizer.max_length)
    tokenized = tokenizer(NASTY)
    for text, ids in zip(NASTY, tokenized.ids, strict=True):
        assert ids.tolist() == truth.encode(text).ids, text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_ids_of_any_text(source: Path, text: str) -> None:
    tokenizer = Tokenizer(ModelConfig.from_folder(source))
    truth = published(source, tokenizer.max_length)
    assert tokenizer([text]).ids[0].tolist() == truth.encode(text).ids
    truth.no_truncation()
    assert tokenizer.count([text]).tolist() == [len(truth.encode(text).ids)]


@pytest.mark.parametrize("limit", [3, 4, 10])
def test_the_cut_keeps_the_special_tokens(source: Path, tmp_path: Path, limit: int) -> None:
    tokenizer = limited(source, tmp_path / "model", limit)
    text = "one two three four five six seven eight nine ten eleven"
    tokenized = tokenizer([text, "one"])
    assert tokenized.ids[0].tolist() == published(source, limit).encode(text).ids
    assert tokenized.lengths.tolist() == [limit, 3]
    assert tokenized.truncated.tolist() == [0]
    assert tokenized.full_lengths[0] > limit


def test_a_cut_on_the_left(source: Path, tmp_path: Path) -> None:
    tokenizer = limited(source, tmp_path / "model", 5, truncation_side="left")
    truth = FastTokenizer.from_file(str(source / "tokenizer.json"))
    truth.no_padding()
    truth.enable_truncation(5, direction="left")
    text = "one two three four five six"
    assert tokenizer([text]).ids[0].tolist() == truth.encode(text).ids


def test_no_room_for_text(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="leaves no room"):
        limited(source, tmp_path / "model", 2)


def test_a_prompt_goes_before_each_text(source: Path) -> None:
    tokenizer = Tokenizer(ModelConfig.from_folder(source))
    prompted = tokenizer(["one", "two"], prompt="query: ")
    plain = tokenizer(["query: one", "query: two"])
    assert [ids.tolist() for ids in prompted.ids] == [ids.tolist() for ids in plain.ids]
    # [CLS] and the prompt's own tokens.
    assert tokenizer.prompt_length("query: ") == len(tokenizer(["query:"]).ids[0]) - 1


def test_lowercase(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config = {"max_seq_length": 50, "do_lower_case": True}
    (folder / "sentence_bert_config.json").write_text(json.dumps(config))
    tokenizer = Tokenizer(ModelConfig.from_folder(folder))
    assert tokenizer.tokens(["LOUD"]) == tokenizer.tokens(["loud"])
    assert "[SEP]" in tokenizer.tokens(["LOUD [SEP] loud"])[0][1:-1]


@pytest.mark.parametrize("name", ["do_lower_case", "tokenize_chinese_chars"])
def test_two_files_that_normalize_differently_are_refused(
    tiny_bert_source: Path, tmp_path: Path, name: str
) -> None:
    """transformers follows tokenizer_config.json, which would give other ids than ours."""
    normalizer = json.loads((tiny_bert_source / "tokenizer.json").read_text())["normalizer"]
    assert (normalizer["type"], normalizer["lowercase"]) == ("BertNormalizer", True)
    with pytest.raises(ModelFormatError, match=f"says {name} False, tokenizer.json .* True"):
        limited(tiny_bert_source, tmp_path / "a", 50, **{name: False})
    generic = {name: False, "tokenizer_class": "PreTrainedTokenizerFast"}
    assert limited(tiny_bert_source, tmp_path / "b", 50, **generic)(["Loud"]).ids


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["fine", "bro\ud83dken"], r"text 1 holds a lone surrogate \(U\+D83D at character 3\)"),
        (["fine", None], "text 1 is not a string but NoneType"),
        ([5], "text 0 is not a string but int"),
        ([("a", "pair")], "text 0 is not a string but tuple"),
        ([b"bytes"], "text 0 is not a string but bytes"),
    ],
)
def test_what_is_no_text_is_named(source: Path, texts: list[str], message: str) -> None:
    tokenizer = Tokenizer(ModelConfig.from_folder(source))
    with pytest.raises(InputError, match=message):
        tokenizer(texts)


def test_pieces_say_where_they_stand(source: Path) -> None:
    tokenizer = Tokenizer(ModelConfig.from_folder(source))
    text = "The naïve café, twice"
    (pieces,) = tokenizer.pieces([text])
    assert [piece.id for piece in pieces] == published(source, 128).encode(text).ids
    assert [(p.text, p.special, p.start) for p in (pieces[0], pieces[-1])] == [
        ("[CLS]", True, None),
        ("[SEP]", True, None),
    ]
    assert all(text[p.start : p.stop] == p.text for p in pieces[1:-1])
    assert tokenizer.pieces([text], special_tokens=False) == [pieces[1:-1]]
    assert len(tokenizer.pieces(["word " * 500])[0]) > tokenizer.max_length


def test_ids_are_taken_and_decoded(source: Path) -> None:
    tokenizer = Tokenizer(ModelConfig.from_folder(source))
    texts = ["how do i reset it", "word " * 300]
    whole = [[piece.id for piece in pieces] for pieces in tokenizer.pieces(texts)]
    sides: list[TruncationSide | None] = [None, "right", "left"]
    for side in sides:
        taken, made = (
            tokenizer.from_ids(whole, truncation_side=side),
            tokenizer(texts, truncation_side=side),
        )
        assert [ids.tolist() for ids in taken.ids] == [ids.tolist() for ids in made.ids]
        assert taken.full_lengths.tolist() == made.full_lengths.tolist()
        assert taken.truncated.tolist() == [1]
    assert tokenizer.decode(whole[:1]) == texts[:1]
    assert "[CLS]" in tokenizer.decode(whole[:1], skip_special_tokens=False)[0]


def test_ids_of_another_tokenizer_are_refused(source: Path) -> None:
    tokenizer = Tokenizer(ModelConfig.from_folder(source))
    good = tokenizer(["one"]).ids[0].tolist()
    for wrong in ([], [5, 6, 7], good[:1], good[:-1], good[1:]):
        with pytest.raises(InputError, match="token ids of text 1 do not begin with"):
            tokenizer.from_ids([good, wrong])
    for outside in (-1, tokenizer.vocabulary_size):
        for method in (tokenizer.from_ids, tokenizer.decode):
            with pytest.raises(InputError, match=f"text 0 has the token id {outside}; this"):
                method([[*good[:1], outside, *good[-1:]]])


def test_a_truncated_file_is_named(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    file = folder / "tokenizer.json"
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(ModelFormatError, match=r"tokenizer\.json is damaged"):
        Tokenizer(ModelConfig.from_folder(folder))
    file.unlink()
    with pytest.raises(ModelFormatError, match=r"tokenizer\.json is missing"):
        Tokenizer(ModelConfig.from_folder(folder))


@pytest.mark.real
def test_same_ids_as_transformers_for_all_minilm(minilm_source: Path, corpus: list[str]) -> None:
    transformers = pytest.importorskip(
        "transformers", reason="needs transformers (extra 'convert')"
    )
    theirs = transformers.AutoTokenizer.from_pretrained(minilm_source)
    ours = Tokenizer(ModelConfig.from_folder(minilm_source))
    texts = [*corpus, *NASTY]
    expected = theirs(texts, truncation=True, max_length=256)["input_ids"]
    assert [ids.tolist() for ids in ours(texts).ids] == expected


def test_lengths_are_counted(source: Path) -> None:
    tokenized = Tokenizer(ModelConfig.from_folder(source))(["one", "one two three"])
    assert tokenized.lengths.tolist() == [len(ids) for ids in tokenized.ids]
    assert tokenized.lengths.dtype == np.int64
    assert not len(tokenized.truncated)


def target() -> Path:
    """Return the folder of paraphrase-albert-small-v2's published config and tokenizer."""
    folder = os.environ.get("EDGE_EMBED_TARGET")
    if not folder:
        pytest.skip("needs EDGE_EMBED_TARGET: a folder with paraphrase-albert-small-v2's tokenizer")
    return Path(folder)


@pytest.mark.shared
def test_the_targets_published_tokenizer(shared_sentences: list[str]) -> None:
    tokenizer = Tokenizer(ModelConfig.from_folder(target()))
    assert tokenizer.max_length == 100
    truth = published(target(), 100)
    texts = [*NASTY, *shared_sentences]
    for text, ids in zip(texts, tokenizer(texts).ids, strict=True):
        assert ids.tolist() == truth.encode(text).ids, text


@pytest.mark.shared
def test_transformers_agrees_on_ordinary_sentences(shared_sentences: list[str]) -> None:
    transformers = pytest.importorskip(
        "transformers", reason="needs transformers (extra 'convert')"
    )
    theirs = transformers.AutoTokenizer.from_pretrained(target())
    expected = theirs(shared_sentences, truncation=True, max_length=100)["input_ids"]
    ours = Tokenizer(ModelConfig.from_folder(target()))(shared_sentences).ids
    assert [ids.tolist() for ids in ours] == expected


@pytest.fixture
def shared_sentences(evaluation_data: Path) -> list[str]:
    """1,000 sentences of the evaluation data."""
    texts = read_texts(evaluation_data / "stsb/dev.tsv", column="sentence1")
    return list(dict.fromkeys(texts))[:1000]
