"""The factorised word table: exact at the rank it was made with, best where text is."""

from pathlib import Path

import numpy as np
import pytest

from edge_embed.embedder import Embedder
from edge_embed.errors import EdgeEmbedError, InputError
from edge_embed_conversion.convert import convert
from edge_embed_conversion.factorise import factorise, frequencies


def test_a_table_of_the_rank_is_recovered_exactly() -> None:
    generator = np.random.default_rng(0)
    made = generator.normal(size=(200, 8)) @ generator.normal(size=(8, 32)) + generator.normal(
        size=32
    )
    words = made.astype(np.float32)
    factors = factorise(words, generator.integers(0, 1000, 200).astype(float), 8)
    assert np.allclose(factors.table @ factors.up + factors.mean, words, atol=1e-4)
    assert factors.kept == pytest.approx(1.0)


def test_frequent_rows_lose_least() -> None:
    generator = np.random.default_rng(1)
    words = generator.normal(size=(300, 32)).astype(np.float32)
    counts = np.ones(300)
    counts[:20] = 10_000
    factors = factorise(words, counts, 12)
    error = np.linalg.norm(factors.table @ factors.up + factors.mean - words, axis=1)
    assert error[:20].mean() < error[20:].mean() / 2


@pytest.mark.parametrize("rank", [0, 32, 1000])
def test_a_rank_that_does_not_fit_is_refused(rank: int) -> None:
    with pytest.raises(InputError, match=f"embedding rank of {rank} does not fit"):
        factorise(np.zeros((10, 32), np.float32), np.ones(10), rank)


def test_convert_writes_the_factors_and_says_so(tiny_bert_source: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("the payment went through\nmy parcel is late\n" * 5, encoding="utf-8")
    whole = convert(tiny_bert_source, tmp_path / "whole", precision="fp32")
    receipt = convert(
        tiny_bert_source,
        tmp_path / "small",
        precision="fp32",
        embedding_rank=31,
        frequencies=texts,
    )
    assert receipt.variants["fp32"].recipe == {"embedding_rank": 31, "frequencies": "texts.txt"}
    assert whole.variants["fp32"].recipe == {}
    vectors = [
        Embedder(tmp_path / name, cache=False).encode(["the payment went through"])[0]
        for name in ("whole", "small")
    ]
    assert vectors[0] @ vectors[1] > 0.99


def test_max_loss_refuses_a_rank_that_loses_too_much(
    tiny_bert_source: Path, tmp_path: Path
) -> None:
    with pytest.raises(EdgeEmbedError, match="fp32 loses"):
        convert(
            tiny_bert_source,
            tmp_path / "out",
            precision="fp32",
            embedding_rank=1,
            max_loss=0.01,
        )
    assert not (tmp_path / "out").exists()


def test_the_english_list_counts_pieces(tiny_bert_source: Path) -> None:
    counted = frequencies(tiny_bert_source / "tokenizer.json")
    assert counted.name == "edge_embed English words"
    assert counted.counts.sum() > 1_000_000


def test_frequencies_without_a_rank_are_refused(tiny_bert_source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give both"):
        convert(tiny_bert_source, tmp_path / "out", frequencies="texts.txt")
