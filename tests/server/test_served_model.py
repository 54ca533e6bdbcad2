"""A served model: its queues."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from edge_embed.runtime.token_engine import TokenEngine
from edge_embed.server import served_model
from edge_embed.server.limits import Limits
from edge_embed.server.metrics import Metrics
from edge_embed.server.served_model import ServedModel
from tests.support.serving import source


def test_first_calls_at_the_same_time_open_one_queue_for_states(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ServedModel(source(tiny_model), limits=Limits(), metrics=Metrics())
    together = threading.Barrier(3)
    compiled = []

    def counted(*arguments: Any, **options: Any) -> TokenEngine:
        compiled.append(arguments)
        return TokenEngine(*arguments, **options)

    def first_call(_: int) -> object:
        together.wait()
        return model.states()

    monkeypatch.setattr(served_model, "TokenEngine", counted)
    with ThreadPoolExecutor(3) as pool:
        queues = set(pool.map(first_call, range(3)))
    assert len(queues) == len(compiled) == 1
    model.close()
