"""Conversion from end to end: the folder, its receipt, and what happens when it goes wrong."""

import gc
import json
import shutil
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
from transformers import PreTrainedModel

from edge_embed.embedder import Embedder
from edge_embed.errors import InputError, ModelFormatError, OutputError
from edge_embed.model.config import ModelConfig, PoolingMode
from edge_embed.model.receipt import check_files, read_receipt
from edge_embed_conversion import convert as convert_module
from edge_embed_conversion.build import Build
from edge_embed_conversion.calibration import TextSet, shipped_texts
from edge_embed_conversion.convert import convert
from edge_embed_conversion.fidelity import compare
from edge_embed_conversion.layout import write_layout
from edge_embed_conversion.parity_texts import PARITY_TEXTS
from edge_embed_conversion.quantize import Int8Recipe
from edge_embed_conversion.verify import verify

FP32 = "openvino/openvino_model"
INT8 = "openvino/openvino_model_qint8_quantized"
W8 = "openvino/openvino_model_w8"
FEW = TextSet("few", shipped_texts("calibration").texts[:16])
TEXTS = list(shipped_texts("evaluation").texts)


@pytest.fixture
def copy(tmp_path: Path, tiny_bert_source: Path) -> Path:
    """A copy of the tiny source, to be damaged."""
    return Path(shutil.copytree(tiny_bert_source, tmp_path / "source"))


