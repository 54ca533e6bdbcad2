"""INT8: what becomes small, what stays shared, and what a recipe changes."""

from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from edge_embed.embedder import Embedder
from edge_embed.evaluation.metrics import spearman
from edge_embed.model.config import ModelConfig
from edge_embed_conversion.calibration import TextSet, model_inputs, shipped_texts
from edge_embed_conversion.console import quiet_tools
from edge_embed_conversion.export import export_checkpoint, read_graph, save_graph
from edge_embed_conversion.quantize import (
    Int8Recipe,
    ModelInputs,
    compress_weights,
    quantize,
)

# config.json of sentence-transformers/paraphrase-albert-small-v2.
ALBERT_SMALL = {
    "attention_probs_dropout_prob": 0,
    "bos_token_id": 2,
    "classifier_dropout_prob": 0.1,
    "embedding_size": 128,
    "eos_token_id": 3,
    "hidden_act": "gelu_new",
    "hidden_dropout_prob": 0,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "inner_group_num": 1,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
    "num_hidden_groups": 1,
    "num_hidden_layers": 6,
    "pad_token_id": 0,
    "type_vocab_size": 2,
    "vocab_size": 30000,
}
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def albert_small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graph of the target's architecture, with random weights."""
    import torch
    import transformers

    path = tmp_path_factory.mktemp("albert") / "fp32.xml"
    with quiet_tools(), torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.AlbertConfig.from_dict(ALBERT_SMALL)
        export_checkpoint(transformers.AlbertModel(config), path)
    return path


def random_inputs(count: int) -> list[ModelInputs]:
    rng = np.random.default_rng(0)
    ids = [rng.integers(5, 30000, size=(1, length)) for length in range(4, 4 + count)]
    return [
        {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": row * 0}
        for row in ids
    ]


def size(path: Path) -> int:
    return path.with_suffix(".bin").stat().st_size


def fake_quantized(graph: ov.Model) -> int:
    return sum(node.get_type_name() == "FakeQuantize" for node in graph.get_ops())


def int8_weights(graph: ov.Model) -> int:
    constants = (node for node in graph.get_ops() if node.get_type_name() == "Constant")
    return sum(node.get_element_type() == ov.Type.i8 for node in constants)


# --- shared weights ---


def test_albert_writes_its_shared_weights_once(albert_small: Path, tmp_path: Path) -> None:
    """Six layers that share one layer's weights: unshared they would be 170 MB in FP32."""
    assert size(albert_small) <= 45 * MEGABYTE
    with quiet_tools():
        save_graph(read_graph(albert_small), tmp_path / "fp16.xml", fp16=True)
        save_graph(compress_weights(read_graph(albert_small)), tmp_path / "w8.xml")
        int8 = quantize(read_graph(albert_small), random_inputs(4))
        save_graph(int8, tmp_path / "int8.xml")
    assert size(tmp_path / "fp16.xml") <= 23 * MEGABYTE
    assert size(tmp_path / "w8.xml") <= 12 * MEGABYTE
    assert size(tmp_path / "int8.xml") <= 12 * MEGABYTE


# --- recipes ---


@pytest.fixture(scope="module")
def samples(tiny_model: Path) -> list[ModelInputs]:
    texts = TextSet("few", shipped_texts("calibration").texts[:12])
    names = frozenset({"input_ids", "attention_mask", "token_type_ids"})
    return model_inputs(ModelConfig.from_folder(tiny_model), texts, names)


@pytest.fixture
def graph(tiny_model: Path) -> ov.Model:
    return read_graph(tiny_model / "openvino" / "openvino_model.xml")


def test_the_original_is_left_as_it_was(graph: ov.Model, samples: list[ModelInputs]) -> None:
    before = len(graph.get_ops())
    with quiet_tools():
        int8 = quantize(graph, samples)
    assert len(graph.get_ops()) == before
    assert fake_quantized(graph) == 0
    assert fake_quantized(int8) > 0


def test_every_sample_is_used(graph: ov.Model, samples: list[ModelInputs]) -> None:
    """One text of extreme length at the end must not be passed over."""
    seen = []

    class Spy(list[ModelInputs]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            for sample in super().__iter__():
                seen.append(sample["input_ids"].shape[1])
                yield sample

    with quiet_tools():
        quantize(graph, Spy(samples))
    assert {sample["input_ids"].shape[1] for sample in samples} == set(seen)
    assert len(seen) % len(samples) == 0


def test_ignored_layers_stay_in_floating_point(graph: ov.Model, samples: list[ModelInputs]) -> None:
    matmuls = [n.get_friendly_name() for n in graph.get_ops() if n.get_type_name() == "MatMul"]
    with quiet_tools():
        every = quantize(graph, samples)
        fewer = quantize(graph, samples, recipe=Int8Recipe(ignored_layers=tuple(matmuls[:2])))
    assert int8_weights(fewer) == int8_weights(every) - 2 > 0


def test_the_preset_decides_about_zero_points(graph: ov.Model, samples: list[ModelInputs]) -> None:
    def lowest(preset: str) -> list[float]:
        with quiet_tools():
            int8 = quantize(graph, samples, recipe=Int8Recipe(preset=preset))  # type: ignore[arg-type]
        nodes = [n for n in int8.get_ops() if n.get_type_name() == "FakeQuantize"]
        bounds = [[n.input_value(i).get_node().get_data() for i in (1, 2)] for n in nodes]
        # A symmetric range reaches as far down as up, but for the one step that int8 has more.
        return [float(np.abs(low / high + 1).max()) for low, high in bounds]

    assert max(lowest("performance")) < 0.01 < max(lowest("mixed"))


def test_weight_compression_keeps_activations(graph: ov.Model) -> None:
    with quiet_tools():
        compressed = compress_weights(graph)
    assert fake_quantized(compressed) == 0
    assert int8_weights(compressed) > 0


# --- trained weights ---


@pytest.mark.real
def test_int8_of_trained_weights_is_small_and_close(minilm: Path) -> None:
    assert size(minilm / "openvino" / "openvino_model_qint8_quantized.xml") <= 24 * MEGABYTE
    texts = list(shipped_texts("evaluation").texts)
    fp32, int8 = (Embedder(minilm, variant=v, cache=False).encode(texts) for v in ("fp32", "int8"))
    assert np.sum(fp32 * int8, axis=1).mean() > 0.99


@pytest.mark.real
@pytest.mark.shared
def test_int8_keeps_the_quality_of_fp32_on_stsb(minilm: Path, evaluation_data: Path) -> None:
    lines = (evaluation_data / "stsb" / "dev.tsv").read_text(encoding="utf-8").splitlines()
    rows = [dict(zip(lines[0].split("\t"), line.split("\t"), strict=True)) for line in lines[1:]]
    gold = np.array([float(row["score"]) for row in rows])
    scores = {}
    for variant in ("fp32", "int8"):
        model = Embedder(minilm, variant=variant, cache=False)
        a, b = (model.encode([row[f"sentence{i}"] for row in rows], normalize=True) for i in (1, 2))
        cosines = np.einsum("ij,ij->i", a, b, dtype=np.float64)
        scores[variant] = 100 * spearman(cosines, gold)(np.ones(len(gold)))
    assert scores["fp32"] > 86
    assert scores["int8"] > scores["fp32"] - 0.5
