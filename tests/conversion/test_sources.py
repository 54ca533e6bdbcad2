"""Where a model comes from: folders, packages, the hub, and every way in which it is not there."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest

from edge_embed.errors import InputError, ModelFormatError, ModelNotFoundError
from edge_embed_conversion.sources import SourceKind, resolve_source
from edge_embed_conversion.weights import Weights, WeightsKind, choose_weights, wanted_files

PROGRAM = "from edge_embed.cli import run; run()"
NOBODY = "http://127.0.0.1:9"  # a port where nothing listens
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the names of a model's files."""
    return model_files(tmp_path / "model", ["modules.json", "config.json", "model.safetensors"])


def model_files(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        text = "[]" if name.endswith("modules.json") else "{}"
        (folder / name).write_text(text, encoding="utf-8")
    return folder


# --- which weights ---


def test_weights_are_openvino_then_checkpoint_then_onnx() -> None:
    names = ["onnx/model.onnx", "model.safetensors", "openvino/openvino_model.xml"]
    kinds = []
    while (weights := choose_weights(names)) is not None:
        kinds.append(weights.kind)
        names.remove(weights.file)
    assert kinds == [WeightsKind.OPENVINO, WeightsKind.CHECKPOINT, WeightsKind.ONNX]


def test_an_int8_graph_belongs_to_an_openvino_source_alone() -> None:
    int8 = "openvino/openvino_model_qint8_quantized.xml"
    names = ["model.safetensors", "openvino/openvino_model.xml", int8]
    assert choose_weights(names) == Weights(
        WeightsKind.OPENVINO, "openvino/openvino_model.xml", int8
    )
    assert choose_weights(names, re_export=True) == Weights(
        WeightsKind.CHECKPOINT, "model.safetensors"
    )


def test_safetensors_come_before_pickles() -> None:
    weights = choose_weights(["pytorch_model.bin", "model.safetensors"])
    assert weights is not None
    assert weights.file == "model.safetensors"


def test_a_transformer_in_a_subfolder_counts() -> None:
    weights = choose_weights(["modules.json", "0_Transformer/pytorch_model.bin"])
    assert weights == Weights(WeightsKind.CHECKPOINT, "0_Transformer/pytorch_model.bin")


def test_a_layer_after_pooling_is_not_the_model() -> None:
    weights = choose_weights(["2_Dense/model.safetensors", "onnx/model.onnx"])
    assert weights == Weights(WeightsKind.ONNX, "onnx/model.onnx")


def test_a_pointer_in_the_place_of_weights(folder: Path) -> None:
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 90\n"
    (folder / "model.safetensors").write_text(text)
    with pytest.raises(ModelFormatError, match=r"is a Git LFS pointer.* 'git lfs pull'"):
        resolve_source(str(folder))


def test_a_folder_without_weights_names_what_is_expected(tmp_path: Path) -> None:
    model_files(tmp_path, ["modules.json", "config.json"])
    with pytest.raises(ModelFormatError, match=r"holds no weights: expected .*model\.safetensors"):
        resolve_source(str(tmp_path))


def test_an_adapter_is_named(tmp_path: Path) -> None:
    model_files(tmp_path, ["adapter_config.json", "adapter_model.safetensors"])
    with pytest.raises(ModelFormatError, match="is an adapter of another model"):
        resolve_source(str(tmp_path))


def test_stellas_layers_are_downloaded() -> None:
    files = ["modules.json", "model.safetensors", "2_Dense_1024/model.safetensors"]
    files += ["2_Dense_1024/pytorch_model.bin", "0_Transformer/model.safetensors"]
    wanted = wanted_files(files, re_export=False)
    assert "2_Dense_1024/model.safetensors" in wanted
    assert "2_Dense_1024/pytorch_model.bin" not in wanted


def test_re_export_needs_something_to_export(tmp_path: Path) -> None:
    model_files(tmp_path, ["openvino/openvino_model.xml"])
    with pytest.raises(ModelFormatError, match="holds no checkpoint or ONNX file to export"):
        resolve_source(str(tmp_path), re_export=True)


# --- folders ---


def test_a_folder_is_taken_as_it_is(folder: Path) -> None:
    source = resolve_source(str(folder))
    assert (source.kind, source.folder, source.revision) == (SourceKind.FOLDER, folder, None)
    assert source.weights_path == folder / "model.safetensors"


@pytest.mark.parametrize(
    ("front", "licence", "languages"),
    [
        ("license: mit\nlanguage: en", "mit", ("en",)),
        ("license: [mit, apache-2.0]\nlanguage:\n- en\n- de", "mit, apache-2.0", ("en", "de")),
        ("tags: []", None, ()),
        ("license: [unclosed", None, ()),
        ("- a list", None, ()),
    ],
)
def test_licence_and_languages_come_from_the_model_card(
    folder: Path, front: str, licence: str | None, languages: tuple[str, ...]
) -> None:
    (folder / "README.md").write_text(f"---\n{front}\n---\n# A model\n", encoding="utf-8")
    source = resolve_source(str(folder))
    assert (source.licence, source.languages) == (licence, languages)


def test_a_converted_folder_keeps_the_licence_of_its_receipt(folder: Path) -> None:
    receipt = {"licence": "apache-2.0", "languages": ["en"]}
    (folder / "edge_embed.json").write_text(json.dumps(receipt), encoding="utf-8")
    source = resolve_source(str(folder))
    assert (source.licence, source.languages) == ("apache-2.0", ("en",))


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="there is no folder"):
        resolve_source(str(tmp_path / "nowhere"))