def files_of(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def cosines(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(axis=1) / lengths)


def held_checkpoints() -> int:
    """The number of torch encoders in memory."""
    gc.collect()
    return sum(issubclass(type(thing), PreTrainedModel) for thing in gc.get_objects())


# --- the folder ---


def test_the_folder_has_the_layout_of_sentence_transformers(tiny_model: Path) -> None:
    assert files_of(tiny_model) == {
        "modules.json",
        "1_Pooling/config.json",
        "sentence_bert_config.json",
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        f"{FP32}.xml",
        f"{FP32}.bin",
        f"{INT8}.xml",
        f"{INT8}.bin",
        "edge_embed.json",
    }


def test_every_file_around_the_graph_is_the_sources(
    tiny_model: Path, tiny_bert_source: Path, tiny_albert: Path, tiny_albert_source: Path
) -> None:
    for folder, source in ((tiny_model, tiny_bert_source), (tiny_albert, tiny_albert_source)):
        for name in files_of(folder) - {"edge_embed.json"}:
            if not name.startswith("openvino/"):
                assert (folder / name).read_bytes() == (source / name).read_bytes(), name


def test_no_checkpoint_is_in_memory_while_it_is_quantized(
    tiny_bert_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, during = held_checkpoints(), []
    write_int8 = Build.write_int8

    def watched(build: Build, texts: TextSet, recipe: Int8Recipe) -> None:
        during.append(held_checkpoints())
        write_int8(build, texts, recipe)

    monkeypatch.setattr(Build, "write_int8", watched)
    convert(tiny_bert_source, tmp_path / "model", calibration=FEW)
    assert during == [before]


def test_the_folder_embeds(tiny_model: Path, tiny_albert: Path) -> None:
    for folder in (tiny_model, tiny_albert):
        fp32 = Embedder(folder, variant="fp32", cache=False).encode(TEXTS)
        int8 = Embedder(folder, variant="int8", cache=False).encode(TEXTS)
        assert fp32.shape == int8.shape == (len(TEXTS), 32)
        measured = compare(int8, fp32)
        assert measured.cosine_mean > 0.97
        assert measured.spearman > 0.9


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_sentence_transformers_opens_the_folder(tiny_model: Path, variant: str) -> None:
    from sentence_transformers import SentenceTransformer

    # Left alone, it opens the FP32 graph and computes in the processor's own precision.
    options: dict[str, Any] = {"ov_config": {"INFERENCE_PRECISION_HINT": "f32"}}
    if variant == "int8":
        options["file_name"] = f"{INT8}.xml"
    theirs = SentenceTransformer(str(tiny_model), backend="openvino", model_kwargs=options)
    ours = Embedder(tiny_model, variant=variant, cache=False)
    floor = 0.99999 if variant == "fp32" else 0.999
    assert cosines(theirs.encode(TEXTS), ours.encode(TEXTS)).min() > floor


def test_albert_keeps_its_published_tokenizer(tiny_albert: Path, tiny_albert_source: Path) -> None:
    import tokenizers

    published = tokenizers.Tokenizer.from_file(str(tiny_albert_source / "tokenizer.json"))
    published.no_padding()
    published.enable_truncation(ModelConfig.from_folder(tiny_albert).max_seq_length)
    ours = Embedder(tiny_albert, cache=False).tokenizer(PARITY_TEXTS)
    for text, ids in zip(PARITY_TEXTS, ours.ids, strict=True):
        assert ids.tolist() == published.encode(text).ids, text


# --- the receipt ---


def test_the_receipt_says_what_was_done(tiny_model: Path, tiny_bert_source: Path) -> None:
    receipt = read_receipt(tiny_model)
    assert receipt is not None
    assert (receipt.source.name, receipt.source.kind) == (tiny_bert_source.name, "folder")
    assert receipt.source.weights == "checkpoint"
    assert (receipt.licence, receipt.languages) == ("apache-2.0", ("en",))
    assert (receipt.precision, receipt.tokenizer) == ("int8", "copied")
    assert receipt.calibration is not None
    assert receipt.calibration.name == "every tenth"
    assert receipt.calibration.sha256 != receipt.evaluation.sha256
    assert receipt.evaluation.size >= 200
    assert {"openvino", "nncf", "optimum-intel", "transformers", "torch"} <= set(receipt.tools)
    assert receipt.created.endswith("+00:00")
    assert set(receipt.variants) == {"int8", "fp32"}
    assert receipt.variants["int8"].recipe["preset"] == "mixed"
    int8, fp32 = (receipt.variants[name].fidelity for name in ("int8", "fp32"))
    assert int8 is not None
    assert fp32 is not None
    assert fp32.cosine_min > 0.99999
    assert int8.cosine_min <= int8.cosine_p1 <= int8.cosine_mean < 1
    assert 0.9 < int8.spearman < 1


def test_the_receipts_hashes_cover_every_file(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    receipt = read_receipt(folder)
    assert receipt is not None
    assert set(receipt.files) == files_of(folder) - {"edge_embed.json"}
    assert check_files(folder, receipt) == []
    weights = bytearray((folder / f"{FP32}.bin").read_bytes())
    weights[100] ^= 1
    (folder / f"{FP32}.bin").write_bytes(weights)
    (folder / "config.json").unlink()
    with (folder / "tokenizer.json").open("a") as file:
        file.write(" ")
    size = (folder / "tokenizer.json").stat().st_size
    assert check_files(folder, receipt) == [
        "config.json is missing",
        f"{FP32}.bin has changed (its sha256 differs)",
        f"tokenizer.json has {size} bytes instead of {size - 1}",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"schema": 1}', "is damaged"),
        ('{"schema": 99}', "newer than this version reads"),
    ],
)
def test_a_damaged_receipt(tmp_path: Path, text: str, message: str) -> None:
    assert read_receipt(tmp_path) is None
    (tmp_path / "edge_embed.json").write_text(text)
    with pytest.raises(ModelFormatError, match=message):
        read_receipt(tmp_path)


def test_a_receipt_of_a_later_minor_version_is_read(tiny_model: Path, tmp_path: Path) -> None:
    data = json.loads((tiny_model / "edge_embed.json").read_text())
    data["new"] = data["source"]["new"] = 1
    (tmp_path / "edge_embed.json").write_text(json.dumps(data))
    assert read_receipt(tmp_path) == read_receipt(tiny_model)


# --- precisions and origins ---


def test_fp32_alone(tiny_bert_source: Path, tmp_path: Path) -> None:
    receipt = convert(tiny_bert_source, tmp_path / "out", precision="fp32")
    assert receipt.calibration is None
    assert list(ModelConfig.from_folder(tmp_path / "out").variants) == ["fp32"]


def test_fp16_is_told_from_fp32_by_the_receipt(tiny_bert_source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    receipt = convert(tiny_bert_source, folder, precision="fp16")
    assert list(ModelConfig.from_folder(folder).variants) == ["fp16"]
    measured = receipt.variants["fp16"].fidelity
    assert measured is not None
    assert measured.cosine_min > 0.9999


def test_w8_with_fp32_beside_it(tiny_bert_source: Path, tmp_path: Path) -> None:
    receipt = convert(tiny_bert_source, tmp_path / "out", precision="w8")
    assert set(receipt.variants) == {"w8", "fp32"}
    assert (tmp_path / "out" / f"{W8}.bin").is_file()
    measured = receipt.variants["w8"].fidelity
    assert measured is not None
    assert measured.cosine_min > 0.99


def test_the_smallest_folder_has_no_fp32(tiny_model: Path, tmp_path: Path) -> None:
    receipt = convert(tiny_model, tmp_path / "out", with_fp32=False)
    assert set(receipt.variants) == {"int8"}
    assert not (tmp_path / "out" / f"{FP32}.bin").exists()


def test_graphs_that_are_there_are_adopted(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt = convert(tiny_model, tmp_path / "out")
    for name in (FP32, INT8):
        for suffix in (".xml", ".bin"):
            ours = (tmp_path / "out" / f"{name}{suffix}").read_bytes()
            assert ours == (tiny_model / f"{name}{suffix}").read_bytes()
    assert receipt.source.weights == "openvino"
    assert {variant.origin for variant in receipt.variants.values()} == {"adopted"}
    assert receipt.calibration is None
    assert (receipt.licence, receipt.languages) == ("apache-2.0", ("en",))
    captured = capsys.readouterr()
    assert "adopted openvino/openvino_model.xml" in captured.err
    assert "adopted openvino/openvino_model_qint8_quantized.xml" in captured.err
    assert captured.out == ""


def test_calibration_texts_quantize_an_adopted_graph_anew(tiny_model: Path, tmp_path: Path) -> None:
    receipt = convert(tiny_model, tmp_path / "out", calibration=FEW)
    assert receipt.variants["int8"].origin == "quantized"
    assert receipt.variants["fp32"].origin == "adopted"
    assert receipt.calibration is not None
    assert receipt.calibration.size == len(FEW.texts)


def test_re_export_passes_over_a_graph(
    copy: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_model / "openvino", copy / "openvino")
    adopted = convert(copy, tmp_path / "adopted", precision="fp32")
    exported = convert(copy, tmp_path / "exported", precision="fp32", re_export=True)
    assert adopted.variants["fp32"].origin == "adopted"
    assert exported.variants["fp32"].origin == "exported"
    assert "graph: exporting model.safetensors" in capsys.readouterr().err


# --- sources that lack something ---


def test_pooling_is_never_guessed(copy: Path, tmp_path: Path) -> None:
    (copy / "modules.json").unlink()
    with pytest.raises(ModelFormatError, match=r"no modules\.json .* state it with --pooling"):
        convert(copy, tmp_path / "out", precision="fp32")
    assert not (tmp_path / "out").exists()
    convert(copy, tmp_path / "out", precision="fp32", pooling="cls")
    config = ModelConfig.from_folder(tmp_path / "out")
    assert (config.pooling, config.normalize, config.dim) == (("cls",), False, 32)


@pytest.mark.parametrize("mode", get_args(PoolingMode))
def test_every_pooling_mode_can_be_stated(copy: Path, tmp_path: Path, mode: PoolingMode) -> None:
    (copy / "modules.json").unlink()
    convert(copy, tmp_path / "out", precision="fp32", pooling=mode)  # compares with the reference
    assert ModelConfig.from_folder(tmp_path / "out").pooling == (mode,)


@pytest.mark.parametrize("key", ["hidden_size", "dim", "d_model"])
def test_a_stated_pooling_finds_the_width(copy: Path, tmp_path: Path, key: str) -> None:
    (copy / "modules.json").unlink()
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({key: config.pop("hidden_size"), **config}))
    (tmp_path / "out").mkdir()
    write_layout(copy, tmp_path / "out", pooling="mean")
    assert ModelConfig.from_folder(tmp_path / "out").hidden_size == 32


def test_a_cross_encoder_is_no_encoder(copy: Path, tmp_path: Path) -> None:
    (copy / "modules.json").unlink()
    config = json.loads((copy / "config.json").read_text())
    config["architectures"] = ["BertForSequenceClassification"]
    (copy / "config.json").write_text(json.dumps(config))
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelFormatError, match="is a cross-encoder or classifier"):
        write_layout(copy, tmp_path / "out", pooling="mean")


def test_a_stated_pooling_is_not_overruled(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="states its pooling"):
        convert(copy, tmp_path / "out", precision="fp32", pooling="cls")


def test_a_missing_pooling_file_is_named(copy: Path, tmp_path: Path) -> None:
    (copy / "1_Pooling" / "config.json").unlink()
    with pytest.raises(ModelFormatError, match=r"1_Pooling .*config\.json is missing"):
        convert(copy, tmp_path / "out", precision="fp32")


def test_a_module_that_is_not_run_is_not_dropped(copy: Path, tmp_path: Path) -> None:
    modules = json.loads((copy / "modules.json").read_text())
    lstm = {"idx": 3, "name": "3", "path": "3_LSTM", "type": "sentence_transformers.models.LSTM"}
    (copy / "modules.json").write_text(json.dumps([*modules, lstm]))
    with pytest.raises(ModelFormatError, match="LSTM"):
        convert(copy, tmp_path / "out", precision="fp32")


def test_a_transformer_in_a_subfolder_moves_to_the_root(copy: Path, tmp_path: Path) -> None:
    sub = copy / "0_Transformer"
    sub.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (copy / name).rename(sub / name)
    (copy / "sentence_bert_config.json").rename(sub / "sentence_bert_config.json")
    modules = json.loads((copy / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (copy / "modules.json").write_text(json.dumps(modules))
    receipt = convert(copy, tmp_path / "out", precision="fp32")
    assert receipt.variants["fp32"].fidelity is not None
    assert Embedder(tmp_path / "out", cache=False).encode("a text").shape == (32,)


def test_a_tokenizer_is_made_where_there_is_none(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(copy / "tokenizer.json"))
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    (copy / "vocab.txt").write_text("".join(f"{word}\n" for word, _ in words), encoding="utf-8")
    (copy / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    (copy / "tokenizer.json").unlink()
    receipt = convert(copy, tmp_path / "out", precision="fp32")
    assert receipt.tokenizer.startswith("made from vocab.txt by transformers")
    assert receipt.tokenizer in capsys.readouterr().err
    made = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    tokenizer.no_padding()
    assert made.encode("Hello, world!").ids == tokenizer.encode("Hello, world!").ids


def test_no_tokenizer_at_all(copy: Path, tmp_path: Path) -> None:
    (copy / "tokenizer.json").unlink()
    with pytest.raises(ModelFormatError, match=r"no tokenizer\.json and nothing to make it from"):
        convert(copy, tmp_path / "out", precision="fp32")


def test_licence_texts_come_along(copy: Path, tmp_path: Path) -> None:
    (copy / "LICENSE").write_text("Apache License")
    (copy / "NOTICE.txt").write_text("Thanks")
    receipt = convert(copy, tmp_path / "out", precision="fp32")
    assert {"LICENSE", "NOTICE.txt"} <= set(receipt.files)


def test_a_projection_comes_along(copy: Path, tmp_path: Path) -> None:
    import torch

    modules = json.loads((copy / "modules.json").read_text())[:2]
    modules.append(
        {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
    )
    (copy / "modules.json").write_text(json.dumps(modules))
    (copy / "2_Dense").mkdir()
    linear = "torch.nn.modules.linear.Identity"
    config = {"in_features": 32, "out_features": 8, "bias": False, "activation_function": linear}
    (copy / "2_Dense" / "config.json").write_text(json.dumps(config))
    weight = torch.arange(256, dtype=torch.float32).reshape(8, 32) % 7 - 3
    torch.save({"linear.weight": weight}, copy / "2_Dense" / "pytorch_model.bin")
    receipt = convert(copy, tmp_path / "out", precision="fp32")
    fidelity = receipt.variants["fp32"].fidelity
    assert fidelity is not None
    assert fidelity.cosine_min > 0.99999
    assert "2_Dense/model.safetensors" in receipt.files
    assert Embedder(tmp_path / "out", cache=False).encode(TEXTS).shape == (len(TEXTS), 8)
    assert verify(tmp_path / "out", against=str(copy)).passed


# --- the output appears whole or not at all ---


def test_an_existing_folder_needs_force(tiny_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "precious").write_text("mine")
    with pytest.raises(OutputError, match="already exists; give --force"):
        convert(tiny_model, output)
    assert files_of(output) == {"precious"}
    convert(tiny_model, output, force=True)
    assert "precious" not in files_of(output)
    assert list(tmp_path.iterdir()) == [output]


def test_the_source_is_not_overwritten(copy: Path, tiny_model: Path, tmp_path: Path) -> None:
    for output in (copy, copy.parent):
        with pytest.raises(InputError, match="holds the source itself"):
            convert(copy, output, precision="fp32", force=True)
    assert (copy / "model.safetensors").is_file()


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(convert_module, "write_receipt", fail)
    with pytest.raises(type(error)):
        convert(tiny_model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_wrong_options(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown precision 'int4'"):
        convert(tiny_model, tmp_path / "out", precision="int4")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="calibration texts serve int8 alone"):
        convert(tiny_model, tmp_path / "out", precision="fp32", calibration=FEW)
    assert list(tmp_path.iterdir()) == []
