"""Encoders of every family of sentence-transformers, and of an unknown one: convert and embed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_embed.embedder import Embedder
from edge_embed_conversion.calibration import TextSet, shipped_texts
from edge_embed_conversion.convert import convert
from edge_embed_conversion.verify import verify

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 130,  # RoBERTa's positions start at pad_token_id + 1
    "initializer_range": 0.2,
}
DISTILBERT = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "initializer_range": 0.2}


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [("distilbert", DISTILBERT), ("roberta", SIZES), ("xlm-roberta", SIZES), ("mpnet", SIZES)],
)
def test_convert_and_embed(
    tmp_path: Path,
    make_source: Callable[[Path, str, dict[str, Any]], Path],
    kind: str,
    sizes: dict[str, Any],
) -> None:
    source = make_source(tmp_path / kind, kind, sizes)
    few = TextSet("few", shipped_texts("calibration").texts[::20])
    receipt = convert(source, tmp_path / "out", calibration=few)
    fp32 = receipt.variants["fp32"].fidelity
    assert fp32 is not None
    assert fp32.cosine_min > 0.99999
    result = verify(tmp_path / "out", against=str(source))
    assert result.passed, result
    assert Embedder(tmp_path / "out", cache=False).encode(["one", "two"]).shape == (2, 32)


def test_an_architecture_that_only_the_caller_registered_is_traced(
    tmp_path: Path, make_source: Callable[[Path, str, dict[str, Any]], Path]
) -> None:
    import transformers

    class OwnConfig(transformers.BertConfig):  # type: ignore[no-untyped-call]
        model_type = "own-bert"

    class OwnModel(transformers.BertModel):  # type: ignore[no-untyped-call]
        config_class = OwnConfig

    transformers.AutoConfig.register("own-bert", OwnConfig, exist_ok=True)
    transformers.AutoModel.register(OwnConfig, OwnModel, exist_ok=True)
    source = make_source(tmp_path / "own", "own-bert", SIZES)
    receipt = convert(source, tmp_path / "out", precision="fp32")
    assert receipt.variants["fp32"].origin == "traced"
    result = verify(tmp_path / "out", against=str(source))
    assert result.passed, result
    assert Embedder(tmp_path / "out", cache=False).encode(["one", "two"]).shape == (2, 32)
    # A trace leaves nothing behind: the next model is exported as if it were the first.
    other = make_source(tmp_path / "other", "bert", SIZES)
    assert (
        convert(other, tmp_path / "second", precision="fp32").variants["fp32"].origin == "exported"
    )
