"""``edge-embed bench``: every figure is there, and is of this machine."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_embed import Embedder
from edge_embed.bench import bench
from edge_embed.cli import main
from edge_embed.errors import InputError


def test_figures(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    arguments = ["bench", "-m", str(tiny_model), "--texts", "120", "--rounds", "2"]
    result = CliRunner().invoke(main, [*arguments, "--json", str(out)])
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["model"] == "tiny-bert"
    assert found["texts"] == found["single_ms"]["all"]["texts"] == 120
    assert 0 < found["single_ms"]["all"]["p50"] <= found["single_ms"]["all"]["p99.9"]
    bulk = found["bulk"]["texts_per_second"]
    assert 0 < bulk["min"] <= bulk["median"] <= bulk["max"]
    assert found["machine"]["cores"] >= 1
    assert found["engine"]["latency"]["PERFORMANCE_HINT"] == "LATENCY"
    assert f"{bulk['median']:,.0f} texts/s" in result.stdout


def test_own_texts(tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("".join(f"text number {n}\n" for n in range(60)), encoding="utf-8")
    arguments = ["bench", "-m", str(tiny_model), "-i", str(file), "--rounds", "1", "--json", "-"]
    result = CliRunner().invoke(main, arguments)
    assert json.loads(result.stdout)["texts"] == 60


def test_too_few_texts(tiny_model: Path) -> None:
    with pytest.raises(InputError, match="2 different texts are too few"):
        bench(lambda hint: Embedder(tiny_model, hint=hint), ["a", "b", "a"])
