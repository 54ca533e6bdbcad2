"""``edge-embed pairs``: find paraphrases in a file, or classify given pairs."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_embed.cli.options import ModelOptions, input_options, model_options
from edge_embed.cli.paths import claim_paths
from edge_embed.cli.terminal import (
    echo,
    echo_json,
    is_terminal,
    printable,
    progress_bar,
    say_recall,
)
from edge_embed.embedder import Embedder
from edge_embed.errors import InputError
from edge_embed.files.formats import WRITABLE_ROWS
from edge_embed.files.readers import read_records, read_texts
from edge_embed.files.row_writers import check_row_output, open_row_writer
from edge_embed.model.locate import DEFAULT_PAIR_MODEL
from edge_embed.model.pair_threshold import PairThreshold
from edge_embed.vectors import ROUNDING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edge_embed.pairs.scorer import PairScorer

_THRESHOLD = 0.8
_COLUMNS = {
    "text_1": ("text_1", "sentence1", "text1", "question1"),
    "text_2": ("text_2", "sentence2", "text2", "question2"),
}
_CHUNK = 4096


@click.command("pairs")
@input_options
@click.option("-o", "--output", metavar="FILE", help=f"{', '.join(WRITABLE_ROWS)}; else lines.")
@click.option(
    "--given",
    is_flag=True,
    help="The file holds pairs (columns sentence1 and sentence2): say of each whether it is one.",
)
@click.option(
    "--by",
    type=click.Choice(["pair-model", "cosine"]),
    default="pair-model",
    show_default=True,
    help="What decides: a model that reads both texts, of mined pairs too, or the cosine alone.",
)
@click.option(
    "--pair-model",
    metavar="MODEL",
    default=DEFAULT_PAIR_MODEL,
    show_default=True,
    help="The model that reads both texts: a converted cross-encoder.",
)
@click.option(
    "-t",
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    help=f"Lowest cosine of a mined pair [default: {_THRESHOLD}]; with --given the lowest score of "
    "what decides [default: its own, fitted by 'eval pairs --save-threshold'].",
)
@click.option(
    "-k",
    "--top-k",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Neighbours looked at for each text.",
)
@click.option("--limit", type=click.IntRange(min=1), help="The most pairs shown, best first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@model_options
def pairs_command(
    options: ModelOptions,
    source: str | None,
    column: str | None,
    output: str | None,
    by: str,
    pair_model: str,
    threshold: float | None,
    top_k: int,
    limit: int | None,
    *,
    allow_empty: bool,
    given: bool,
    as_json: bool,
) -> None:
    """Find the pairs of texts that say the same, or judge given ones.

    Opposites ("open", "closed") have high cosines, so a model that reads both texts decides. The
    columns negation and numbers say where only one of the two texts has a negation, and where
    numbers differ.
    """
    if source is None:
        raise click.UsageError("give the texts with -i FILE ('-i -' reads standard input)")
    if output is not None:
        check_row_output(Path(output))
        if as_json:
            raise click.UsageError("give -o FILE or --json, not both")
    claim_paths(reads={"-i": source}, files={"-o": output})
    read_together = by == "pair-model"
    if given:
        first, second = _given(source)
        if read_together:
            judge = options.load_scorer(pair_model)
            found = _read_together(judge, first, second, threshold)
        else:
            model = options.for_files().load()
            model.config.require_cosine("finding pairs")
            found = _judged(model, first, second, threshold)
    else:
        texts = list(read_texts(source, column=column, allow_empty=allow_empty))
        model = options.for_files().load()
        model.config.require_cosine("finding pairs")
        found = _mined(model, texts, threshold, top_k, limit)
        if read_together:
            judge = options.load_scorer(pair_model, encoder=model)
            found = _confirmed(judge, list(found), model)
    if output is not None:
        with open_row_writer(Path(output)) as writer:
            for row in found:
                writer.write(row)
    elif as_json:
        echo_json(list(found), indent=1)
    else:
        for row in found:
            echo(_line(row))


def _given(source: str) -> tuple[list[str], list[str]]:
    rows = list(read_records(source, _COLUMNS))
    for row in rows:
        if not (row.values["text_1"].strip() and row.values["text_2"].strip()):
            raise InputError(f"{source}, {row.place}: a text is empty; remove the row")
    return [row.values["text_1"] for row in rows], [row.values["text_2"] for row in rows]


def _judged(
    model: Embedder, first: Sequence[str], second: Sequence[str], threshold: float | None
) -> Iterator[dict[str, object]]:
    import numpy as np

    fitted = _fitted(model)
    limit = threshold if threshold is not None or fitted is None else fitted.threshold
    if limit is None:
        raise InputError(
            f"no threshold is stored with {model.config.folder}: fit one on labelled pairs with "
            "'edge-embed eval pairs FILE --save-threshold', or give --threshold"
        )
    a, b = _embed(model, first), _embed(model, second)
    scores = np.clip(np.einsum("ij,ij->i", a, b), -1, 1)
    for i, score in enumerate(scores.tolist()):
        yield _row(first[i], second[i], score, fitted) | {"same": score >= limit - ROUNDING}


def _read_together(
    judge: "PairScorer", first: Sequence[str], second: Sequence[str], threshold: float | None
) -> Iterator[dict[str, object]]:
    """Classify each pair with a pair model."""
    limit = judge.threshold if threshold is None else threshold
    scores = judge.predict(list(zip(first, second, strict=True)), show_progress_bar=is_terminal())
    for i, score in enumerate(scores.tolist()):
        yield _row(first[i], second[i], score, None) | {"same": score >= limit}


def _confirmed(
    judge: "PairScorer", found: list[dict[str, object]], model: Embedder
) -> Iterator[dict[str, object]]:
    """Keep the mined pairs that the pair model confirms, with its score."""
    import numpy as np

    from edge_embed.model.fingerprint import model_fingerprint

    texts = [(str(row["text_1"]), str(row["text_2"])) for row in found]
    cosines = None
    if judge.adds_cosine_of(model_fingerprint(model)):
        cosines = np.array([row["score"] for row in found], np.float32)
    scores = judge.predict(texts, show_progress_bar=is_terminal(), cosines=cosines).tolist()
    for row, score in zip(found, scores, strict=True):
        if score >= judge.threshold:
            yield row | {"pair_score": round(score, 6)}


def _mined(
    model: Embedder, texts: Sequence[str], threshold: float | None, top_k: int, limit: int | None
) -> Iterator[dict[str, object]]:
    from edge_embed.tasks import paraphrase_mining

    fitted = _fitted(model)
    if threshold is None:
        # Not the fitted threshold, which is for labelled pairs with many paraphrases: of all pairs
        # of a corpus, hardly any is one.
        threshold = _THRESHOLD
    pairs = paraphrase_mining(_embed(model, texts), threshold=threshold, top_k=top_k, limit=limit)
    say_recall(pairs.recall, "neighbours")
    for pair in pairs:
        rows = {"row_1": pair.first, "row_2": pair.second}
        yield _row(texts[pair.first], texts[pair.second], pair.score, fitted) | rows


def _embed(model: Embedder, texts: Sequence[str]) -> "npt.NDArray[np.float32]":
    import numpy as np

    out = np.empty((len(texts), model.dim), np.float32)
    with progress_bar(len(texts), "embedded") as bar:
        for start in range(0, len(texts), _CHUNK):
            chunk = texts[start : start + _CHUNK]
            out[start : start + _CHUNK] = model.encode(chunk, normalize=True)
            bar.update(len(chunk))
    return out


def _fitted(model: Embedder) -> PairThreshold | None:
    """Return the model's own threshold, unless it was fitted with other weights."""
    fitted = PairThreshold.load(model.config.folder)
    if fitted is None or (fitted.variant, fitted.dim) == (model.variant, model.dim):
        return fitted
    warnings.warn(
        f"the stored threshold is of {fitted.variant} with {fitted.dim} dimensions, not of "
        f"{model.variant} with {model.dim}: it is not used; fit it again with 'edge-embed eval "
        "pairs --save-threshold'",
        stacklevel=2,
    )
    return None


def _row(first: str, second: str, score: float, fitted: PairThreshold | None) -> dict[str, object]:
    from edge_embed.tasks import differences

    flags = differences(first, second)
    probability = None if fitted is None else round(float(fitted.probability(score)), 4)
    return {
        "score": round(min(score, 1.0), 6),
        "probability": probability,
        "negation": flags.negation,
        "numbers": flags.numbers,
        "text_1": first,
        "text_2": second,
    }


def _line(row: dict[str, object]) -> str:
    flags = [name for name in ("negation", "numbers") if row[name]]
    parts = [f"{row['score']:.4f}"]
    if row["probability"] is not None:
        parts.append(f"p={row['probability']:.2f}")
    if "same" in row:
        parts.append("same" if row["same"] else "not the same")
    if flags:
        parts.append(f"[differ: {', '.join(flags)}]")
    texts = (printable(str(row[name])) for name in ("text_1", "text_2"))
    return f"{'  '.join(parts)}  {'  |  '.join(texts)}"
