"""Packing on the architectures that people use, FP32 and INT8, against padded rows."""

import json
import shutil
from pathlib import Path
from typing import Any, get_args

import numpy as np
import openvino as ov
import pytest
from conftest import save_layout, save_weights, wordpiece_tokenizer

from edge_embed import Embedder
from edge_embed.config import ModelConfig, PoolingMode
from edge_embed.graph import build_graph, read_ir

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
# Their positions start behind the padding id, which is 1 as published. Here 1 is [UNK], which no
# text of the corpus needs.
OFFSET = SMALL | {"pad_token_id": 1}
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
    tokenizer = wordpiece_tokenizer(corpus)
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
