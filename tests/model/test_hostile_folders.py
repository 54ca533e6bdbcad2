"""Model folders and reports of others: a wrong value is one line, no name leaves a folder."""

import json
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_embed.errors import EdgeEmbedError, InputError, ModelFormatError
from edge_embed.files.json_text import JsonError, parse_json
from edge_embed.model.config import ModelConfig
from edge_embed.model.pair_config import PairConfig
from edge_embed.model.paths import path_inside
from edge_embed.model.receipt import check_files, read_receipt
from edge_embed.runtime.tokenizer import Tokenizer
from edge_embed.tasks import deduplicate
from edge_embed.tasks.deduplication.removals import ExactDuplicates
from edge_embed.tasks.deduplication.report import DedupReport

DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "text",
    ["NaN", "[Infinity]", "1e999", "9" * 5000, DEEP, '{"a":' * 500 + "1" + "}" * 500, "{", b"\xff"],
)
def test_what_is_no_json(text: str | bytes) -> None:
    with pytest.raises(JsonError) as told:
        parse_json(text)
    assert len(str(told.value)) < 100


ROOT = Path(__file__).parents[2]
# Everything else reads JSON through files/json_text.py.
READERS = {
    "edge_embed/files/json_text.py",
    "edge_embed/files/json_values.py",  # records, with the same limits
    "edge_embed/server/endpoint.py",  # only to say what is wrong with a body
    "edge_embed/tasks/index/metadata.py",  # a text of a filter: which number does it spell?
    "edge_embed/doctor/speed.py",  # the package's own file
    "edge_embed/cli/demo.py",  # its own file
    "edge_embed/bench/processes.py",  # what its own processes say
    "edge_embed/bench/against.py",  # likewise
    "edge_embed/bench/peers.py",  # likewise
    "conversion/edge_embed_conversion/distillation/vocabulary.py",  # a tokenizer in memory
}


def test_json_of_others_is_read_by_one_reader() -> None:
    """Python's own ends in a traceback for deep nesting, and takes NaN and 1e999."""
    folders = (ROOT / "edge_embed", ROOT / "conversion")
    files = (file for folder in folders for file in folder.rglob("*.py"))
    found = {
        str(file.relative_to(ROOT))
        for file in files
        if re.search(r"\bjson\.loads?\(", file.read_text(encoding="utf-8"))
    }
    assert found == READERS


@pytest.mark.parametrize("content", [DEEP, "NaN", "[]", '{"languages": 5, "licence": {}}'])
def test_a_receipt_of_a_source_with_wild_values(tmp_path: Path, content: str) -> None:
    from edge_embed_conversion.sources import card_of

    (tmp_path / "edge_embed.json").write_text(content)
    with suppress(ModelFormatError):
        licence, languages = card_of(tmp_path)
        assert licence is None or isinstance(licence, str)
        assert languages == ()


def test_what_is_json() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}
    limit = 1000000000000000019884624838656  # what tokenizers write for no limit
    assert parse_json(f"[{limit}, 1e30]") == [limit, 1e30]
    assert parse_json("[" * 50 + "]" * 50)
    assert len(parse_json("[" + ",".join(["[]"] * 10_000) + "]")) == 10_000


VALUES = [
    None,
    True,
    -1,
    2**70,
    1.5,
    "x",
    "",
    [],
    [1],
    {},
    {"x": 1},
    "\x00",
    10**40,
    "\ud800",
    "x" * 100_000,
]
FILES = [
    "config.json",
    "modules.json",
    "1_Pooling/config.json",
    "sentence_bert_config.json",
    "tokenizer_config.json",
    "edge_embed.json",
]


@pytest.mark.parametrize("name", FILES)
def test_every_field_with_every_type(tiny_model: Path, tmp_path: Path, name: str) -> None:
    """Each field of each file in turn: the folder is read, or refused in one line."""
    shutil.copytree(tiny_model, folder := tmp_path / "model")
    file = folder / name
    content = json.loads(file.read_text())
    for changed in variants(content):
        file.write_text(json.dumps(changed))
        with suppress(EdgeEmbedError):
            config = ModelConfig.from_folder(folder)
            assert isinstance(config.pad_token_id, int)
            assert config.max_seq_length > 0
            read_receipt(folder)


