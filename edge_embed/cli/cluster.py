"""``edge-embed cluster``: group texts by meaning, and assign new ones to the same groups."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_embed.cli.corpus_embedding import CorpusEmbedding
from edge_embed.cli.options import ModelOptions, input_options, model_options
from edge_embed.cli.paths import claim_paths, require_file
from edge_embed.cli.terminal import check_suffix, echo, say_recall
from edge_embed.errors import InputError
from edge_embed.files.record_file import RecordFile
from edge_embed.files.row_writers import check_row_output, open_row_writer
from edge_embed.tasks.clustering.report import ClusterEntry, ClusterReport

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edge_embed.tasks import Clustering

_COLUMNS = ("cluster", "cluster_score", "cluster_name")


@click.command("cluster")
@input_options
@click.option(
    "-o", "--output", required=True, metavar="FILE", help="The records, each with its cluster."
)
@click.option(
    "--report", metavar="FILE", help="The clusters: .csv to read, .json also to --assign."
)
@click.option(
    "--assign",
    "earlier",
    metavar="REPORT.json",
    help="Assign to the clusters of an earlier run instead of making new ones.",
)
@click.option(
    "-t",
    "--threshold",
    type=click.FloatRange(-1, 1),
    help="Lowest cosine with a cluster's centre; below are outliers. [default: leaves out 2 %]",
)
@click.option("--min-size", type=click.IntRange(min=1), default=5, show_default=True)
@click.option(
    "--resolution",
    type=click.FloatRange(0, min_open=True),
    default=0.5,
    show_default=True,
    help="A higher one gives more and smaller clusters.",
)
@click.option(
    "--neighbours",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Nearest texts that each text is linked with.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--plot", metavar="FILE.png", help="A map of the texts (needs the extra plot).")
@click.option(
    "--work-folder",
    metavar="DIR",
    help="Where vectors lie until the run is done. [default: OUTPUT.work]",
)
@model_options
def cluster_command(
    options: ModelOptions,
    source: str | None,
    column: str | None,
    output: str,
    report: str | None,
    earlier: str | None,
    threshold: float | None,
    min_size: int,
    resolution: float,
    neighbours: int,
    seed: int,
    plot: str | None,
    work_folder: str | None,
    *,
    allow_empty: bool,
) -> None:
    """Group texts by meaning; how many groups there are is found out, not asked for.

    The output has the columns cluster (-1 is an outlier), cluster_score and cluster_name.
    """
    from edge_embed.tasks.clustering.leiden import cluster
    from edge_embed.tasks.clustering.map import cluster_map, require_map

    source = require_file("-i", source, "texts")
    if earlier is not None and (report is not None or plot is not None):
        raise click.UsageError("--assign makes no new clusters: leave out --report and --plot")
    target = Path(output)
    work = Path(work_folder or f"{output}.work")
    claim_paths(
        reads={"-i": source, "--assign": earlier},
        files={"-o": output, "--report": report, "--plot": plot},
        work={"--work-folder": work},
    )
    check_row_output(target)
    check_suffix("report", report, ".json", ".csv")
    check_suffix("plot", plot, ".png")
    if plot is not None:
        require_map()
    known = None if earlier is None else ClusterReport.read(Path(earlier))
    records = RecordFile(source, column, allow_empty)
    embedding = CorpusEmbedding(options, work)
    vectors = _embed(embedding, records, target)
    if known is None:
        found = cluster(
            vectors,
            neighbours=neighbours,
            resolution=resolution,
            threshold=threshold,
            min_size=min_size,
            seed=seed,
        )
        labels, scores = found.labels, found.scores
        clusters = _described(found, records, embedding.fingerprint)
    else:
        clusters = known
        labels, scores = _assigned(known, vectors, embedding, threshold)
    _write(records, target, labels, scores, clusters)
    if report is not None:
        clusters.write(Path(report))
    if plot is not None:
        names = [entry.name for entry in clusters.clusters]
        cluster_map(vectors, labels, names, Path(plot), seed=seed)
    outliers = int((labels < 0).sum())
    echo(f"{len(labels)} texts: {len(clusters.clusters)} clusters, {outliers} outliers", err=True)
    if known is None:
        say_recall(clusters.recall, "neighbours")
    embedding.finish()


def _embed(
    embedding: CorpusEmbedding, records: RecordFile, output: Path
) -> "npt.NDArray[np.float16]":
    from edge_embed.tasks import TextKeys

    keys = TextKeys()
    for row in records.checked_rows(output):
        keys.add(row.text)
        taken = next((name for name in _COLUMNS if name in row.values), None)
        if taken is not None:
            raise InputError(f"{records.path} has a column {taken!r} already: rename or remove it")
    return embedding.run(records.texts(), len(keys), keys.digest)


def _described(found: "Clustering", records: RecordFile, fingerprint: str) -> ClusterReport:
    from edge_embed.tasks.clustering.leiden import centres
    from edge_embed.tasks.clustering.names import cluster_names

    central = [int(group.rows[0]) for group in found.clusters]
    names = cluster_names(records.texts(), found.labels.tolist(), central)
    entries = (
        ClusterEntry(
            group.number, group.size, round(group.cohesion, 4), name.text, list(name.words)
        )
        for group, name in zip(found.clusters, names, strict=True)
    )
    return ClusterReport(
        fingerprint,
        found.threshold,
        len(found.labels),
        int((found.labels < 0).sum()),
        tuple(entries),
        centres(found),
        found.recall,
    )


def _assigned(
    known: ClusterReport,
    vectors: "npt.NDArray[np.float16]",
    embedding: CorpusEmbedding,
    threshold: float | None,
) -> "tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]":
    from edge_embed.tasks.clustering.leiden import assign

    if known.model != embedding.fingerprint:
        embedding.finish()
        raise InputError(
            f"the clusters were made with another model ({known.model[:12]}, not "
            f"{embedding.fingerprint[:12]}): choose that one with -m"
        )
    return assign(vectors, known.centres, known.threshold if threshold is None else threshold)


def _write(
    records: RecordFile,
    output: Path,
    labels: "npt.NDArray[np.int64]",
    scores: "npt.NDArray[np.float32]",
    clusters: ClusterReport,
) -> None:
    names = [entry.name for entry in clusters.clusters]
    with open_row_writer(output, like=Path(records.path)) as writer:
        for row, label, score in zip(records.rows(), labels.tolist(), scores.tolist(), strict=True):
            own = (label, round(score, 4), names[label] if label >= 0 else "")
            writer.write({**row.values, **dict(zip(_COLUMNS, own, strict=True))})
