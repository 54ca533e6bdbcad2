"""``edge-embed demo``: five uses of embeddings, on texts that ship with the package."""

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_embed.cli.options import ModelOptions, model_options
from edge_embed.embedder import Embedder
from edge_embed.files.write_errors import temporary_files

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edge_embed.pairs.scorer import PairScorer

    Floats = npt.NDArray[np.float32]

_TEXTS = Path(__file__).with_name("demo_texts.json")
_THRESHOLD = 0.85
_TIMED = 20


@click.command("demo")
@click.option(
    "--pair-model",
    metavar="MODEL",
    help="Show beside the cosine what a model that reads both texts says (a converted "
    "cross-encoder); the one that ships, if there is one.",
)
@model_options
def demo_command(options: ModelOptions, pair_model: str | None) -> None:
    """Show five uses of embeddings in a few seconds: duplicates, paraphrases, search, intents."""
    texts = demo_texts()
    started = time.perf_counter()
    model = options.load()
    queries: list[str] = texts["queries"]
    vectors = model.encode(queries, normalize=True)
    name, seconds = model.config.folder.resolve().name, time.perf_counter() - started
    judge = _judge(options, pair_model, model)
    click.echo(
        f"{name} ({model.variant}, {model.dim} dimensions) read {len(queries)} customer queries in "
        f"{seconds:.1f} s, loading included."
    )
    _duplicates(queries, vectors)
    _paraphrases(model, judge, texts["pairs"])
    _search(model, texts["answers"], texts["questions"])
    _latency(model, queries)
    _intents(queries, vectors)


def demo_texts() -> dict[str, Any]:
    """Read the texts: queries, answers, questions, and pairs."""
    texts: dict[str, Any] = json.loads(_TEXTS.read_text(encoding="utf-8"))
    return texts


def _duplicates(queries: Sequence[str], vectors: "Floats") -> None:
    from edge_embed.tasks import deduplicate

    _title("1. Duplicates", "edge-embed dedup -i FILE -o FILE")
    result = deduplicate(vectors, threshold=_THRESHOLD)
    click.echo(
        f"Of {len(queries)} queries {len(result.kept)} say something of their own "
        f"(cosine below {_THRESHOLD}). Removed:"
    )
    for pair in result.duplicates:
        row, partner = queries[pair.row], queries[pair.partner]
        click.echo(f"  {pair.score:.2f}  {row:<38} like  {partner}{_against(row, partner)}")


def _judge(options: ModelOptions, pair_model: str | None, model: Embedder) -> "PairScorer | None":
    """Load the pair model that is asked for, or the one that ships; None if there is none."""
    from edge_embed.model.locate import DEFAULT_PAIR_MODEL, shipped_pair_models

    if pair_model is None and DEFAULT_PAIR_MODEL not in shipped_pair_models():
        return None
    return options.load_scorer(pair_model or DEFAULT_PAIR_MODEL, encoder=model)


def _paraphrases(
    model: Embedder, judge: "PairScorer | None", pairs: Sequence[tuple[str, str]]
) -> None:
    _title("2. Paraphrases", "edge-embed pairs -i FILE")
    first, second = (
        model.encode([pair[side] for pair in pairs], normalize=True) for side in (0, 1)
    )
    cosines = (first * second).sum(axis=1).tolist()
    if judge is None:
        for (a, b), score in zip(pairs, cosines, strict=True):
            click.echo(f"  {score:.2f}  {a}  |  {b}{_against(a, b)}")
        click.echo("A high score is no proof: look at the flags.")
        return
    click.echo(
        f"The cosine, and how sure {judge.name}, which reads both, is that they say the same:"
    )
    for (a, b), score, sure in zip(pairs, cosines, judge.predict(pairs).tolist(), strict=True):
        verdict = "the same" if sure >= judge.threshold else "not the same"
        click.echo(f"  {score:.2f}  {sure:.2f} {verdict:<12}  {a}  |  {b}{_against(a, b)}")


def _search(model: Embedder, answers: Sequence[str], questions: Sequence[str]) -> None:
    from edge_embed.tasks import Index

    _title("3. Search", "edge-embed index create|add INDEX, edge-embed search INDEX TEXT")
    with (
        temporary_files(),
        tempfile.TemporaryDirectory(prefix="edge_embed.") as folder,
        Index.create(Path(folder) / "answers.index", dim=model.dim) as index,
    ):
        index.add(answers, model.encode_document(answers, normalize=True))
        vectors = model.encode_query(list(questions), normalize=True)
        found = index.search(vectors, k=1, queries=questions)
    for question, hits in zip(questions, found, strict=True):
        click.echo(f'  "{question}"')
        click.echo(f"  {hits[0].score:.2f}  {hits[0].text}")
    click.echo("The last question is found by its word, the others by their meaning.")


def _latency(model: Embedder, queries: Sequence[str]) -> None:
    _title("4. Single queries, at once", "edge-embed bench latency")
    times = []
    for query in queries[:_TIMED]:
        started = time.perf_counter()
        model.encode(query)
        times.append(time.perf_counter() - started)
    times.sort()
    click.echo(
        f"  A query takes {times[len(times) // 2] * 1000:.1f} ms (median of {len(times)}, one at a "
        "time)."
    )


def _intents(queries: Sequence[str], vectors: "Floats") -> None:
    from edge_embed.tasks import cluster
    from edge_embed.tasks.clustering.names import cluster_names

    _title("5. Intents", "edge-embed cluster -i FILE -o FILE")
    found = cluster(vectors, neighbours=5, min_size=3, resolution=1.0, threshold=0.4)
    central = [int(group.rows[0]) for group in found.clusters]
    names = cluster_names(queries, found.labels.tolist(), central, words=3)
    for group, name in zip(found.clusters, names, strict=True):
        click.echo(f"  {group.size:>2} queries  {name.text}  ({', '.join(name.words)})")
    for row in (found.labels < 0).nonzero()[0].tolist():
        click.echo(f"     outlier  {queries[row]}")


def _against(first: str, second: str) -> str:
    """Return a note on a differing negation or number; "" for none."""
    from edge_embed.tasks import differences

    flags = differences(first, second)
    against = [name for name in ("negation", "numbers") if getattr(flags, name)]
    return f"   <- differ in {' and '.join(against)}" if against else ""


def _title(title: str, command: str) -> None:
    click.echo(f"\n{click.style(title, bold=True)}   {command}")