@pytest.mark.parametrize("name", ["config.json", "cosine.json", "tokenizer_config.json"])
def test_every_field_of_a_pair_model(tiny_pair_model: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(tiny_pair_model, folder := tmp_path / "model")
    share = {"encoder": "edge-embed-small", "weight": 6.0, "intercept": -4.3}
    (folder / "cosine.json").write_text(json.dumps(share))
    file = folder / name
    content = json.loads(file.read_text())
    for changed in variants(content):
        file.write_text(json.dumps(changed))
        with suppress(EdgeEmbedError):
            config = PairConfig.from_folder(folder)
            assert config.cosine is not None
            assert config.max_seq_length > 0


def variants(content: Any) -> list[Any]:
    """Copies of a JSON value, in each of which one part is another value."""
    found: list[Any] = list(VALUES)
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        for other in VALUES if not isinstance(value, (dict, list)) else variants(value)[:40]:
            copy = dict(content) if isinstance(content, dict) else list(content)
            copy[key] = other
            found.append(copy)
    return found


@pytest.mark.parametrize("text", ["", "{", DEEP, '{"a": NaN}', "9" * 5000, "\x00"])
@pytest.mark.parametrize("name", FILES)
def test_every_file_with_what_is_no_json(
    tiny_model: Path, tmp_path: Path, name: str, text: str
) -> None:
    shutil.copytree(tiny_model, folder := tmp_path / "model")
    (folder / name).write_text(text)
    with pytest.raises(ModelFormatError):
        _read_all(folder)


def _read_all(folder: Path) -> None:
    Tokenizer(ModelConfig.from_folder(folder))
    read_receipt(folder)


@pytest.mark.parametrize(
    "name",
    [
        "../other",
        "a/../../b",
        "/etc/passwd",
        "..\\other",
        "C:\\x",
        "C:x",
        "\\\\server\\x",
        "a\0b",
        5,
        None,
        ["x"],
        "link",
        "link/x",
        "x" * 100_000,
        "\ud800",
    ],
)
def test_a_name_that_leaves_its_folder(tmp_path: Path, name: object) -> None:
    (folder := tmp_path / "model").mkdir()
    (folder / "link").symlink_to("/etc")
    with pytest.raises(ModelFormatError, match="no path inside"):
        path_inside(folder, name, folder / "modules.json")


def test_a_name_that_stays(tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_text("{}")
    (folder := tmp_path / "model").mkdir()
    (folder / "config.json").symlink_to(blob)  # as in a hub's cache
    for name in ("", ".", "1_Pooling", "a/b.json", "config.json", "...", "a..b"):
        assert path_inside(folder, name, folder) == folder / name


def test_modules_and_receipts_name_nothing_outside(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, folder := tmp_path / "model")
    shutil.copytree(folder / "1_Pooling", tmp_path / "other")
    receipt = json.loads((folder / "edge_embed.json").read_text())
    receipt["files"]["../other/config.json"] = {"sha256": "0", "size": 1}
    (folder / "edge_embed.json").write_text(json.dumps(receipt))
    read = read_receipt(folder)
    assert read is not None
    assert check_files(folder, read) == ["'../other/config.json' is no path inside the folder"]
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["path"] = "../other"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelFormatError, match="no path inside"):
        ModelConfig.from_folder(folder)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    vectors = np.random.default_rng(0).normal(size=(40, 4))
    outcome = DedupReport(
        texts="a",
        against=None,
        keep="first",
        exact=ExactDuplicates(np.arange(40), np.full(40, -1)),
        result=deduplicate(vectors, threshold=0.8),
        reference_rows=np.empty(0, np.intp),
    )
    texts = {row: f"text {row}" for row in range(40)}
    outcome.write(tmp_path / "report.jsonl", texts, {})
    assert DedupReport.read(tmp_path / "report.jsonl").removals() == outcome.removals()
    return tmp_path / "report.jsonl"


def test_a_wrong_digit_in_a_report_is_told(report: Path) -> None:
    whole = report.read_bytes()
    places = [place for place, byte in enumerate(whole) if chr(byte).isdigit()]
    for place in places[:: max(1, len(places) // 200)]:
        damaged = bytearray(whole)
        damaged[place] = ord("1") if damaged[place] != ord("1") else ord("2")
        report.write_bytes(damaged)
        with pytest.raises(InputError):
            DedupReport.read(report)


@pytest.mark.parametrize(
    ("name", "value"), [("order", 0), ("order", 99), ("link_left", -1), ("link_right", 40)]
)
def test_an_earlier_report_without_a_checksum(report: Path, name: str, value: int) -> None:
    lines = [json.loads(line) for line in report.read_text().splitlines()[:-1]]
    lines[0]["schema"] = 1
    report.write_text("\n".join(map(json.dumps, lines)))
    DedupReport.read(report)
    line = next(line for line in lines if name in line)
    line[name][1] = value
    report.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(InputError, match="is not a whole report"):
        DedupReport.read(report)
