"""What others have written cannot steer the terminal, whichever command shows it."""

import json
import logging
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import edge_embed.cli
from edge_embed.cli import main
from edge_embed.cli.serve import _PrintableFormatter
from edge_embed.cli.terminal import echo, echo_json
from edge_embed.tasks import Index

# Sets the window's title, hides what follows, a control character of 8 bits, turns the writing.
HOSTILE = "\x1b]0;owned\x07\x1b[8m\x9b2J\u202e\rname"
CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")


def test_commands_write_through_what_cleans() -> None:
    folder = Path(edge_embed.cli.__file__).parent
    own = {"terminal.py", "__init__.py", "demo.py"}  # the demo shows texts of its own
    raw = re.compile(r"click\.(echo|secho)\(|\bprint\(")
    files = [file for file in folder.glob("*.py") if file.name not in own]
    assert len(files) > 20
    assert [file.name for file in files if raw.search(file.read_text(encoding="utf-8"))] == []


def test_lines_and_documents(capsys: pytest.CaptureFixture[str]) -> None:
    echo(f"one {HOSTILE}\ntwo")
    shown = capsys.readouterr().out
    assert shown.endswith("name\ntwo\n")
    assert not CONTROLS.search(shown)
    document = {HOSTILE: ["\U000e0001\xa0", "Grüße, 你好"]}
    echo_json(document, indent=1)
    shown = capsys.readouterr().out
    assert not CONTROLS.search(shown)
    assert json.loads(shown) == document, "what is read is what was written"
    assert "Grüße, 你好" in shown


def test_a_log_line() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "GET %s", (f"/{HOSTILE}",), None)
    shown = _PrintableFormatter("%(message)s").format(record)
    assert shown.startswith("GET /")
    assert not CONTROLS.search(shown)


def test_names_from_a_models_files(tiny_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    settings = {"prompts": {HOSTILE: "query: "}, "default_prompt_name": None}
    (model / "config_sentence_transformers.json").write_text(json.dumps(settings))
    (model / "README.md").write_text(f"---\nlicense: {HOSTILE}\n---\n", encoding="utf-8")
    receipt = json.loads((model / "edge_embed.json").read_text())
    receipt["source"]["name"] = HOSTILE
    (model / "edge_embed.json").write_text(json.dumps(receipt))
    plain = CliRunner().invoke(main, ["info", "-m", str(model), "--no-cache"])
    assert plain.exit_code == 0, plain.exception
    assert plain.output.count("name") >= 2
    assert not CONTROLS.search(plain.output)
    document = CliRunner().invoke(main, ["info", "-m", str(model), "--no-cache", "--json"])
    assert not CONTROLS.search(document.output)
    assert json.loads(document.output)["model"]["prompts"] == [HOSTILE]
    assert json.loads(document.output)["receipt"]["source"] == HOSTILE


def test_names_from_an_index(tmp_path: Path) -> None:
    path = tmp_path / "a.index"
    with Index.create(path, dim=2, model_name=HOSTILE) as index:
        index.add([HOSTILE], np.ones((1, 2)))
    shown = CliRunner().invoke(main, ["index", "info", str(path)])
    assert shown.exit_code == 0, shown.exception
    assert "name" in shown.output
    assert not CONTROLS.search(shown.output)


def test_an_error_that_quotes_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text(f"{HOSTILE.strip()},b\n1,2\n", encoding="utf-8", newline="")
    with pytest.raises(SystemExit) as stopped:
        edge_embed.cli.run(["embed", "-i", "a.csv", "--column", "c"])
    shown = capsys.readouterr().err
    assert stopped.value.code == 1
    assert shown.startswith("edge-embed: ")
    assert not CONTROLS.search(shown)
