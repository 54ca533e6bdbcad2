"""Model folders, indexes and reports of others: cut, flipped, and with wild values."""

import json
import random
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edge_embed.model.card import ModelCard
from edge_embed.model.config import ModelConfig
from edge_embed.model.receipt import check_files, read_receipt
from edge_embed.runtime.tokenizer import Tokenizer
from edge_embed.tasks import Index, deduplicate
from edge_embed.tasks.deduplication.removals import ExactDuplicates
from edge_embed.tasks.deduplication.report import DedupReport
from tools.attack.outcome import Outcome

__all__ = ["attack_indexes", "attack_models", "attack_reports"]

_WILD: list[Any] = [
    *(None, True, -1, 0, 2**70, 1.5, "", "x", "\0", "\ud800", "../../etc", "/etc", [], {}),
    *([[[]]], {"a": {"b": 1}}, 10**40, "x" * 100_000),
]


def attack_models(
    model: Path, folder: Path, count: int, chance: random.Random, seconds: float
) -> Outcome:
    """Damage each settings file of a model folder in many ways and read the folder."""
    outcome = Outcome("model folders", seconds=seconds)
    target = folder / "model"
    # The weights are OpenVINO's to read; nothing of ours looks into them.
    shutil.copytree(model, target, ignore=shutil.ignore_patterns("*.bin", "*.safetensors"))
    files = [file for file in sorted(target.rglob("*.json")) if file.stat().st_size < 5_000_000]
    while outcome.tried < count and outcome.has_time():
        file = chance.choice(files)
        whole = file.read_bytes()
        file.write_bytes(_damaged(whole, chance))
        outcome.attempt(file.name, lambda: _read_model(target))
        file.write_bytes(whole)
    return outcome


def _read_model(folder: Path) -> None:
    config = ModelConfig.from_folder(folder)
    tokenizer = Tokenizer(config)
    tokenizer(["a text", "", "another one"])
    tokenizer.tokens(["a text"])
    ModelCard.from_folder(folder)
    receipt = read_receipt(folder)
    if receipt is not None:
        check_files(folder, receipt)


def _damaged(whole: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.7 and (values := list(_swapped(whole, chance))):
        return chance.choice(values)
    if chance.random() < 0.3:
        return whole[: chance.randrange(len(whole) + 1)]
    return _flipped(whole, chance)


def _swapped(whole: bytes, chance: random.Random) -> Iterator[bytes]:
    """Yield the document with one value exchanged."""
    document = json.loads(whole)
    holder: Any = document
    while isinstance(holder, (dict, list)) and holder:
        key = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        inner = holder[key]
        if not isinstance(inner, (dict, list)) or not inner or chance.random() < 0.4:
            holder[key] = chance.choice(_WILD)
            yield json.dumps(document).encode()
            return
        holder = inner


def _flipped(whole: bytes, chance: random.Random) -> bytes:
    content = bytearray(whole)
    for _ in range(chance.choice([1, 1, 1, 8, 64])):
        content[chance.randrange(len(content))] = chance.randrange(256)
    return bytes(content)


def attack_indexes(folder: Path, count: int, chance: random.Random, seconds: float) -> Outcome:
    """Flip bytes of an index, cut it, and search it, in all ways."""
    outcome = Outcome("index files", seconds=seconds)
    path = folder / "whole.index"
    with Index.create(path, dim=8) as index:
        vectors = np.random.default_rng(0).normal(size=(200, 8))
        index.add(
            [f"text {n}" for n in range(200)], vectors, metadata=[{"n": n} for n in range(200)]
        )
    whole, target = path.read_bytes(), folder / "damaged.index"
    while outcome.tried < count and outcome.has_time():
        cut = chance.random() < 0.1
        target.write_bytes(
            whole[: chance.randrange(len(whole))] if cut else _flipped(whole, chance)
        )
        for rest in ("-wal", "-shm"):
            target.with_name(target.name + rest).unlink(missing_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outcome.attempt("index", lambda: _use_index(target))
    return outcome


def _use_index(path: Path) -> None:
    with Index(path) as index:
        queries = np.ones((2, 8))
        index.search(queries, k=5, queries=["text 1", "text 2"], where={"n": [1, 2, 3]})
        index.search(queries, k=300, exact=True)
        index.add(["new"], np.ones((1, 8)))
        index.delete(["new"])


def attack_reports(folder: Path, count: int, chance: random.Random, seconds: float) -> Outcome:
    """Change bytes of a report: none may be read as another result."""
    outcome = Outcome("dedup reports", seconds=seconds)
    vectors = np.random.default_rng(0).normal(size=(60, 4))
    report = DedupReport(
        texts="a",
        against=None,
        keep="first",
        exact=ExactDuplicates(np.arange(60), np.full(60, -1)),
        result=deduplicate(vectors, threshold=0.8),
        reference_rows=np.empty(0, np.intp),
    )
    path = folder / "report.jsonl"
    report.write(path, {row: f"text {row}" for row in range(60)}, {})
    whole, removed = path.read_bytes(), report.removals()
    while outcome.tried < count and outcome.has_time():
        path.write_bytes(_flipped(whole, chance))

        def read() -> None:
            if DedupReport.read(path).removals() != removed:
                raise AssertionError("other records are removed")

        outcome.attempt("report", read)
    return outcome
