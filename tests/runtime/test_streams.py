"""How many batches run side by side: as asked for, as measured, or by one rule for all calls."""

import json
from pathlib import Path

import pytest

from edge_embed.cli.options import ModelOptions
from edge_embed.errors import InputError
from edge_embed.runtime.config import Hint, RuntimeConfig
from edge_embed.runtime.streams import choose_streams, default_streams
from edge_embed.runtime.tuning import TUNING_FILE, tuned_streams, tuning_key


def write(cache: Path, threads: int, streams: object) -> None:
    machines = {tuning_key(threads): {"streams": streams}}
    (cache / TUNING_FILE).write_text(json.dumps({"schema": 1, "machines": machines}))


def test_the_rule() -> None:
    counts = [default_streams(threads) for threads in (1, 2, 3, 4, 5, 8, 16, 64)]
    assert counts == [1, 1, 1, 1, 2, 2, 4, 16]


def test_one_stream_for_two_threads_is_what_the_hint_for_latency_makes() -> None:
    chosen = choose_streams(RuntimeConfig(threads=2))
    assert (chosen.count, chosen.hint) == (None, "latency")
    assert chosen.why == "by rule for 2 threads"
    many = choose_streams(RuntimeConfig(threads=16))
    assert (many.count, many.hint) == (4, "throughput")
    assert "a guess: edge-embed bench tune" in many.why


def test_what_is_asked_for_wins(tmp_path: Path) -> None:
    write(tmp_path, 2, 2)
    asked = choose_streams(RuntimeConfig(threads=2, streams=1, cache_dir=tmp_path))
    assert (asked.count, asked.why) == (1, "as asked for")
    hinted = choose_streams(RuntimeConfig(threads=2, hint="latency", cache_dir=tmp_path))
    assert (hinted.count, hinted.hint, hinted.why) == (None, "latency", "by the hint latency")


def test_what_was_measured_holds_for_its_threads(tmp_path: Path) -> None:
    write(tmp_path, 2, 2)
    measured = choose_streams(RuntimeConfig(threads=2, cache_dir=tmp_path))
    assert (measured.count, measured.hint) == (2, "throughput")
    assert "bench tune measured" in measured.why
    assert tuned_streams(tmp_path, 4) is None
    assert tuned_streams(None, 2) is None


@pytest.mark.parametrize("hint", [None, "latency", "throughput"])
def test_one_stream_without_avx2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hint: Hint | None
) -> None:
    """With two, OpenVINO's vectors have nothing to do with the texts (tools/old_processor.sh)."""
    monkeypatch.setattr("edge_embed.runtime.streams.several_streams_are_right", lambda: False)
    write(tmp_path, 2, 2)
    chosen = choose_streams(RuntimeConfig(threads=2, hint=hint, cache_dir=tmp_path))
    assert (chosen.count, chosen.hint) == (1, hint or "latency")
    assert choose_streams(RuntimeConfig(threads=16, streams=1)).count == 1
    with pytest.raises(InputError, match="2 streams on a processor without AVX2"):
        choose_streams(RuntimeConfig(threads=2, streams=2))


@pytest.mark.parametrize("streams", [0, 3, "2", None, True, 1.0])
def test_an_impossible_choice_is_none(tmp_path: Path, streams: object) -> None:
    write(tmp_path, 2, streams)
    assert tuned_streams(tmp_path, 2) is None


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"schema": 1, "machines": 3}'])
def test_a_damaged_file_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / TUNING_FILE).write_text(content)
    with pytest.warns(UserWarning, match="measure again with 'edge-embed bench tune'"):
        assert tuned_streams(tmp_path, 2) is None


def test_commands_choose_only_where_nothing_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def options(**engine: object) -> ModelOptions:
        engine = {"hint": None, "streams": None, "threads": 2, **engine}
        return ModelOptions(model=None, variant=None, no_cache=False, revision=None, engine=engine)

    assert options().for_queries().engine["hint"] == "latency"
    assert options().for_serving().engine["hint"] == "throughput"
    assert options().for_files().engine["hint"] == "throughput"
    for asked in (options(hint="throughput"), options(streams=2)):
        assert asked.for_queries() == asked
    for asked in (options(hint="latency"), options(streams=1)):
        assert asked.for_serving() == asked
        assert asked.for_files() == asked
    monkeypatch.setattr("edge_embed.cli.options.tuned_streams", lambda folder, threads: 1)
    assert options().for_files() == options()
