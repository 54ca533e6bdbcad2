"""``edge-embed bench``: every figure is there, and is of this machine."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_embed import Embedder
from edge_embed.bench import against as against_module
from edge_embed.bench.processes import cold_start, random_calls
from edge_embed.bench.timing import latency
from edge_embed.bench.tune import choose
from edge_embed.cli import main
from edge_embed.cli.bench import _show_against
from edge_embed.cli.info import describe
from edge_embed.errors import InputError, OutputError

SHIPPED = Path("edge-embed-tiny")


def run(model: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["bench", "-m", str(model), *map(str, arguments)])


def test_figures(tiny_model: Path, tmp_path: Path) -> None:
    out, picture = tmp_path / "bench.json", tmp_path / "bench.png"
    result = run(
        *(tiny_model, "--texts", 120, "--rounds", 2, "--calls", 20),
        *("--json", out, "--plot", picture),
    )
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["model"] == "tiny-bert"
    single = found["latency"]["all"]
    assert found["texts"] == single["texts"] == 120
    assert 0 < single["p50"] <= single["p99.9"]
    bulk = found["throughput"]["texts_per_second"]
    assert 0 < bulk["min"] <= bulk["median"] <= bulk["max"]
    assert list(found["throughput"]["by_call"]) == ["1", "8", "32"]
    assert "texts in a call: 1: " in result.stdout
    assert found["machine"]["cores"] >= 1
    warm = found["coldstart"]["warm_cache"]
    assert warm["total_s"]["repeats"] == 2
    parts = sum(found["coldstart"]["cold_cache"][f"{n}_s"] for n in ("import", "load"))
    assert 0 < parts < found["coldstart"]["cold_cache"]["total_s"]
    memory = found["memory"]
    assert 0 < memory["after_load"]["resident"] <= memory["after_all_calls"]["peak"]
    assert f"{bulk['median']:,.0f} texts/s" in result.stdout
    assert "after 20 calls" in result.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_one_part_of_own_texts(tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("".join(f"text number {n}\n" for n in range(60)), encoding="utf-8")
    result = run(tiny_model, "throughput", "-i", file, "--rounds", 1, "--json", "-")
    found = json.loads(result.stdout)
    assert found["texts"] == 60
    assert list(found) == ["machine", "model", "variant", "texts", "throughput"]


def test_against_a_peer_on_the_same_graph() -> None:
    for name in ("sentence_transformers", "optimum.intel"):
        pytest.importorskip(name, reason="needs sentence-transformers and optimum-intel")
    options = ("--texts", 60, "--rounds", 2, "--against", "sentence-transformers")
    result = run(SHIPPED, *options, "--json", "-")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert list(found) == ["machine", "model", "variant", "texts", "against"]
    ours, theirs = found["against"]["edge-embed"], found["against"]["sentence-transformers"]
    assert theirs["least_cosine"] > 0.999
    for key in ("texts_per_second", "single_ms"):
        assert ours[key]["repeats"] == theirs[key]["repeats"] == 2
    ratio, takes = theirs["bulk_ratio"], theirs["single_ratio"]
    assert 0 < ratio["min"] <= ratio["median"] <= ratio["max"]
    assert 0 < takes["min"] <= takes["median"] <= takes["max"]
    _show_against(found["against"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "other"], "unknown peer 'other': choose one of sentence-transformers, "),
        (["--against", "openvino-genai"], "its module openvino_genai is not installed in this env"),
        (["--against", "fastembed"], "name one, such as --against fastembed="),
        (
            ["--against", "sentence-transformers", "--variant", "static", "--texts", "60"],
            "sentence-transformers cannot run the variant static: choose another",
        ),
    ],
)
def test_peers_that_cannot_be_measured(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(against_module, "_installed", lambda module: module != "openvino_genai")
    assert message in str(run(SHIPPED, *arguments).exception)


def test_a_peer_that_loads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(against_module, "_installed", lambda _: True)
    found = run(SHIPPED, "--against", f"fastembed={tmp_path}", "--texts", 60).exception
    assert f"fastembed cannot load {tmp_path}: " in str(found)


def test_tune_keeps_what_it_measured(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    out = tmp_path / "bench.json"
    result = run(*(tiny_model, "tune", "--threads", 2, "--texts", 50, "--rounds", 1, "--json", out))
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text(encoding="utf-8"))["tune"]
    assert list(found["measured"]) == ["1", "2"]
    assert found["streams"] == choose(found["measured"])
    assert " kept" in result.stdout
    model = Embedder(tiny_model, threads=2)
    assert model.engine.requests == found["streams"]
    assert "bench tune measured" in describe(model)["runtime"]["streams"]
    refused = run(tiny_model, "tune", "--no-cache")
    assert (refused.exit_code, "beside the model cache" in refused.stderr) == (2, True)


def test_the_fewest_streams_that_are_nearly_as_fast() -> None:
    def bulk(**speeds: float) -> dict[str, dict[str, dict[str, float]]]:
        return {
            name.strip("_"): {"texts_per_second": {"median": speed}}
            for name, speed in speeds.items()
        }

    assert choose(bulk(_1=99, _2=100)) == 1
    assert choose(bulk(_1=90, _2=99, _4=100)) == 2
    assert choose(bulk(_1=50, _2=80, _4=100)) == 4


def test_what_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 different texts are too few"):
        latency(Embedder(tiny_model, cache=False), ["a", "b", "a"])
    with pytest.raises(InputError, match=r"cannot be measured: no model .*none"):
        cold_start({"model": str(tmp_path / "none")}, rounds=1)
    assert run(tiny_model, "speed").exit_code == 2
    result = run(tiny_model, "coldstart", "--plot", tmp_path / "x.png")
    assert (result.exit_code, "measure one of them" in result.stderr) == (2, True)
    result = run(tiny_model, "memory", "--calls", 2, "--plot", tmp_path / "none" / "x.png")
    assert isinstance(result.exception, OutputError), result.output


def test_calls_are_of_many_sizes() -> None:
    calls = list(random_calls([f"text {n}" for n in range(50)], 2000))
    assert {len(call) for call in calls} == set(range(1, 25))
    assert calls == list(random_calls([f"text {n}" for n in range(50)], 2000))
