"""What the runtime must not need: checked in a fresh interpreter."""

import subprocess
import sys
from pathlib import Path

import pytest

import edge_embed

HEAVY = (
    "torch",
    "transformers",
    "optimum",
    "nncf",
    "edge_embed_conversion",
    "sentence_transformers",
)
SIDE = ("huggingface_hub", "pyarrow", "matplotlib", "scipy", "sklearn", "pandas")


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=True
    )


@pytest.mark.parametrize("packed", [True, False])
def test_embedding_imports_nothing_heavy(tiny_model: Path, packed: bool) -> None:
    code = f"""
import sys
from edge_embed import Embedder
Embedder({str(tiny_model)!r}, packed={packed}).encode(["one", "two"])
import edge_embed.cli, edge_embed.cli.embed, edge_embed.cli.info, edge_embed.cli.similarity
print(sorted({{name.split(".")[0] for name in sys.modules}} & set({HEAVY + SIDE!r})))
"""
    assert run(code).stdout.strip() == "[]"


def test_importtime_shows_neither_torch_nor_transformers(tiny_model: Path) -> None:
    code = f"from edge_embed import Embedder; Embedder({str(tiny_model)!r}).encode('one')"
    report = run(code, "-X", "importtime").stderr
    assert "edge_embed.runtime.engine" in report
    for name in HEAVY:
        assert f" {name}\n" not in report


def test_the_runtime_works_where_the_heavy_packages_are_absent(tiny_model: Path) -> None:
    code = f"""
import sys
for name in {HEAVY + SIDE!r}:
    sys.modules[name] = None  # importing it fails
from edge_embed import Embedder
print(Embedder({str(tiny_model)!r}).encode(["one"]).shape)
"""
    assert run(code).stdout.strip() == "(1, 32)"


def test_a_command_that_needs_an_extra_names_it(tiny_bert_source: Path, tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules["torch"] = None
from edge_embed.cli import run
run(["convert", {str(tiny_bert_source)!r}, "-o", {str(tmp_path / "out")!r}])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'edge-embed[convert]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_openvino_cannot_report_its_import() -> None:
    code = "import edge_embed, openvino, sys; print(sys.modules['openvino_telemetry'])"
    assert run(code).stdout.strip() == "None"


def test_openvino_comes_without_its_converters_until_they_are_asked_for() -> None:
    code = """
import edge_embed, sys
for name in ("openvino.tools.ovc", "openvino.frontend.tensorflow", "tqdm"):
    print(name in sys.modules)
import openvino
print(hasattr(openvino, "no_such_name"), openvino.convert_model.__name__)
from openvino import convert_model
from openvino.tools import ovc
print(ovc.convert_model is convert_model)
"""
    assert run(code).stdout.split() == [*["False"] * 4, "convert_model", "True"]


def test_the_public_names() -> None:
    assert sorted(edge_embed.__all__) == sorted(
        [
            "ClusterError",
            "EdgeEmbedError",
            "Embedder",
            "InputError",
            "MissingExtraError",
            "ModelFormatError",
            "ModelNotFoundError",
            "OutputError",
            "OverloadedError",
            "PairScorer",
            "SearchEngineError",
            "TextError",
            "TextTooLongError",
            "TextWarning",
            "TruncationWarning",
            "__version__",
        ]
    )
    assert all(hasattr(edge_embed, name) for name in edge_embed.__all__)
