"""``edge-embed bench``: how fast a model is on this machine."""

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from edge_embed.cli.demo import demo_texts
from edge_embed.cli.documents import write_document
from edge_embed.cli.options import ModelOptions, model_options

if TYPE_CHECKING:
    from edge_embed.config import Hint
    from edge_embed.embedder import Embedder

_COPIES = 12


@click.command("bench")
@click.option("-i", "--input", "source", metavar="FILE", help="Your own texts; else short queries.")
@click.option("--column", help="The column of the texts, where the file has several.")
@click.option("--texts", "most", type=click.IntRange(min=50), default=1000, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--json", "json_file", metavar="FILE", help="Keep the results; - is stdout.")
@model_options
def bench_command(
    options: ModelOptions,
    *,
    source: str | None,
    column: str | None,
    most: int,
    rounds: int,
    json_file: str | None,
) -> None:
    """Time a model here: start, single texts by length, bulk, and memory.

    Both hints are measured: single texts with latency, bulk with throughput.
    """
    from edge_embed.bench import bench
    from edge_embed.text_files import read_texts

    texts = islice(read_texts(source, column=column), most) if source else _short_queries(most)

    def load(hint: "Hint") -> "Embedder":
        return replace(options, hint=hint).load()

    result = bench(
        load, list(texts), rounds=rounds, report=lambda what: click.echo(f"{what} …", err=True)
    )
    if not write_document(result, json_file):
        _show(result)


def _show(result: dict[str, Any]) -> None:
    machine, memory = result["machine"], result["memory_mib"]
    click.echo(f"{result['model']} {result['variant']}, {result['texts']} texts")
    click.echo(f"  on {machine['processor']}, {machine['cores']} cores")
    click.echo(
        f"  load {result['load_s']:.2f} s, first vector {1000 * result['first_vector_s']:.0f} ms"
    )
    if memory["after_load"]:
        click.echo(
            f"  memory {memory['after_load']['resident']:.0f} MiB after the load, "
            f"{memory['after_all']['peak']:.0f} MiB at most"
        )
    bulk = result["bulk"]["texts_per_second"]
    tokens = result["bulk"]["tokens_per_second"]["median"]
    click.echo(
        f"  bulk {bulk['median']:,.0f} texts/s ({bulk['min']:,.0f} to {bulk['max']:,.0f}), "
        f"{tokens:,.0f} tokens/s"
    )
    click.echo("  one text at a time, ms:   p50    p90    p99  p99.9   texts")
    for name, found in result["single_ms"].items():
        values = " ".join(f"{found[key]:6.2f}" for key in ("p50", "p90", "p99", "p99.9"))
        click.echo(f"    {name:<20} {values}  {found['texts']:6}")


def _short_queries(most: int) -> list[str]:
    """Return different short texts of a shop's customers, as many as asked for if there are."""
    texts = demo_texts()
    base = [
        *texts["queries"],
        *texts["questions"],
        *(side for pair in texts["pairs"] for side in pair),
    ]
    base += [text for answer in texts["answers"] for text in (answer, answer.split(".")[0])]
    varied = [text if not copy else f"{text} ({copy})" for copy in range(_COPIES) for text in base]
    return list(dict.fromkeys(varied))[:most]
