"""Pairs through the engine, against sentence-transformers' CrossEncoder in torch."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge_embed import Embedder, PairScorer, TruncationWarning
from edge_embed.errors import InputError, ModelFormatError
from edge_embed.model.fingerprint import model_fingerprint
from edge_embed.model.pair_config import PairConfig
from edge_embed.runtime.pair_tokenizer import PairTokenizer
from edge_embed_conversion.calibration import TextSet
from edge_embed_conversion.convert import convert
from tests.support.pair_sources import FAMILIES, make_pair_source, with_cosine


def _pairs(corpus: list[str], count: int = 60) -> list[tuple[str, str]]:
    pairs = [(corpus[i], corpus[i + 1]) for i in range(count - 3)]
    return [*pairs, ("a", "b"), ("", "an empty first text"), (" ".join(corpus[:12]), corpus[3])]


def _reference(source: Path, pairs: list[tuple[str, str]]) -> np.ndarray:
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(source), device="cpu")
    return np.asarray(model.predict(pairs, batch_size=8, show_progress_bar=False))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory, corpus: list[str]) -> tuple[Path, Path]:
    """A tiny BERT classifier of one output: checkpoint and converted folder."""
    folder = tmp_path_factory.mktemp("pairs")
    source = make_pair_source(folder / "source", "bert", corpus)
    convert(source, folder / "model", precision="fp32")
    return source, folder / "model"


@pytest.mark.parametrize("kind", FAMILIES)
def test_scores_are_those_of_torch(tmp_path: Path, corpus: list[str], kind: str) -> None:
    source = make_pair_source(tmp_path / "source", kind, corpus)
    receipt = convert(source, tmp_path / "model", precision="fp32")
    pairs = _pairs(corpus)
    expected = _reference(source, pairs)
    scorer = PairScorer(tmp_path / "model", cache=False)
    assert scorer.engine.packed, scorer.engine.why_not_packed
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(scorer.predict(pairs, truncation="ignore"), expected, atol=1e-4)
    agreement = receipt.variants["fp32"].agreement
    assert agreement is not None
    assert agreement.difference_max < 1e-4


def test_padded_rows_give_the_same(bert: tuple[Path, Path], corpus: list[str]) -> None:
    pairs = _pairs(corpus)
    scorer = PairScorer(bert[1], packed=False, cache=False)
    assert not scorer.engine.packed
    scores = scorer.predict(pairs, truncation="ignore")
    np.testing.assert_allclose(scores, _reference(bert[0], pairs), atol=1e-4)


def test_several_labels(tmp_path: Path, corpus: list[str]) -> None:
    source = make_pair_source(tmp_path / "source", "bert", corpus, labels=3)
    convert(source, tmp_path / "model", precision="fp32")
    scorer = PairScorer(tmp_path / "model", cache=False)
    pairs = _pairs(corpus, 12)
    logits = scorer.predict(pairs, truncation="ignore")
    assert logits.shape == (12, 3)
    assert len(scorer.labels) == 3
    np.testing.assert_allclose(logits, _reference(source, pairs), atol=1e-4)
    shares = scorer.predict(pairs, activation="softmax", truncation="ignore")
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    with pytest.raises(InputError, match="cannot rank"):
        scorer.rank("a", ["b"])


def test_one_pair_no_pairs_and_order(bert: tuple[Path, Path], corpus: list[str]) -> None:
    scorer = PairScorer(bert[1], cache=False)
    pairs = _pairs(corpus, 20)[:-1]
    scores = scorer.predict(pairs)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scorer.predict(pairs[::-1])[::-1], scores, atol=1e-5)
    np.testing.assert_allclose(scorer.predict(pairs, batch_size=3), scores, atol=1e-5)
    assert scorer.predict(pairs[0]) == pytest.approx(scores[0], abs=1e-5)
    assert scorer.predict([]).shape == (0,)
    ranked = scorer.rank(corpus[0], corpus[1:9], top_k=3)
    assert len(ranked) == 3
    assert [hit.score for hit in ranked] == sorted((hit.score for hit in ranked), reverse=True)


def test_long_pairs_are_cut_as_transformers_cuts_them(
    bert: tuple[Path, Path], corpus: list[str]
) -> None:
    import transformers

    scorer = PairScorer(bert[1], cache=False)
    long, short = " ".join(corpus[:30]), corpus[31]
    pairs = [(long, short), (short, long), (long, long), (corpus[1], corpus[2])]
    with pytest.warns(TruncationWarning, match=r"3 of 4 pairs"):
        scorer.predict(pairs)
    with pytest.raises(InputError, match="pair 0"):
        scorer.predict(pairs, truncation="error")
    theirs = transformers.AutoTokenizer.from_pretrained(bert[0])
    for pair, ours in zip(pairs, scorer.tokenizer.pairs(pairs).ids, strict=True):
        expected = theirs(*pair, truncation="longest_first", max_length=scorer.max_seq_length)
        assert ours.tolist() == expected["input_ids"]


@pytest.mark.parametrize("side", ["right", "left"])
def test_of_a_very_long_text_as_much_is_tokenized_as_a_pair_can_have(
    tiny_pair_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    folder = shutil.copytree(tiny_pair_model, tmp_path / "pairs")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"truncation_side": side}))
    tokenizer = PairTokenizer(PairConfig.from_folder(folder))
    words = " ".join(f"number {i}, then" for i in range(3000))
    pairs = [(words, "short"), ("short", words), (words, words), (" " * 20_000 + "end", "short")]
    short = tokenizer.pairs(pairs)
    assert max(map(len, tokenizer._shortened({words}).values())) < 2000
    monkeypatch.setattr(tokenizer, "_shortened", lambda texts: {})
    whole = tokenizer.pairs(pairs)
    assert [ids.tolist() for ids in short.ids] == [ids.tolist() for ids in whole.ids]
    assert short.second.tolist() == whole.second.tolist()
    assert short.truncated.tolist() == whole.truncated.tolist() == [0, 1, 2]


def test_a_small_variant_is_made_and_measured(tmp_path: Path, corpus: list[str]) -> None:
    source = make_pair_source(tmp_path / "source", "bert", corpus)
    few = TextSet("few", tuple(corpus[:24]))
    receipt = convert(source, tmp_path / "model", calibration=few)
    assert set(receipt.variants) == {"int8", "fp32"}
    head = [name.split("/")[0] for name in receipt.variants["int8"].ignored_layers]
    assert head == ["__module.bert.pooler.dense", "__module.classifier"]
    scorer = PairScorer(tmp_path / "model", cache=False)
    assert scorer.variant == "int8"
    pairs = _pairs(corpus)
    difference = scorer.predict(pairs, truncation="ignore") - _reference(source, pairs)
    assert np.abs(difference).mean() < 0.05


def test_the_weight_of_a_cosine_is_converted_too(tmp_path: Path, corpus: list[str]) -> None:
    source = make_pair_source(tmp_path / "source", "bert", corpus)
    facts = '{"encoder": "edge-embed-small", "weight": 2.0, "intercept": -1.0}'
    (source / "cosine.json").write_text(facts, encoding="utf-8")
    convert(source, tmp_path / "model", precision="fp32")
    assert (tmp_path / "model" / "cosine.json").read_text(encoding="utf-8") == facts


def test_wrong_inputs_are_named(bert: tuple[Path, Path], tiny_model: Path) -> None:
    scorer = PairScorer(bert[1], cache=False)
    with pytest.raises(InputError, match="pair 1 is not two texts"):
        scorer.predict([("a", "b"), ("a", "b", "c")])
    with pytest.raises(InputError, match="pair 0 is not two texts"):
        scorer.predict([("a", 3)])  # type: ignore[list-item]
    with pytest.raises(InputError, match="surrogate"):
        scorer.predict([("a", "\ud800"), ("a", "b")])
    with pytest.raises(ModelFormatError, match="no model of pairs"):
        PairScorer(tiny_model)


def test_the_output_counts_less_where_few_tokens_are_common(
    tiny_pair_model: Path, tiny_model: Path, tmp_path: Path
) -> None:
    plain = PairScorer(tiny_pair_model, cache=False)
    judge = PairScorer(with_cosine(tiny_pair_model, tiny_model, tmp_path / "pairs"), cache=False)
    pairs = [("red car", "red car"), ("red car", "red bus"), ("red car", "good night"), ("", "")]
    overlaps = judge.tokenizer.pairs(pairs).overlaps
    assert overlaps[[0, 3]].tolist() == [1, 1]  # two empty texts are alike
    assert 0.2 < overlaps[1] < 0.8  # between the two bounds
    assert overlaps[2] < 0.2
    shares = np.array([1, 0.25 + 0.75 * (overlaps[1] - 0.2) / 0.6, 0.25, 1])
    cosines = np.array([0.9, 0.5, -0.1, 1.0], np.float32)
    outputs = plain.predict(pairs, activation="identity")
    expected = outputs * shares + 4 * cosines - 2.5
    scores = judge.predict(pairs, activation="identity", cosines=cosines)
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_common_tokens_are_counted_of_any_tokenizer(tiny_pair_model: Path) -> None:
    tokenizer = PairScorer(tiny_pair_model, cache=False).tokenizer
    pairs = [("the red car", "the the car"), ("", "a car"), ("a car", "a car a car")]
    found = tokenizer.pairs(pairs)
    special = {*tokenizer.before, *tokenizer.after}
    for (first, second), overlap in zip(pairs, found.overlaps, strict=True):
        one, other = (set(ids.tolist()) - special for ids in tokenizer([first, second]).ids)
        assert overlap == pytest.approx(len(one & other) / len(one | other))


def test_a_folder_may_weigh_in_an_encoders_cosine(
    tiny_pair_model: Path, tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pairs"
    shutil.copytree(tiny_pair_model, folder)
    plain = PairScorer(folder, cache=False)
    share = {"encoder": str(tiny_model), "weight": 4.0, "intercept": -2.5}
    (folder / "cosine.json").write_text(json.dumps(share))
    both = PairScorer(folder, cache=False)
    pairs = [("a red car", "a red car"), ("a red car", "good night"), ("", "good night")]
    encoder = Embedder(tiny_model, cache=False)
    first, second = (encoder.encode([p[i] for p in pairs], normalize=True) for i in (0, 1))
    added = 4.0 * (first * second).sum(axis=1) - 2.5
    raw = [model.predict(pairs, activation="identity") for model in (plain, both)]
    np.testing.assert_allclose(raw[1], raw[0] + added, atol=2e-3)
    assert both.predict([]).shape == (0,)
    assert both.adds_cosine_of(model_fingerprint(encoder))
    cosines = (first * second).sum(axis=1)
    unread = PairScorer(folder, cache=False)
    known = unread.predict(pairs, activation="identity", cosines=cosines)
    np.testing.assert_allclose(known, raw[1], atol=2e-3)
    assert unread.cosine is not None
    assert not unread.cosine.loaded  # as nobody asked for a vector
    with pytest.raises(InputError, match="3 pairs need as many cosines"):
        unread.predict(pairs, cosines=cosines[:2])
    (folder / "cosine.json").write_text('{"encoder": 3}')
    with pytest.raises(ModelFormatError, match=r"cosine.json"):
        PairScorer(folder, cache=False)


def test_the_fp32_graph_beside_w8_is_not_compressed(
    bert: tuple[Path, Path], tmp_path: Path, corpus: list[str]
) -> None:
    source, alone = bert
    convert(source, tmp_path / "w8", precision="w8")
    folders, pairs = (alone, tmp_path / "w8"), _pairs(corpus)
    one, other = (
        PairScorer(each, variant="fp32", cache=False).predict(pairs, truncation="ignore")
        for each in folders
    )
    assert np.array_equal(one, other)
    sizes = {(each / "openvino" / "openvino_model.bin").stat().st_size for each in folders}
    assert len(sizes) == 1
