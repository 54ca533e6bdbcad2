"""A graph and a checkpoint side by side, of which one was trained further."""

import shutil
from pathlib import Path

import pytest

from edge_embed.errors import ModelFormatError
from edge_embed_conversion import build
from edge_embed_conversion.convert import convert
from edge_embed_conversion.verify import verify


@pytest.fixture
def both(tiny_model: Path, tiny_bert_source: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(tiny_bert_source, tmp_path / "source"))
    (folder / "openvino").mkdir()
    for end in ("xml", "bin"):
        name = f"openvino/openvino_model.{end}"
        shutil.copyfile(tiny_model / name, folder / name)
    return folder


def train_further(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    torch.manual_seed(0)
    for name, value in weights.items():
        if value.dim() == 2:
            weights[name] = value + 0.3 * value.std() * torch.randn_like(value)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def test_a_graph_of_its_checkpoint_is_adopted(
    both: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt = convert(both, tmp_path / "out", precision="fp32")
    assert receipt.variants["fp32"].origin == "adopted"
    assert "model.safetensors beside it gives the same vectors" in capsys.readouterr().err


def test_a_graph_of_an_older_checkpoint_is_refused(both: Path, tmp_path: Path) -> None:
    train_further(both)
    with pytest.raises(ModelFormatError, match=r"was not made of model.safetensors .* is 0\.\d+"):
        convert(both, tmp_path / "out", precision="fp32")
    assert not (tmp_path / "out").exists()
    receipt = convert(both, tmp_path / "out", precision="fp32", re_export=True)
    assert receipt.variants["fp32"].origin == "exported"
    assert verify(tmp_path / "out", against=str(both)).passed


def test_verify_holds_an_older_graph_against_the_checkpoint(both: Path, tiny_model: Path) -> None:
    train_further(both)
    checks = {check.name: check.status for check in verify(tiny_model, against=str(both)).checks}
    assert checks["fp32"] == "failed"


def test_without_torch_it_is_said_that_nothing_was_compared(
    both: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    convert(both, tmp_path / "out", precision="fp32")
    assert "not compared with model.safetensors" in capsys.readouterr().err