def test_a_file_is_not_a_model(folder: Path) -> None:
    with pytest.raises(InputError, match="is a file; give the folder"):
        resolve_source(str(folder / "config.json"))


def test_a_revision_is_for_the_hub_alone(folder: Path) -> None:
    with pytest.raises(InputError, match="--revision is for hub repositories"):
        resolve_source(str(folder), revision="main")


# --- installed packages ---


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], Path]:
    """Return a function that installs a package ``carrier`` 2.5 with the files it is given."""

    def install_files(names: list[str]) -> Path:
        site = tmp_path / "site"
        model_files(site, names)
        (site / "carrier").mkdir(exist_ok=True)
        (site / "carrier" / "__init__.py").write_text("raise SystemExit('imported')\n")
        info = site / "carrier-2.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: carrier\nVersion: 2.5\n")
        record = "".join(f"{name},,\n" for name in ["carrier/__init__.py", *names])
        (info / "RECORD").write_text(record)
        monkeypatch.syspath_prepend(site)
        return site

    return install_files


def test_a_package_is_found_without_running_its_code(
    install: Callable[[list[str]], Path],
) -> None:
    files = ["carrier/model/modules.json", "carrier/model/model.safetensors"]
    site = install(files)
    source = resolve_source("carrier")
    assert (source.kind, source.revision) == (SourceKind.PACKAGE, "2.5")
    assert source.folder == site / "carrier" / "model"


def test_a_package_without_modules_is_found_by_its_weights(
    install: Callable[[list[str]], Path],
) -> None:
    site = install(["carrier/config.json", "carrier/w/config.json", "carrier/w/model.safetensors"])
    assert resolve_source("carrier").folder == site / "carrier" / "w"


def test_a_package_without_a_model(install: Callable[[list[str]], Path]) -> None:
    install(["carrier/config.json"])
    with pytest.raises(ModelFormatError, match="carrier is installed but carries no model"):
        resolve_source("carrier")


def test_a_package_with_two_models_is_not_chosen_from(
    install: Callable[[list[str]], Path],
) -> None:
    install(["carrier/a/modules.json", "carrier/b/modules.json"])
    with pytest.raises(ModelFormatError, match=r"several models; name one of: .*/a, .*/b"):
        resolve_source("carrier")


# --- the hub ---


