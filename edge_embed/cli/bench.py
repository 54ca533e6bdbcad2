"""``edge-embed bench``: how fast a model is on this machine."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_embed.cli.demo import demo_texts
from edge_embed.cli.documents import write_document
from edge_embed.cli.options import ModelOptions, model_options
from edge_embed.cli.paths import claim_paths
from edge_embed.cli.terminal import check_suffix, echo
from edge_embed.hardware.processors import usable_processors

if TYPE_CHECKING:
    from edge_embed.embedder import Embedder

_COPIES = 12
_MEASURES = ("coldstart", "latency", "throughput", "memory")
_PARTS = (*_MEASURES, "tune")


@click.command("bench")
@click.argument("parts", nargs=-1, type=click.Choice(_PARTS), metavar=f"[{'|'.join(_PARTS)}]…")
@click.option("-i", "--input", "source", metavar="FILE", help="Your own texts; else short queries.")
@click.option("--column", help="The column of the texts, where the file has several.")
@click.option("--texts", "most", type=click.IntRange(min=50), default=1000, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option(
    "--calls", type=click.IntRange(min=2), default=500, show_default=True, help="Of memory."
)
@click.option(
    "--against",
    "peers",
    multiple=True,
    metavar="PEER[=PLACE]",
    help="Compare with sentence-transformers, openvino-genai or fastembed, where installed: on "
    "the model's own graph, or on what it loads from PLACE. May be given several times.",
)
@click.option("--json", "json_file", metavar="FILE", help="Keep the results; - is stdout.")
@click.option("--plot", "plot_file", metavar="FILE.png", help="Draw latency and memory.")
@model_options
def bench_command(
    options: ModelOptions,
    *,
    parts: tuple[str, ...],
    source: str | None,
    column: str | None,
    most: int,
    rounds: int,
    calls: int,
    peers: tuple[str, ...],
    json_file: str | None,
    plot_file: str | None,
) -> None:
    """Time a model here: its start, single texts by length, bulk, and memory; or some of these.

    'tune' measures how many batches are best computed side by side on this machine, and keeps the
    answer beside the model cache, for every model that is loaded with neither --hint nor --streams.

    With --against, speed in bulk and on single texts beside that of other libraries, measured in
    turn.
    """
    from edge_embed.bench import timing as bench
    from edge_embed.bench.against import against, check_peer
    from edge_embed.bench.plot import PANELS, plot
    from edge_embed.bench.processes import cold_start, memory_growth
    from edge_embed.files.figures import require_matplotlib
    from edge_embed.files.readers import read_texts
    from edge_embed.hardware.machine import describe_machine

    check_suffix("plot", plot_file, ".png")
    if plot_file is not None:
        require_matplotlib()
        if (parts or peers) and not PANELS.keys() & set(parts):
            raise click.UsageError(f"--plot draws {', '.join(PANELS)}: measure one of them")
    for peer in peers:
        check_peer(peer)
    claim_paths(reads={"-i": source}, files={"--json": json_file, "--plot": plot_file})
    texts = list(
        islice(read_texts(source, column=column), most) if source else _short_queries(most)
    )
    model = options.load()  # a bad model is reported before anything is timed
    result: dict[str, Any] = {
        "machine": describe_machine(),
        "model": model.config.folder.resolve().name,
        "variant": model.variant,
        "texts": len(texts),
    }
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "coldstart": lambda: cold_start(options.arguments(), rounds=rounds),
        "latency": lambda: bench.latency(model, texts, rounds=rounds),
        "throughput": lambda: bench.throughput(model, texts, rounds=rounds),
        "memory": lambda: memory_growth(options.arguments(), texts, calls=calls),
        "tune": lambda: _tune(options, model, texts, rounds),
    }
    for part in parts or (() if peers else _MEASURES):
        if part not in result:
            echo(f"{part} …", err=True)
            result[part] = measures[part]()
    if peers:
        echo(f"against {', '.join(peers)} …", err=True)
        arguments = options.arguments()
        result["against"] = against(model, arguments, texts, peers, rounds=rounds)
    if plot_file is not None:
        plot(result, Path(plot_file))
    if not write_document(result, json_file):
        _show(result)


def _tune(
    options: ModelOptions, model: "Embedder", texts: Sequence[str], rounds: int
) -> dict[str, Any]:
    """Measure numbers of streams, store the best, and return the measurements."""
    from edge_embed.bench.tune import choose, keep_choice, measure_streams

    cache = model.runtime.cache_dir
    if cache is None:
        raise click.UsageError("tune keeps its answer beside the model cache: leave --no-cache out")
    threads = model.runtime.threads or usable_processors().count
    measured = measure_streams(
        lambda count: options.with_engine(streams=count).load(), threads, texts, rounds=rounds
    )
    streams = choose(measured)
    name = f"{model.config.folder.resolve().name} {model.variant}"
    file = keep_choice(cache, threads, streams, model=name, measured=measured)
    return {"threads": threads, "streams": streams, "measured": measured, "kept": str(file)}


def _show(result: dict[str, Any]) -> None:
    machine = result["machine"]
    echo(f"{result['model']} {result['variant']}, {result['texts']} texts")
    echo(f"  on {machine['processor']}, {machine['cores']} cores")
    if start := result.get("coldstart"):
        warm, cold = start["warm_cache"], start["cold_cache"]
        echo(
            f"  import, load, first vector: {warm['total_s']['median']:.2f} s in a new process "
            f"({warm['total_s']['min']:.2f} to {warm['total_s']['max']:.2f}), "
            f"{cold['total_s']:.2f} s without a model cache"
        )
    if bulk := result.get("throughput"):
        texts, tokens = bulk["texts_per_second"], bulk["tokens_per_second"]
        echo(
            f"  bulk {texts['median']:,.0f} texts/s ({texts['min']:,.0f} to {texts['max']:,.0f}), "
            f"{tokens['median']:,.0f} tokens/s"
        )
        few = (f"{size}: {speed['median']:,.0f}" for size, speed in bulk["by_call"].items())
        echo(f"    texts/s by texts in a call: {', '.join(few)}")
    if memory := result.get("memory"):
        load, warmed, used = (
            memory[name].get("resident", 0.0)
            for name in ("after_load", "after_warm_up", "after_all_calls")
        )
        echo(
            f"  memory {load:.0f} MiB after the load, {warmed:.0f} after the warm-up, {used:.0f} "
            f"after {memory['calls']} calls of random size and length"
        )
    if tuned := result.get("tune"):
        echo(f"  streams for {tuned['threads']} threads:  bulk, texts/s   one text, ms")
        for count, found in tuned["measured"].items():
            bulk, wait = (found[key]["median"] for key in ("texts_per_second", "single_ms"))
            mark = "  kept" if int(count) == tuned["streams"] else ""
            echo(f"    {count:<20} {bulk:14,.0f} {wait:15.2f}{mark}")
        echo(f"    in {tuned['kept']}")
    if compared := result.get("against"):
        _show_against(compared)
    if single := result.get("latency"):
        echo("  one text at a time, ms:   p50    p90    p99  p99.9   texts")
        for name, found in single.items():
            values = " ".join(f"{found[key]:6.2f}" for key in ("p50", "p90", "p99", "p99.9"))
            echo(f"    {name:<20} {values}  {found['texts']:6}")


def _show_against(compared: dict[str, Any]) -> None:
    echo(f"  {'':<30} bulk, texts/s   one text, ms")
    for name, found in compared.items():
        bulk, wait = found["texts_per_second"]["median"], found["single_ms"]["median"]
        echo(f"    {name:<28} {bulk:13,.0f} {wait:14.2f}")
        if (faster := found.get("bulk_ratio")) is not None:
            takes, cosine = found["single_ratio"], found["least_cosine"]
            alike = "other dimensions" if cosine is None else f"least cosine {cosine:.4f}"
            echo(
                f"      this model: in bulk {faster['median']:.2f} times as fast "
                f"({faster['min']:.2f} to {faster['max']:.2f}), one text in {takes['median']:.2f} "
                f"times its time ({takes['min']:.2f} to {takes['max']:.2f}); {alike}"
            )


def _short_queries(most: int) -> list[str]:
    """Return up to ``most`` distinct short texts of a shop's customers."""
    texts = demo_texts()
    base = [
        *texts["queries"],
        *texts["questions"],
        *(side for pair in texts["pairs"] for side in pair),
    ]
    base += [text for answer in texts["answers"] for text in (answer, answer.split(".")[0])]
    varied = [text if not copy else f"{text} ({copy})" for copy in range(_COPIES) for text in base]
    return list(dict.fromkeys(varied))[:most]
