"""The FP32 graph: from a checkpoint, from ONNX without torch, and from graphs made elsewhere."""

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
import pytest
from openvino import opset13 as ops

from edge_embed.embedder import Embedder
from edge_embed.errors import ModelFormatError
from edge_embed.model.config import ModelConfig
from edge_embed_conversion.calibration import shipped_texts
from edge_embed_conversion.checkpoint import load_checkpoint
from edge_embed_conversion.convert import convert
from edge_embed_conversion.export import read_graph, read_onnx
from edge_embed_conversion.fidelity import compare
from edge_embed_conversion.parity_texts import PARITY_TEXTS

Floats = npt.NDArray[np.float32]
FP32 = "openvino/openvino_model.xml"


@pytest.fixture
def copy(tmp_path: Path, tiny_bert_source: Path) -> Path:
    """A copy of the tiny source, to be damaged."""
    return Path(shutil.copytree(tiny_bert_source, tmp_path / "source"))


# --- a checkpoint ---


def test_the_graph_keeps_the_contract(tiny_model: Path, tiny_albert: Path) -> None:
    for folder in (tiny_model, tiny_albert):
        graph = ov.Core().read_model(folder / FP32)
        names = [port.get_any_name() for port in graph.inputs]
        assert names == ["input_ids", "attention_mask", "token_type_ids"]
        assert all(str(port.get_partial_shape()) == "[?,?]" for port in graph.inputs)
        assert all(port.get_element_type() == ov.Type.i64 for port in graph.inputs)
        assert [port.get_names() for port in graph.outputs] == [{"last_hidden_state"}]
        assert str(graph.outputs[0].get_partial_shape()) == "[?,?,32]"


def test_the_tiny_graph_computes_what_torch_computes(
    tiny_model: Path, tiny_bert_source: Path, tiny_albert: Path, tiny_albert_source: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    texts = list(shipped_texts("evaluation").texts[:64])
    for folder, source in ((tiny_model, tiny_bert_source), (tiny_albert, tiny_albert_source)):
        ours = Embedder(folder, variant="fp32", cache=False).encode(texts)
        theirs = SentenceTransformer(str(source), device="cpu", backend="torch").encode(texts)
        assert compare(ours, np.asarray(theirs)).cosine_min > 0.99999


@pytest.mark.real
def test_trained_weights_give_sentence_transformers_vectors(
    minilm: Path, minilm_source: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    texts = [*shipped_texts("evaluation").texts, *PARITY_TEXTS]
    model = Embedder(minilm, variant="fp32", cache=False)
    theirs = SentenceTransformer(str(minilm_source), device="cpu").encode(texts)
    ours = model.encode(texts, truncation="ignore")
    assert compare(ours, np.asarray(theirs)).cosine_min > 0.99999


@pytest.mark.real
@pytest.mark.shared
def test_a_thousand_sentences_give_sentence_transformers_vectors_and_tokens(
    minilm: Path, minilm_source: Path, evaluation_data: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    lines = (evaluation_data / "stsb" / "train.tsv").read_text(encoding="utf-8").splitlines()
    column = lines[0].split("\t").index("sentence1")
    texts = list(dict.fromkeys(line.split("\t")[column] for line in lines[1:]))[:1000]
    assert len(texts) == 1000
    model = Embedder(minilm, variant="fp32", cache=False)
    theirs = SentenceTransformer(str(minilm_source), device="cpu")
    assert compare(model.encode(texts), np.asarray(theirs.encode(texts))).cosine_min > 0.99999
    for text, ids in zip(texts, model.tokenizer(texts).ids, strict=True):
        assert ids.tolist() == theirs.tokenizer(text)["input_ids"]


def test_damaged_weights(copy: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelFormatError, match="cannot load the checkpoint in"):
        load_checkpoint(copy)


def test_missing_weights_are_not_filled_with_random_numbers(copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    del tensors["encoder.layer.1.attention.self.query.weight"]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelFormatError, match=r"lacks 1 weights, such as encoder\.layer\.1\."):
        load_checkpoint(copy)


def test_a_missing_pooler_is_no_loss(copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    tensors = {name: t for name, t in tensors.items() if not name.startswith("pooler.")}
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    load_checkpoint(copy)


def test_an_unknown_architecture(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "abacus"}))
    with pytest.raises(ModelFormatError, match="cannot load the checkpoint"):
        load_checkpoint(copy)


# --- graphs made elsewhere ---


def encoder(*, shape: tuple[int, int] = (-1, -1), first: str = "input_ids") -> ov.Model:
    """Return an 'encoder' with a pooled output beside its token states, all without names."""
    ids = ops.parameter(shape, np.int64, name=first)
    mask = ops.parameter(shape, np.int64, name="attention_mask")
    for parameter in (ids, mask):
        parameter.output(0).set_names({parameter.get_friendly_name()})
    table = ops.constant(np.eye(8, 4, dtype=np.float32))
    states = ops.gather(table, ids, np.int64(0))
    weights = ops.unsqueeze(ops.convert(mask, "f32"), np.int64(2))
    states = ops.multiply(states, weights)
    pooled = ops.reduce_mean(states, np.int64(1), keep_dims=False)
    return ov.Model([pooled, states], [ids, mask], "encoder")


def test_other_outputs_are_cut_off(tmp_path: Path) -> None:
    ov.save_model(encoder(), tmp_path / "m.xml", compress_to_fp16=False)
    graph = read_graph(tmp_path / "m.xml")
    assert [port.get_names() for port in graph.outputs] == [{"last_hidden_state"}]
    assert graph.outputs[0].get_partial_shape().rank.get_length() == 3


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: encoder(first="pixels"), "takes the inputs pixels, attention_mask"),
        (lambda: encoder(shape=(1, 16)), "has the fixed input shape"),
    ],
)
def test_a_graph_that_is_no_encoder(
    tmp_path: Path, model: Callable[[], ov.Model], message: str
) -> None:
    ov.save_model(model(), tmp_path / "m.xml", compress_to_fp16=False)
    with pytest.raises(ModelFormatError, match=message):
        read_graph(tmp_path / "m.xml")