def test_only_what_a_conversion_reads_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "2_Dense/model.safetensors",
        "README.md",
        "config.json",
        "model.safetensors",
        "modules.json",
        "tokenizer.json",
        "vocab.txt",
    ]
    others = [
        "2_Dense/pytorch_model.bin",
        "onnx/model.onnx",
        "onnx/config.json",
        "openvino/other.xml",
        "pytorch_model.bin",
        "rust_model.ot",
        "tf_model.h5",
        "images/plot.png",
    ]
    asked: dict[str, object] = {}
    first: list[str] = []

    def model_info(self: object, name: str, *, revision: str | None, timeout: float) -> object:
        asked["revision"] = revision
        return SimpleNamespace(
            sha=COMMIT, siblings=[SimpleNamespace(rfilename=f) for f in sorted(wanted + others)]
        )

    def snapshot_download(name: str, *, revision: str, allow_patterns: list[str]) -> str:
        first.extend(
            allow_patterns if not first else ()
        )  # settings, to be looked at before weights
        asked.update(name=name, commit=revision, files=allow_patterns)
        return str(model_files(tmp_path, allow_patterns))

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    source = resolve_source("someone/model", revision="v1.0")
    assert first == sorted(f for f in wanted + others if f.endswith(".json"))
    assert (source.kind, source.revision) == (SourceKind.HUB, COMMIT)
    assert asked == {
        "revision": "v1.0", "name": "someone/model", "commit": COMMIT, "files": wanted
    }  # fmt: skip


def hub_error(monkeypatch: pytest.MonkeyPatch, error: Exception) -> str:
    """Return what the user reads when the hub answers with ``error``."""

    def model_info(self: object, name: str, **options: object) -> object:
        raise error

    def nothing_cached(name: str, **options: object) -> str:
        raise huggingface_hub.errors.LocalEntryNotFoundError("nothing")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", nothing_cached)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(ModelNotFoundError) as caught:
        resolve_source("someone/model", revision="v9")
    return str(caught.value)


def test_a_mirror_that_does_not_answer_as_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (TypeError("string indices"), KeyError("type"), ValueError("no JSON")):
        assert "does not answer as a hub: check HF_ENDPOINT" in hub_error(monkeypatch, error)


def test_hub_errors_name_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    errors = huggingface_hub.errors
    response = httpx.Response(404, request=httpx.Request("GET", "https://example.invalid"))
    missing = errors.RepositoryNotFoundError("404", response=response)
    assert "check the spelling" in hub_error(monkeypatch, missing)
    gated = errors.GatedRepoError("403", response=response)
    assert "accept its terms" in hub_error(monkeypatch, gated)
    revision = errors.RevisionNotFoundError("404", response=response)
    assert hub_error(monkeypatch, revision) == "someone/model has no revision v9"
    down = httpx.ConnectError("connection refused\nat length")
    assert "(connection refused); check the network" in hub_error(monkeypatch, down)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"), ({"HF_HUB_OFFLINE": "0"}, "refused")],
)
def test_no_network_is_one_line(tmp_path: Path, environment: dict[str, str], reason: str) -> None:
    """The real client, as a user meets it."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, "convert", "someone/model", "-o", "out"],
        env={**os.environ, **environment, "HF_HOME": str(tmp_path), "HF_ENDPOINT": NOBODY},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert reason in result.stderr
    assert "check the network, or give the folder of a copy" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["two words", "a/b/c", "-x", "owner/na..me"])
def test_a_name_that_can_be_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotFoundError):
        resolve_source(name)


def test_a_repository_of_another_kind_is_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ["modules.json", "config_sentence_transformers.json", "model.safetensors"]
    fetched: list[str] = []

    def model_info(self: object, name: str, *, revision: str | None, timeout: float) -> object:
        return SimpleNamespace(sha=COMMIT, siblings=[SimpleNamespace(rfilename=f) for f in files])

    def snapshot_download(name: str, *, revision: str, allow_patterns: list[str]) -> str:
        fetched.extend(allow_patterns)
        model_files(tmp_path, allow_patterns)
        text = json.dumps({"model_type": "SparseEncoder"})
        (tmp_path / "config_sentence_transformers.json").write_text(text)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(ModelFormatError, match="is a sparse encoder"):
        resolve_source("someone/model")
    assert fetched == files[:2]
