"""``edge-embed dedup``: records without exact and semantic duplicates, resumable."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_embed.cli.embedding import Embedding, progress_bar
from edge_embed.cli.options import ModelOptions, input_options, model_options
from edge_embed.cli.records import RecordFile
from edge_embed.errors import InputError
from edge_embed.record_files import check_row_output, open_row_writer
from edge_embed.text_files import Row

if TYPE_CHECKING:  # tasks need numpy alone, but a command that fails early should not wait for it
    from edge_embed.dedup_report import DedupReport
    from edge_embed.tasks import TextKeys

_THRESHOLD = 0.9
_TARGET_THRESHOLD = 0.7


@dataclass(frozen=True, eq=False)
class _Scan:
    """What one pass over a file tells."""

    keys: "TextKeys"
    values: Sequence[float] | None


@click.command("dedup")
@input_options
@click.option("-o", "--output", required=True, metavar="FILE", help="The records that stay.")
@click.option(
    "--against", metavar="FILE", help="Also remove what is like a record of this file (same form)."
)
@click.option(
    "-t",
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    help=f"Lowest cosine of duplicates. [default: {_THRESHOLD}; with --target-size "
    f"{_TARGET_THRESHOLD}]",
)
@click.option(
    "--keep",
    default="first",
    show_default=True,
    metavar="first|longest|COLUMN",
    help="Of duplicates, keep the first, the longest, or the highest number in a column.",
)
@click.option("--report", metavar="FILE.jsonl", help="What was removed, for which record, and why.")
@click.option(
    "--rethreshold",
    "earlier",
    metavar="REPORT",
    help="Apply a stricter --threshold to an earlier run's report; needs no model.",
)
@click.option(
    "--target-size",
    type=click.IntRange(min=1),
    help="Remove the most alike until so many stay; --threshold is the limit.",
)
@click.option(
    "--work-folder",
    metavar="DIR",
    help="Where vectors lie until the run is done. [default: OUTPUT.work]",
)
@model_options
def dedup_command(
    options: ModelOptions,
    source: str | None,
    column: str | None,
    output: str,
    against: str | None,
    threshold: float | None,
    keep: str,
    report: str | None,
    earlier: str | None,
    target_size: int | None,
    work_folder: str | None,
    *,
    allow_empty: bool,
) -> None:
    """Remove exact and semantic duplicates from records; all columns are kept.

    A run that was killed goes on where it stood when it is started again.
    """
    if source is None or source == "-":
        raise click.UsageError("give the records with -i FILE; they are read more than once")
    if earlier is not None and (target_size is not None or threshold is None):
        raise click.UsageError("--rethreshold takes a stricter --threshold, and no --target-size")
    target = Path(output)
    check_row_output(target)
    if report is not None and Path(report).suffix != ".jsonl":
        raise InputError(f"the report {report} should be a .jsonl file")
    records = RecordFile(source, column, allow_empty)
    reference = None if against is None else RecordFile(against, column, allow_empty)
    embedding = Embedding(options, Path(work_folder or f"{output}.work"))
    if earlier is not None and threshold is not None:
        outcome = _rethreshold(Path(earlier), records, reference, threshold)
    else:
        limit = threshold or (_THRESHOLD if target_size is None else _TARGET_THRESHOLD)
        outcome = _deduplicate(embedding, records, reference, limit, keep)
        if target_size is not None:
            outcome = _shrunk(outcome, target_size)
    _write(outcome, records, reference, target, None if report is None else Path(report))
    embedding.finish()


def _scan(source: RecordFile, keep: str = "first") -> _Scan:
    from array import array

    from edge_embed.tasks import TextKeys

    keys, values = TextKeys(), array("d")
    for row in source.rows():
        keys.add(row.text)
        if keep == "longest":
            values.append(len(row.text))
        elif keep != "first":
            values.append(_number(row, keep, source.path))
    return _Scan(keys, None if keep == "first" else values)


def _number(row: Row, column: str, path: str) -> float:
    if column not in row.values:
        raise InputError(
            f"{path}, {row.place}: there is no column {column!r} to keep the highest of; it has: "
            f"{', '.join(row.values)}"
        )
    try:
        value = float(str(row.values[column]))
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise InputError(
            f"{path}, {row.place}: the {column} {row.values[column]!r:.40} is not a number"
        )
    return value


def _deduplicate(
    embedding: Embedding,
    source: RecordFile,
    reference: RecordFile | None,
    threshold: float,
    keep: str,
) -> "DedupReport":
    import numpy as np

    from edge_embed.dedup_report import DedupReport
    from edge_embed.tasks import deduplicate, keep_order
    from edge_embed.tasks.normal_form import TextKeys
    from edge_embed.tasks.records import ExactDuplicates

    scan = _scan(source, keep)
    known = TextKeys() if reference is None else _scan(reference).keys
    groups, of_reference = scan.keys.match(known)
    order = keep_order(len(scan.keys), values=scan.values, ties=scan.keys.ties)
    exact = ExactDuplicates.find(groups, order, of_reference)
    own = exact.unique
    references = np.flatnonzero(known.groups == np.arange(len(known)))

    def texts() -> Iterator[str]:
        if reference is not None:
            yield from reference.texts(references.tolist())
        yield from source.texts(own.tolist())

    vectors = embedding.run(
        texts(), len(references) + len(own), f"{known.digest} {scan.keys.digest}"
    )
    with progress_bar(len(own), "searched") as bar:

        def progress(count: int) -> None:
            bar.update(count)

        result = deduplicate(
            vectors[len(references) :],
            threshold=threshold,
            order=np.searchsorted(own, order[np.isin(order, own)]),
            against=vectors[: len(references)] if len(references) else None,
            progress=progress,
        )
    return DedupReport(
        texts=scan.keys.digest,
        against=None if reference is None else known.digest,
        keep=keep,
        exact=exact,
        result=result,
        reference_rows=references,
    )


def _shrunk(outcome: "DedupReport", size: int) -> "DedupReport":
    from dataclasses import replace

    return replace(outcome, result=outcome.result.shrink(size))


def _rethreshold(
    path: Path, source: RecordFile, reference: RecordFile | None, threshold: float
) -> "DedupReport":
    from dataclasses import replace

    from edge_embed.dedup_report import DedupReport

    outcome = DedupReport.read(path)
    if _scan(source).keys.digest != outcome.texts:
        raise InputError(f"{path} is not of {source.path}: give the file that it was made of")
    if (None if reference is None else _scan(reference).keys.digest) != outcome.against:
        raise InputError(f"{path} was made with another --against: give the same")
    return replace(outcome, result=outcome.result.rethreshold(threshold))


def _write(
    outcome: "DedupReport",
    source: RecordFile,
    reference: RecordFile | None,
    output: Path,
    report: Path | None,
) -> None:
    removed = outcome.removals()
    gone = {removal.row for removal in removed}
    told = gone | {removal.partner for removal in removed if not removal.reference}
    texts: dict[int, str] = {}
    total = 0
    with open_row_writer(output, like=Path(source.path)) as writer:
        for number, row in enumerate(source.rows()):
            total += 1
            if report is not None and number in told:
                texts[number] = row.text
            if number not in gone:
                writer.write(row.values)
    if report is not None:
        asked = sorted({removal.partner for removal in removed if removal.reference})
        known = [] if reference is None else list(reference.texts(asked))
        outcome.write(report, texts, dict(zip(asked, known, strict=True)))
    exact = sum(removal.kind == "exact" for removal in removed)
    click.echo(
        f"{total} records: {total - len(removed)} kept, {exact} exact and "
        f"{len(removed) - exact} semantic duplicates removed",
        err=True,
    )
    if outcome.result.recall < 1:
        click.echo(
            f"links found in a sample: {outcome.result.recall:.1%} of those that comparing all "
            "pairs finds",
            err=True,
        )