def test_a_damaged_graph(tmp_path: Path, tiny_model: Path) -> None:
    for suffix in (".xml", ".bin"):
        shutil.copy((tiny_model / FP32).with_suffix(suffix), tmp_path / f"m{suffix}")
    path = tmp_path / "m.xml"
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    with pytest.raises(ModelFormatError, match=r"m\.xml or its \.bin is damaged"):
        read_graph(path)
    path.write_text(text)
    (tmp_path / "m.bin").unlink()
    with pytest.raises(ModelFormatError, match=r"m\.bin is missing"):
        read_graph(path)


# --- ONNX ---

VOCABULARY, HIDDEN = 1000, 8


@pytest.fixture
def onnx_source(tmp_path: Path, tiny_bert_source: Path) -> tuple[Path, Floats, Floats]:
    """A model folder with an ONNX file alone, and the two matrices in it."""
    folder = Path(shutil.copytree(tiny_bert_source, tmp_path / "onnx-source"))
    (folder / "model.safetensors").unlink()
    pooling = folder / "1_Pooling" / "config.json"
    document = {**json.loads(pooling.read_text()), "word_embedding_dimension": HIDDEN}
    pooling.write_text(json.dumps(document))
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "hidden_size": HIDDEN}))
    rng = np.random.default_rng(0)
    table = rng.normal(size=(VOCABULARY, HIDDEN)).astype(np.float32)
    matrix = rng.normal(size=(HIDDEN, HIDDEN)).astype(np.float32)
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(onnx_model(table, matrix))
    return folder, table, matrix


