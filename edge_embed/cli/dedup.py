"""``edge-embed dedup``: records without exact and semantic duplicates, resumable."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_embed.cli.corpus_embedding import CorpusEmbedding
from edge_embed.cli.duplicate_search import DuplicateSearch
from edge_embed.cli.options import ModelOptions, input_options, model_options
from edge_embed.cli.paths import claim_paths, require_file
from edge_embed.cli.terminal import check_suffix, echo, is_terminal, say_recall
from edge_embed.errors import InputError
from edge_embed.files.record_file import RecordFile
from edge_embed.files.row_writers import check_row_output, open_row_writer
from edge_embed.model.locate import DEFAULT_PAIR_MODEL

if TYPE_CHECKING:  # tasks need numpy alone, but a command that fails early should not wait for it
    import numpy as np
    import numpy.typing as npt

    from edge_embed.embedder import Embedder
    from edge_embed.pairs.scorer import PairScorer
    from edge_embed.tasks import Duplicate
    from edge_embed.tasks.deduplication.removals import Removal
    from edge_embed.tasks.deduplication.report import DedupReport, Refusal

_THRESHOLD = 0.9
_TARGET_THRESHOLD = 0.7
# As removed records are lost, the pair model needs a higher score than for naming pairs.
_SURE = 0.9


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
    "--confirm",
    is_flag=False,
    flag_value=DEFAULT_PAIR_MODEL,
    metavar="[MODEL]",
    help="Remove a similar record only if a model that reads both texts agrees: the one that "
    "ships, or this converted cross-encoder.",
)
@click.option(
    "--cascade/--exhaustive",
    default=False,
    help="Let the model read only the records that static vectors bring near another one, which "
    "may miss some duplicates, or every record.  [default: exhaustive]",
)
@click.option(
    "--work-folder",
    metavar="DIR",
    help="Where vectors lie until the run is done. [default: OUTPUT.work]",
)
@click.option(
    "--ray",
    "cluster",
    is_flag=False,
    flag_value="local",
    metavar="[ADDRESS]",
    help="Run on a cluster of Ray: HOST:PORT, auto for the one that runs here, or none to start "
    "one. -i and -o may be folders.",
)
@click.option(
    "--partitions",
    type=click.IntRange(min=1),
    help="With --ray: compare only inside so many partitions. [default: one for each "
    "100,000 records]",
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
    confirm: str | None,
    work_folder: str | None,
    cluster: str | None,
    partitions: int | None,
    *,
    cascade: bool,
    allow_empty: bool,
) -> None:
    """Remove exact and semantic duplicates from records; all columns are kept.

    A run that was killed resumes when the same command is started again.
    """
    source = require_file("-i", source, "records")
    if against is not None:
        require_file("--against", against, "records")
    if earlier is not None and (target_size is not None or threshold is None):
        raise click.UsageError("--rethreshold takes a stricter --threshold, and no --target-size")
    if cluster is None and partitions is not None:
        raise click.UsageError("--partitions needs --ray")
    if cluster is not None and (against is not None or work_folder is not None):
        raise click.UsageError("--ray takes no --against and no --work-folder")
    if confirm is not None and (cluster is not None or earlier is not None):
        raise click.UsageError("--confirm takes no --ray and no --rethreshold")
    target = Path(output)
    check_suffix("report", report, ".jsonl")
    limit = threshold or (_THRESHOLD if target_size is None else _TARGET_THRESHOLD)
    work = None if cluster is not None else work_folder or f"{output}.work"
    claim_paths(
        reads={"-i": source, "--against": against, "--rethreshold": earlier},
        files={"-o": output, "--report": report},
        work={"--work-folder": work},
    )
    if cluster is not None:
        from edge_embed.integrations.ray.dedup import RayRecords, ray_cluster

        many = RayRecords(source, column=column, allow_empty=allow_empty)
        many.check_output(target)
        with ray_cluster(cluster, progress=is_terminal()):
            if earlier is not None:
                outcome = _rethreshold(Path(earlier), source, many.scan().keys.digest, None, limit)
            else:
                if cascade:
                    echo("on a cluster the model reads every record: no --cascade", err=True)
                outcome = many.deduplicate(
                    _actors_model(options),
                    threads=options.engine["threads"] or 1,
                    threshold=limit,
                    keep=keep,
                    partitions=partitions,
                )
            if target_size is not None:
                outcome = _shrunk(outcome, target_size)
            many.write(outcome, target, report=report)
        _tell(outcome)
        return
    check_row_output(target)
    records = RecordFile(source, column, allow_empty)
    reference = None if against is None else RecordFile(against, column, allow_empty)
    embedding = CorpusEmbedding(options, Path(work or ""))
    if earlier is not None:
        from edge_embed.tasks.deduplication.scan import scan_records

        digest = scan_records(records).keys.digest
        known = None if reference is None else scan_records(reference).keys.digest
        outcome = _rethreshold(Path(earlier), source, digest, known, limit)
    else:
        judge = None if confirm is None else options.load_scorer(confirm)
        search = DuplicateSearch(embedding, records, reference, cascade=cascade)
        outcome = search.run(limit, keep, target)
        if judge is not None:
            outcome = _confirmed(outcome, records, reference, judge, embedding.fingerprint)
        if target_size is not None:
            outcome = _shrunk(outcome, target_size)
    _write(outcome, records, reference, target, None if report is None else Path(report))
    embedding.finish()


def _confirmed(
    outcome: "DedupReport",
    source: RecordFile,
    reference: RecordFile | None,
    judge: "PairScorer",
    fingerprint: str,
) -> "DedupReport":
    """Keep the records whose similar pair a pair model does not confirm.

    ``fingerprint`` is that of the encoder of the pairs' cosines: a pair model that adds the cosine
    of the same encoder to its output takes these.
    """
    import numpy as np

    from edge_embed.tasks.deduplication.report import Refusal

    known_cosines = judge.adds_cosine_of(fingerprint)
    unique, references = outcome.exact.unique, outcome.reference_rows
    scores: dict[tuple[int, int, bool], float] = {}

    def rows(pair: "Duplicate") -> tuple[int, int, bool]:
        names = references if pair.reference else unique
        return int(unique[pair.row]), int(names[pair.partner]), pair.reference

    # Read once: the pair model is asked in rounds, each about other links of the same records.
    linked, linked_references = outcome.result.linked_rows()
    own = unique[linked].tolist()
    texts = dict(zip(own, source.texts(own), strict=True))
    others = [] if reference is None else references[linked_references].tolist()
    known = {} if reference is None else dict(zip(others, reference.texts(others), strict=True))

    def agree(pairs: "list[Duplicate]") -> "npt.NDArray[np.bool_]":
        named = [rows(pair) for pair in pairs]
        both = [(texts[row], (known if is_ref else texts)[p]) for row, p, is_ref in named]
        cosines = np.array([pair.score for pair in pairs]) if known_cosines else None
        judged = judge.predict(
            both, show_progress_bar=is_terminal(), truncation="ignore", cosines=cosines
        )
        scores.update(zip(named, judged.tolist(), strict=True))
        return np.asarray(judged >= max(judge.threshold, _SURE))

    result, refused = outcome.result.confirm(agree)
    told = tuple(
        Refusal(row, partner, pair.score, scores[row, partner, of_reference], of_reference)
        for pair, (row, partner, of_reference) in ((pair, rows(pair)) for pair in refused)
    )
    return replace(outcome, result=result, refused=told)


def _shrunk(outcome: "DedupReport", size: int) -> "DedupReport":
    return replace(outcome, result=outcome.result.shrink(size))


def _actors_model(options: ModelOptions) -> "Callable[[], Embedder]":
    """Return a function that loads the model in an actor, whose working folder is another."""
    model = options.model
    if model is not None and Path(model).is_dir():
        model = str(Path(model).resolve())
    one = options.with_engine(threads=options.engine["threads"] or 1)
    return replace(one, model=model).load


def _rethreshold(
    path: Path,
    name: str,
    texts: str,
    against: str | None,
    threshold: float,
) -> "DedupReport":
    """Apply a threshold to the report at ``path``, after comparing its hashes of the texts."""
    from edge_embed.tasks.deduplication.report import DedupReport

    outcome = DedupReport.read(path)
    if texts != outcome.texts:
        raise InputError(f"{path} is not of {name}: give the file that it was made of")
    if against != outcome.against:
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
    evidence: list[Removal | Refusal] = [*removed, *outcome.refused]
    told = {removal.row for removal in evidence}
    told |= {removal.partner for removal in evidence if not removal.reference}
    texts: dict[int, str] = {}
    with open_row_writer(output, like=Path(source.path)) as writer:
        for number, row in enumerate(source.rows()):
            if report is not None and number in told:
                texts[number] = row.text
            if number not in gone:
                writer.write(row.values)
    if report is not None:
        asked = sorted({removal.partner for removal in evidence if removal.reference})
        known = [] if reference is None else list(reference.texts(asked))
        outcome.write(report, texts, dict(zip(asked, known, strict=True)))
    _tell(outcome)


def _tell(outcome: "DedupReport") -> None:
    removed = outcome.removals()
    total = len(outcome.exact.of)
    exact = sum(removal.kind == "exact" for removal in removed)
    echo(
        f"{total} records: {total - len(removed)} kept, {exact} exact and "
        f"{len(removed) - exact} semantic duplicates removed",
        err=True,
    )
    if outcome.refused:
        echo(
            f"{len({refusal.row for refusal in outcome.refused})} records were alike by their "
            "vectors, and not for the pair model",
            err=True,
        )
    say_recall(outcome.result.recall, "links")
