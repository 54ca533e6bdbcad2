"""The word table in four bits: how rows are rounded, what convert writes, what is computed."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_embed.embedder import Embedder
from edge_embed.errors import InputError, ModelFormatError
from edge_embed.pairs.scorer import PairScorer
from edge_embed_conversion.convert import Precision, convert
from edge_embed_conversion.factorise import factorise, word_gather, word_table
from edge_embed_conversion.int4_words import round_rows
from tests.support.pair_sources import make_pair_source

TEXTS = ["the payment went through", "my parcel is late", "opening hours on sunday", ""]


@given(
    arrays(
        np.float32,
        (3, 8),
        elements=st.floats(-100, 100, width=32, allow_subnormal=False),
    )
)
def test_a_row_is_never_further_off_than_with_its_largest_value_as_the_limit(
    rows: npt.NDArray[np.float32],
) -> None:
    codes, scales = round_rows(rows)
    assert codes.min() >= -8
    assert codes.max() <= 7
    error = np.square(codes * scales - rows).sum(axis=1)
    step = np.abs(rows).max(axis=1, keepdims=True) / 8
    plain = np.clip(np.round(np.divide(rows, step, where=step > 0, out=np.zeros_like(rows))), -8, 7)
    assert np.all(error <= np.square(plain * step - rows).sum(axis=1) * (1 + 1e-4) + 1e-9)


def test_ordinary_rows_lose_one_part_in_seventy() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 384)).astype(np.float32)
    codes, scales = round_rows(rows)
    lost = np.square(codes * scales - rows).sum() / np.square(rows).sum()
    assert 0.005 < lost < 1 / 70


def test_factors_spread_evenly_have_the_same_product() -> None:
    generator = np.random.default_rng(0)
    words = (generator.normal(size=(300, 32)) * 2.0 ** -np.arange(32)).astype(np.float32)
    factors = factorise(words, np.ones(300), 16)
    even = factors.spread_evenly()
    assert np.allclose(even.table @ even.up, factors.table @ factors.up, atol=1e-5)
    before, after = (np.linalg.norm(each.table, axis=0) for each in (factors, even))
    assert after.max() / after.min() < before.max() / before.min() / 4
    assert np.allclose(even.up @ even.up.T, np.eye(16), atol=1e-5)


@pytest.mark.parametrize(("precision", "rank"), [("int8", None), ("w8", 16)])
def test_convert_stores_the_words_in_four_bits(
    tiny_bert_source: Path, tmp_path: Path, precision: Precision, rank: int | None
) -> None:
    outputs = {}
    for bits in (8, 4):
        receipt = convert(
            tiny_bert_source,
            tmp_path / str(bits),
            precision=precision,
            embedding_rank=rank,
            embedding_bits=bits,
            with_fp32=False,
        )
        variant = receipt.variants[precision]
        assert variant.recipe.get("embedding_bits", 8) == bits
        graph = ov.Core().read_model(tmp_path / str(bits) / variant.file)
        types = {
            str(node.get_element_type())
            for node in graph.get_ops()
            if node.get_type_name() == "Constant"
        }
        assert ("<Type: 'int4_t'>" in types) == (bits == 4)
        embedder = Embedder(tmp_path / str(bits), variant=precision, cache=False)
        outputs[bits] = embedder.encode(TEXTS, normalize=True)
        one_by_one = [embedder.encode(text, normalize=True) for text in TEXTS]
        assert np.allclose(np.sum(outputs[bits] * one_by_one, axis=1), 1, atol=5e-3)
    cosines = np.sum(outputs[4] * outputs[8], axis=1)
    assert cosines.min() > 0.97
    assert cosines.max() < 1


def test_a_source_with_its_own_int8_graph_is_quantized_anew(
    tiny_bert_source: Path, tmp_path: Path
) -> None:
    convert(tiny_bert_source, tmp_path / "whole")
    receipt = convert(tmp_path / "whole", tmp_path / "narrow", embedding_bits=4)
    assert receipt.variants["int8"].origin == "quantized"
    assert receipt.variants["int8"].recipe["embedding_bits"] == 4
    assert "embedding_bits" not in receipt.variants["fp32"].recipe


@pytest.mark.parametrize("precision", ["int8", "w8"])
def test_a_pair_model_too(tmp_path: Path, corpus: list[str], precision: Precision) -> None:
    source = make_pair_source(tmp_path / "source", "bert", corpus)
    receipt = convert(source, tmp_path / "pairs", precision=precision, embedding_bits=4)
    assert receipt.variants[precision].recipe["embedding_bits"] == 4
    assert "embedding_bits" not in receipt.variants["fp32"].recipe
    pairs = [("the payment went through", "it was paid"), ("late", "early")]
    narrow = PairScorer(tmp_path / "pairs", variant=precision, cache=False).predict(pairs)
    whole = PairScorer(tmp_path / "pairs", variant="fp32", cache=False).predict(pairs)
    assert np.allclose(narrow, whole, atol=0.05)


def test_the_table_is_found_again_and_a_quantized_one_refused(
    tiny_bert_source: Path, tmp_path: Path
) -> None:
    receipt = convert(tiny_bert_source, tmp_path / "out", embedding_bits=4)
    read = {
        name: ov.Core().read_model(tmp_path / "out" / variant.file)
        for name, variant in receipt.variants.items()
    }
    rows = word_table(read["fp32"])
    assert word_gather(read["int8"]).input_value(0).get_partial_shape().to_shape() == rows.shape
    with pytest.raises(ModelFormatError, match="quantized already"):
        word_table(read["int8"])


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_float_variants_are_refused(tiny_bert_source: Path, tmp_path: Path, precision: str) -> None:
    with pytest.raises(InputError, match=f"is for int8 and w8; {precision} has floats"):
        convert(
            tiny_bert_source,
            tmp_path / "out",
            precision=precision,  # type: ignore[arg-type]
            embedding_bits=4,
        )
    with pytest.raises(InputError, match="4 or 8 bits a value, not 2"):
        convert(tiny_bert_source, tmp_path / "out", embedding_bits=2)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_quantized_source_is_refused_before_anything_long(
    tiny_bert_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(tiny_bert_source, tmp_path / "int8", with_fp32=False)
    graph = tmp_path / "int8" / "openvino" / "openvino_model_qint8_quantized.xml"
    for suffix in (".xml", ".bin"):
        graph.with_suffix(suffix).rename(graph.with_name(f"openvino_model{suffix}"))

    def long(*_: object) -> None:
        raise AssertionError("the source was embedded first")

    monkeypatch.setattr("edge_embed_conversion.build.Build.embed_source", long)
    with pytest.raises(ModelFormatError, match="word table is quantized already"):
        convert(tmp_path / "int8", tmp_path / "out", embedding_bits=4)
    assert not (tmp_path / "out").exists()
