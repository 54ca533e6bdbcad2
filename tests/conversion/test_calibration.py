"""The texts that ship, the user's own, and the inputs that are made of them."""

from pathlib import Path

import numpy as np
import pytest

from edge_embed.errors import InputError
from edge_embed.model.config import ModelConfig
from edge_embed.runtime.tokenizer import Tokenizer
from edge_embed_conversion import calibration
from edge_embed_conversion.calibration import (
    TextSet,
    model_inputs,
    read_text_set,
    shipped_texts,
)

NAMES = frozenset({"input_ids", "attention_mask", "token_type_ids"})


def test_the_shipped_sets_are_large_varied_and_disjoint() -> None:
    calibration_set, evaluation = shipped_texts("calibration"), shipped_texts("evaluation")
    assert len(calibration_set.texts) >= 400
    assert len(evaluation.texts) >= 200
    together = calibration_set.texts + evaluation.texts
    assert len(set(together)) == len(together)
    assert all(text == text.strip() and text for text in together)
    words = [len(text.split()) for text in calibration_set.texts]
    assert min(words) == 1
    assert max(words) >= 50
    assert 6 <= np.median(words) <= 14


def test_inputs_have_each_texts_own_length(tiny_model: Path) -> None:
    config = ModelConfig.from_folder(tiny_model)
    texts = TextSet("two", ("short", "a text that is a good deal longer than the other one"))
    samples = model_inputs(config, texts, NAMES)
    lengths = Tokenizer(config)(texts.texts).lengths
    assert lengths[0] < lengths[1]
    for sample, length in zip(samples, lengths, strict=True):
        assert set(sample) == NAMES
        assert all(array.shape == (1, length) for array in sample.values())
        assert all(array.dtype == np.int64 for array in sample.values())
        assert sample["attention_mask"].all()


def test_inputs_are_cut_at_the_models_limit(tiny_model: Path) -> None:
    config = ModelConfig.from_folder(tiny_model)
    (sample,) = model_inputs(config, TextSet("one", ("word " * 500,)), NAMES)
    assert sample["input_ids"].shape == (1, config.max_seq_length)


def test_inputs_that_a_model_lacks_are_left_out(tiny_model: Path) -> None:
    config = ModelConfig.from_folder(tiny_model)
    (sample,) = model_inputs(config, TextSet("one", ("a text",)), NAMES - {"token_type_ids"})
    assert set(sample) == {"input_ids", "attention_mask"}


def test_a_file_of_the_users(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    texts = [f"text number {i}" for i in range(10)]
    path.write_text("\n".join([*texts, "", "  "]), encoding="utf-8")
    assert read_text_set(path) == TextSet("mine.txt", tuple(texts))


def test_a_column_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    rows = "".join(f'{i},"question, number {i}"\n' for i in range(10))
    path.write_text(f"id,question\n{rows}", encoding="utf-8")
    assert read_text_set(path, column="question").texts[3] == "question, number 3"


def test_of_very_many_texts_some_are_taken_evenly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(calibration, "MAX_TEXTS", 11)
    path = tmp_path / "many.txt"
    path.write_text("\n".join(f"text {i}" for i in range(101)), encoding="utf-8")
    assert read_text_set(path).texts == tuple(f"text {i}" for i in range(0, 101, 10))
    assert "11 of the 101 texts" in capsys.readouterr().err


def test_too_few_texts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "few.txt"
    path.write_text("one\ntwo\n", encoding="utf-8")
    with pytest.raises(InputError, match="holds 2 texts; calibration needs at least 8"):
        read_text_set(path)


def test_the_fingerprint_is_of_the_texts() -> None:
    assert TextSet("a", ("x", "y")).sha256 == TextSet("b", ("x", "y")).sha256
    assert TextSet("a", ("x", "y")).sha256 != TextSet("a", ("xy",)).sha256
