"""Packing on the architectures that people use, FP32 and INT8, against padded rows."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import openvino as ov
import pytest
from openvino import opset13 as ops

from edge_embed import Embedder
from edge_embed.model.config import ModelConfig, PoolingMode
from edge_embed.runtime.batch import Batch
from edge_embed.runtime.graph import build_graph, read_ir
from edge_embed.runtime.planner import BatchPlanner
from tests.support.tiny_sources import save_layout, save_weights, wordpiece_tokenizer

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 130,
    "initializer_range": 0.2,
}
DISTILBERT: dict[str, Any] = {
    "dim": 32,
    "n_layers": 2,
    "n_heads": 2,
    "hidden_dim": 64,
    "max_position_embeddings": 130,
    "initializer_range": 0.2,
}
# Their positions start behind the padding id, which is 1 as published.
OFFSET = SMALL | {"pad_token_id": 1}
OFFSET_SPECIALS = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
# Architecture -> configuration class, model class, options. BERT and ALBERT are fixtures.
ARCHITECTURES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "distilbert": ("DistilBertConfig", "DistilBertModel", DISTILBERT),
    "roberta": ("RobertaConfig", "RobertaModel", OFFSET),
    "xlm-roberta": ("XLMRobertaConfig", "XLMRobertaModel", OFFSET),
    "mpnet": ("MPNetConfig", "MPNetModel", OFFSET),
}


@pytest.fixture(scope="module", params=["bert", "albert", *ARCHITECTURES])
def converted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, corpus: list[str]
) -> Path:
    from edge_embed_conversion.calibration import TextSet
    from edge_embed_conversion.convert import convert

    if request.param in ("bert", "albert"):
        name = "tiny_model" if request.param == "bert" else "tiny_albert"
        folder: Path = request.getfixturevalue(name)
        return folder
    import transformers

    config_name, model_name, options = ARCHITECTURES[request.param]
    base = tmp_path_factory.mktemp(request.param)
    specials = {"specials": OFFSET_SPECIALS} if options is OFFSET else {}
    tokenizer = wordpiece_tokenizer(corpus, **specials)
    config = getattr(transformers, config_name)(vocab_size=tokenizer.get_vocab_size(), **options)
    save_weights(getattr(transformers, model_name), config, base / "source")
    save_layout(base / "source", tokenizer, hidden_size=32, normalize=False)
    convert(base / "source", base / "model", calibration=TextSet("few", tuple(corpus[::10])))
    return base / "model"


@pytest.mark.parametrize(("variant", "tolerance"), [("fp32", 1e-5), ("int8", 1e-3)])
def test_packed_texts_do_not_see_each_other(
    converted: Path, corpus: list[str], variant: str, tolerance: float
) -> None:
    packed = Embedder(converted, variant=variant, cache=False)
    assert packed.engine.packed, packed.engine.why_not_packed
    padded = Embedder(converted, variant=variant, packed=False, cache=False)
    texts = [*corpus[:200], " ".join(corpus[:12])]  # the last one fills the token limit
    a, b = (model.encode(texts, truncation="ignore") for model in (packed, padded))
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosine.min() >= 1 - tolerance
    alone = packed.encode(texts[0])
    assert alone @ a[0] / np.linalg.norm(alone) / np.linalg.norm(a[0]) >= 1 - tolerance


@pytest.mark.parametrize("mode", get_args(PoolingMode))
def test_every_pooling_of_a_packed_model(
    tiny_albert: Path, corpus: list[str], tmp_path: Path, mode: PoolingMode
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_albert, folder)
    (folder / "1_Pooling/config.json").write_text(
        json.dumps({"embedding_dimension": 32, "pooling_mode": mode})
    )
    packed = Embedder(folder, variant="fp32", cache=False)
    padded = Embedder(folder, variant="fp32", packed=False, cache=False)
    assert packed.engine.packed
    np.testing.assert_allclose(
        packed.encode(corpus[:80]), padded.encode(corpus[:80]), rtol=1e-4, atol=1e-5
    )


def test_the_packed_graph_reads_no_attention_mask(tiny_albert: Path) -> None:
    config = ModelConfig.from_folder(tiny_albert)
    graph = build_graph(read_ir(ov.Core(), config.variants["fp32"]), config)
    names = [port.get_any_name() for port in graph.model.inputs]
    assert names == ["input_ids", "segment_ids", "position_ids"]


def test_a_mask_that_hides_nothing_is_not_computed(tiny_albert: Path) -> None:
    config = ModelConfig.from_folder(tiny_albert)
    model = read_ir(ov.Core(), config.variants["fp32"])
    assert {"BitwiseAnd", "GreaterEqual"} <= {node.get_type_name() for node in model.get_ops()}
    kinds = {node.get_type_name() for node in build_graph(model, config).model.get_ops()}
    assert not {"BitwiseAnd", "GreaterEqual", "LogicalAnd"} & kinds


def test_a_mask_that_hides_more_than_padding_is_kept(tiny_albert: Path) -> None:
    config = ModelConfig.from_folder(tiny_albert)
    rng = np.random.default_rng(0)
    # Each alone fills its padded row: padding far from a text would have nothing to see.
    texts = [rng.integers(5, 100, length) for length in (4, 12, 40, 8)]
    packed, alone, everything = (np.empty((len(texts), config.dim), np.float32) for _ in range(3))
    packing, padding = (
        BatchPlanner(max_length=config.max_seq_length, pad_id=config.pad_token_id, packed=packed)
        for packed in (True, False)
    )
    _run(config, packing.plan(texts), packed, near=True)
    for row, text in enumerate(texts):
        _run(config, padding.plan([text]), alone[row : row + 1], near=True)
    np.testing.assert_allclose(packed, alone, rtol=1e-4, atol=1e-5)
    _run(config, packing.plan(texts), everything, near=False)
    assert np.abs(everything - packed).max() > 1e-3  # it does make a difference


def _run(
    config: ModelConfig, batches: Iterator[Batch], out: npt.NDArray[np.float32], *, near: bool
) -> None:
    """Compute batches; with ``near`` each token sees only those at most two away."""
    model = read_ir(ov.Core(), config.variants["fp32"])
    if near:
        width = ops.gather(ops.shape_of(model.input("input_ids")), np.int64(1), np.int64(0))
        place = ops.range(np.int64(0), width, np.int64(1), output_type="i64")
        places = (ops.unsqueeze(place, np.int64(axis)) for axis in (0, 1))
        window = ops.less_equal(ops.abs(ops.subtract(*places)), np.int64(2))
        for node in model.get_ordered_ops():
            if node.get_type_name() == "ScaledDotProductAttention":
                both = ops.logical_and(node.input_value(3), window)
                node.input(3).replace_source_output(both.output(0))
    for batch in batches:
        graph = build_graph(model.clone(), config, packed="segment_ids" in batch.inputs)
        compiled = ov.Core().compile_model(graph.model, "CPU")
        names = [port.get_any_name() for port in compiled.inputs]
        result = compiled({name: batch.inputs[name] for name in names})[0]
        out[batch.texts] = result.reshape(-1, config.dim)[batch.slots]
