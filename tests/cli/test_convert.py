"""``convert`` and ``verify`` as a user meets them: processes, signals and exit statuses."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_embed import Embedder
from tests.support.interrupts import listen_to_interrupts
from tests.support.routed_source import make_routed_source

PROGRAM = [sys.executable, "-c", "from edge_embed.cli import run; run()"]


def program(
    *arguments: str | Path, blocked: str = "", before: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the program; with ``blocked``, as if that package were not installed."""
    code = f"import sys; sys.modules[{blocked!r}] = None\n" if blocked else before
    code += "from edge_embed.cli import run; run()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
    )


def assert_one_line(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    """The last line is the error; there is no traceback, and nothing on stdout."""
    assert result.returncode == 1, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    last = result.stderr.splitlines()[-1]
    assert last.startswith("edge-embed: ")
    for part in parts:
        assert part in last


def test_convert_says_what_it_does_and_nothing_else(tiny_bert_source: Path, tmp_path: Path) -> None:
    texts = tmp_path / "mine.txt"
    texts.write_text("\n".join(f"my text number {i}" for i in range(12)), encoding="utf-8")
    output = tmp_path / "out"
    result = program("convert", tiny_bert_source, "-o", output, "--calibration", texts)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    steps = [line.split(":")[0].strip() for line in result.stderr.splitlines()]
    assert steps.index("compare") == 2  # with sentence-transformers, before anything is quantized
    steps = [step for step in steps if step != "compare"]
    # Twelve texts that are all alike calibrate badly, and that is said.
    proposal = steps.pop(5)
    assert proposal.startswith("int8 loses")
    assert steps == ["source", "graph", "quantize", "measure", "int8", "fp32", "done"]
    assert "12 texts (mine.txt)" in result.stderr
    receipt = json.loads((output / "edge_embed.json").read_text())
    assert receipt["calibration"]["name"] == "mine.txt"

    again = program("convert", tiny_bert_source, "-o", output)
    assert_one_line(again, "already exists; give --force")


def test_a_path_of_a_router_is_chosen(tiny_bert_source: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    source = make_routed_source(tmp_path / "asymmetric", tiny_bert_source)
    output = tmp_path / "queries"
    convert = ("convert", source, "-o", output, "--precision", "fp32")
    assert_one_line(program(*convert), "a path for each of query, document", "--route query")
    wrong = program(*convert, "--route", "passage")
    assert_one_line(wrong, "--route", "has the routes query, document, not 'passage'")
    assert not output.exists()
    result = program(*convert, "--route", "query")
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    receipt = json.loads((output / "edge_embed.json").read_text())
    assert (receipt["source"]["name"], receipt["source"]["route"]) == ("asymmetric", "query")
    texts = ["A small cat.", "The train to Leeds was cancelled because of snow."]
    ours = Embedder(output, cache=False).encode(texts)
    theirs = SentenceTransformer(str(source), device="cpu").encode_query(texts)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    held = program("verify", output, "--against", source)
    assert held.returncode == 0, held.stderr
    assert "failed" not in held.stdout


def test_a_path_of_what_has_no_router(tiny_bert_source: Path, tmp_path: Path) -> None:
    result = program("convert", tiny_bert_source, "-o", tmp_path / "out", "--route", "query")
    assert_one_line(result, "--route names a path of a Router", "has no Router, not 'query'")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_conversion_leaves_no_folder(
    tiny_bert_source: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    output = tmp_path / "out"
    command = [*PROGRAM, "convert", str(tiny_bert_source), "-o", str(output)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=listen_to_interrupts
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("quantize"):
                break
        assert any(tmp_path.iterdir())  # it is at work beside the output
        process.send_signal(sent)
        rest = process.stderr.read()
        status = process.wait(timeout=60)
    assert not output.exists()
    if sent is signal.SIGKILL:
        assert status == -signal.SIGKILL
    else:
        assert status == 1
        assert rest.splitlines()[-1] == "edge-embed: interrupted; no output was written"
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--column", "text"], "--column names a column"),
        (["--precision", "fp32", "--without-fp32"], "--without-fp32 leaves nothing"),
        (["--precision", "int4"], "int4"),
        (["--pooling", "best"], "best"),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], part: str) -> None:
    result = program("convert", "anything", "-o", "out", *arguments)
    assert result.returncode == 2
    assert part in result.stderr


@pytest.mark.parametrize("blocked", ["torch", "nncf", "optimum"])
def test_a_missing_tool_is_named_with_its_remedy(
    tiny_bert_source: Path, tmp_path: Path, blocked: str
) -> None:
    result = program("convert", tiny_bert_source, "-o", tmp_path / "out", blocked=blocked)
    assert_one_line(result, blocked, "pip install 'edge-embed[convert]'")
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written(tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    assert_one_line(program("convert", tiny_model, "-o", file), "it is a file; give a folder")
    assert_one_line(program("convert", tiny_model, "-o", file / "out"), "cannot write")
    assert file.read_text() == "mine"


@pytest.mark.parametrize("source", ["tiny_bert_source", "tiny_model"])
def test_a_full_disk_is_one_line(
    request: pytest.FixtureRequest, tmp_path: Path, source: str
) -> None:
    """A limit on the size of files is met like the end of a disk, by Python and by OpenVINO."""
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
    arguments = [request.getfixturevalue(source), "-o", tmp_path / "out", "--precision", "fp32"]
    result = program("convert", *arguments, before=code)
    assert_one_line(result, "cannot write")
    assert list(tmp_path.iterdir()) == []


def test_verify_prints_its_checks(tiny_model: Path, tiny_bert_source: Path) -> None:
    result = program("verify", tiny_model, "--against", tiny_bert_source)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    checks = ("files", "tokenizer", "int8", "fp32", "int8 texts", "fp32 texts")
    for name, line in zip(checks, lines, strict=True):
        assert line.startswith(f"passed  {name} ")


def test_verify_needs_no_extra_for_hashes(tiny_model: Path) -> None:
    result = program("verify", tiny_model, "--json", blocked="torch")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["passed"] is True


def test_verify_fails_with_status_1(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (folder / "modules.json").write_text((folder / "modules.json").read_text() + "\n")
    result = program("verify", folder, "--json")
    assert result.returncode == 1
    document = json.loads(result.stdout)
    assert document["passed"] is False
    assert "modules.json has" in document["checks"][0]["detail"]