def test_onnx_is_converted_without_torch(
    onnx_source: tuple[Path, Floats, Floats], tmp_path: Path
) -> None:
    folder, table, matrix = onnx_source
    output = tmp_path / "out"
    script = (
        "import sys; from edge_embed_conversion.convert import convert\n"
        f"convert({str(folder)!r}, {str(output)!r}, precision='fp32')\n"
        "print(sorted({'torch', 'transformers', 'optimum', 'nncf'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
    assert "converting onnx/model.onnx with OpenVINO alone" in result.stderr

    model = Embedder(output, cache=False)
    text = "What is the capital of Mongolia?"
    (ids,) = model.tokenizer([text]).ids
    expected = np.tanh(table[ids] @ matrix).mean(axis=0)
    np.testing.assert_allclose(model.encode(text), expected / np.linalg.norm(expected), atol=1e-5)
    config = ModelConfig.from_folder(output)
    assert (config.dim, list(config.variants)) == (HIDDEN, ["fp32"])


def test_a_damaged_onnx_file(onnx_source: tuple[Path, Floats, Floats]) -> None:
    path = onnx_source[0] / "onnx" / "model.onnx"
    path.write_bytes(b"\x08\x07 no model")
    with pytest.raises(ModelFormatError, match=r"OpenVINO cannot read .*model\.onnx"):
        read_onnx(path)


def test_onnx_is_quantized_like_any_other(
    onnx_source: tuple[Path, Floats, Floats], tmp_path: Path
) -> None:
    receipt = convert(onnx_source[0], tmp_path / "out", precision="w8")
    assert receipt.variants["fp32"].origin == "converted"
    assert receipt.variants["fp32"].fidelity is None  # it is what w8 is measured against
    assert receipt.variants["w8"].fidelity is not None


def onnx_model(table: Floats, matrix: Floats) -> bytes:
    """Write tanh(table[input_ids] @ matrix) * attention_mask as an ONNX file.

    By hand, in protobuf's wire format (onnx.proto3), so that the tests do not need the package.
    """

    def varint(value: int) -> bytes:
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes(out) + bytes([value])

    def field(number: int, value: int | str | bytes) -> bytes:
        if isinstance(value, int):
            return varint(number << 3) + varint(value)
        data = value.encode() if isinstance(value, str) else value
        return varint(number << 3 | 2) + varint(len(data)) + data

    def tensor(name: str, array: npt.NDArray[np.generic], kind: int) -> bytes:
        dims = b"".join(field(1, size) for size in array.shape)
        return dims + field(2, kind) + field(8, name) + field(9, array.tobytes())

    def value(name: str, kind: int, dims: tuple[int | str, ...]) -> bytes:
        shape = b"".join(field(1, field(1 if isinstance(d, int) else 2, d)) for d in dims)
        return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))

    def node(kind: str, inputs: tuple[str, ...], output: str, attribute: bytes = b"") -> bytes:
        names = b"".join(field(1, name) for name in inputs)
        return names + field(2, output) + field(4, kind) + attribute

    floats, int64 = 1, 7
    to_float = field(5, field(1, "to") + field(3, floats) + field(20, 2))
    nodes = (
        node("Gather", ("table", "input_ids"), "embedded"),
        node("MatMul", ("embedded", "matrix"), "product"),
        node("Tanh", ("product",), "states"),
        node("Cast", ("attention_mask",), "weights", to_float),
        node("Unsqueeze", ("weights", "last"), "column"),
        node("Mul", ("states", "column"), "last_hidden_state"),
    )
    tensors = (
        tensor("table", table, floats),
        tensor("matrix", matrix, floats),
        tensor("last", np.frombuffer(struct.pack("<q", 2), np.int64), int64),
    )
    inputs = (value(name, int64, ("b", "t")) for name in ("input_ids", "attention_mask"))
    graph = b"".join(field(1, item) for item in nodes) + field(2, "encoder")
    graph += b"".join(field(5, item) for item in tensors)
    graph += b"".join(field(11, item) for item in inputs)
    graph += field(12, value("last_hidden_state", floats, ("b", "t", HIDDEN)))
    return field(1, 8) + field(8, field(1, "") + field(2, 13)) + field(7, graph)
