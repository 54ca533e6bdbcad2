"""``edge-embed doctor``: what it finds on a sound box, and the remedy for what is wrong."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge_embed import Embedder
from edge_embed.cli import main
from edge_embed.doctor import checks
from edge_embed.doctor.speed import SpeedCheck, expected_speed
from edge_embed.errors import ModelFormatError
from edge_embed.hardware.machine import free_memory_mb
from edge_embed.model.file_names import RECEIPT
from edge_embed.model.golden import GoldenValues


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SpeedCheck, "run", lambda _: SpeedCheck(1000.0, 2))
    monkeypatch.setattr(checks, "free_memory_mb", lambda: 1000)


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A model folder with golden values, which a test may damage."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    unit = Embedder(folder, cache=False).encode(["one", "two"], normalize=True).astype(float)
    values = {
        "texts": ["one", "two"],
        "first components": unit[:, :6].round(4).tolist(),
        "cosines": (unit @ unit.T).round(4).tolist(),
    }
    card = f"# A model\n\n## Golden values\n\n```json\n{json.dumps(values)}\n```\n"
    (folder / "README.md").write_text(card)
    receipt = json.loads((folder / RECEIPT).read_text())
    receipt["files"].pop("README.md", None)
    (folder / RECEIPT).write_text(json.dumps(receipt))
    return folder


def doctor(model: Path) -> tuple[Result, dict[str, Any]]:
    result = CliRunner().invoke(main, ["doctor", "-m", str(model), "--json"])
    document = json.loads(result.stdout)
    return result, {check["name"]: check for check in document["checks"]}


def test_a_sound_box(model: Path) -> None:
    result, found = doctor(model)
    assert result.exit_code == 0
    assert list(found) == [
        *("processor", "threads", "memory", "install", "cache", "model", "vectors", "speed")
    ]
    assert {check["status"] for check in found.values()} == {"ok"}
    assert found["speed"]["facts"]["tokens_per_second"] == 1000
    text = CliRunner().invoke(main, ["doctor", "-m", str(model)])
    assert text.exit_code == 0
    assert text.stdout.count("\n") == len(found)
    assert "remedy" not in text.stdout


def test_a_damaged_file(model: Path) -> None:
    with (model / "tokenizer_config.json").open("a") as file:
        file.write(" ")
    result, found = doctor(model)
    assert result.exit_code == 1
    assert "tokenizer_config.json has" in found["model"]["detail"]
    assert "copy the model again" in found["model"]["remedy"]


def test_other_vectors(model: Path) -> None:
    card = model / "README.md"
    card.write_text(card.read_text().replace('"one"', '"three"'))
    result, found = doctor(model)
    assert result.exit_code == 1
    assert found["vectors"]["status"] == "wrong"
    assert found["vectors"]["facts"]["apart"] > 0.01


def test_no_golden_values_are_worth_a_note(tiny_model: Path) -> None:
    result, found = doctor(tiny_model)
    assert result.exit_code == 0
    assert found["vectors"]["status"] == "note"


def test_too_little_memory(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "free_memory_mb", lambda: 100)
    result = CliRunner().invoke(main, ["doctor", "-m", str(model)])
    assert result.exit_code == 1
    assert "wrong memory" in result.stdout
    assert "remedy: stop something else" in result.stdout


def test_a_cache_that_cannot_be_written(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="compiled models are not cached"):
        result, found = doctor(model)
    assert result.exit_code == 1
    assert "set XDG_CACHE_HOME" in found["cache"]["remedy"]


def test_a_slow_machine(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "expected_speed", lambda *_: 5000.0)
    monkeypatch.setattr("os.getloadavg", lambda: (0.1, 0.1, 0.1))
    result, found = doctor(model)
    assert result.exit_code == 1
    assert "10 % of what such a processor does" in found["speed"]["detail"]
    assert "power-saving" in found["speed"]["remedy"]


def test_a_busy_machine_is_not_called_slow(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "expected_speed", lambda *_: 5000.0)
    monkeypatch.setattr("os.getloadavg", lambda: (1000.0, 0.1, 0.1))
    result, found = doctor(model)
    assert result.exit_code == 0
    assert found["speed"]["status"] == "note"
    assert "the machine is busy (load 1000.0), so this says little" in found["speed"]["detail"]


@pytest.mark.parametrize(
    ("exact", "found", "meaning"),
    [
        (True, ["avx2", "avx512_vnni", "amx_int8"], "AMX"),
        (True, ["avx2", "avx_vnni"], "VNNI: INT8 is"),
        (True, [], "unknown"),
        (False, ["avx2", "avx512f"], "AVX-512 without VNNI: INT8 sums are not exact"),
        (False, ["avx2"], "AVX2 without VNNI"),
        (False, [], "SSE4.2 without VNNI"),
    ],
)
def test_what_instructions_mean(
    exact: bool, found: list[str], meaning: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "int8_is_exact", lambda: exact)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert checks._meaning(found).startswith(meaning)


def test_the_speed_is_measured(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("edge_embed.doctor.speed._SECONDS", 0.01)
    measured = SpeedCheck.run(Embedder(tiny_model, threads=1, cache=False))
    assert measured.tokens_per_second > 0
    assert measured.threads == 1


def test_what_is_expected() -> None:
    assert expected_speed("edge-embed-albert", "int8", ["avx2", "amx_int8"]) == 10800
    assert expected_speed("edge-embed-albert", "int8", ["avx2"]) is None
    assert expected_speed("another", "int8", ["amx_int8"]) is None


def test_free_memory_is_the_least_of_machine_and_group(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    assert free_memory_mb(tmp_path) is None
    (tmp_path / "proc/meminfo").write_text("MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n")
    assert free_memory_mb(tmp_path) == 4096
    for name, value in (("memory.max", "max"), ("memory.current", "200000000")):
        (group / name).write_text(f"{value}\n")
    assert free_memory_mb(tmp_path) == 4096
    (group / "memory.max").write_text("512000000\n")
    (group / "memory.stat").write_text("anon 1\ninactive_file 50000000\n")
    assert free_memory_mb(tmp_path) == 362


@pytest.mark.parametrize(
    "block", ["{", "{}", '{"texts": ["a"], "first components": [[1]], "cosines": [[1]]}']
)
def test_a_damaged_card(tmp_path: Path, block: str) -> None:
    (tmp_path / "README.md").write_text(f"## Golden values\n\n```json\n{block}\n```\n")
    with pytest.raises(ModelFormatError, match=r"golden values of .* are damaged"):
        GoldenValues.from_folder(tmp_path)
    assert GoldenValues.from_folder(tmp_path / "nowhere") is None
