"""Semantic deduplication of many files of records on a Ray cluster.

SemDeDup (Abbas et al. 2023, https://arxiv.org/abs/2303.09540): vectors are divided into partitions
by k-means, and only pairs within a partition are compared. Pairs of different partitions are
missed; the result's ``recall`` is the share of a sample's links that are found. With one partition
none is missed, and the result is that of one machine. Which records are kept follows from the links
as on one machine, see :mod:`edge_embed.tasks.deduplication.semantic`.

>>> from functools import partial
>>> from edge_embed import Embedder
>>> from edge_embed.integrations.ray.dedup import RayRecords, ray_cluster
>>> with ray_cluster("auto"):  # doctest: +SKIP
...     records = RayRecords("parts", column="text")
...     outcome = records.deduplicate(partial(Embedder, threads=1), threshold=0.9)
...     records.write(outcome, "unique", report="removed.jsonl")
"""

import warnings
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.embedder import Embedder
from edge_embed.encoding import TruncationWarning, truncation_message
from edge_embed.errors import InputError, MissingExtraError
from edge_embed.files.atomic import atomic_folder, check_folder
from edge_embed.files.formats import READABLE
from edge_embed.files.record_file import RecordFile
from edge_embed.files.row_writers import check_row_output, open_row_writer
from edge_embed.integrations.ray.cluster import (
    cluster_errors,
    on_actors,
    processors,
    ray_cluster,
    run_each,
)
from edge_embed.integrations.ray.partitions import ChunkEmbedder, partitioned_links
from edge_embed.runtime.text_warnings import TextWarning
from edge_embed.tasks import TextKeys, keep_order
from edge_embed.tasks.deduplication.removals import ExactDuplicates
from edge_embed.tasks.deduplication.report import DedupReport
from edge_embed.tasks.deduplication.scan import Scan, scan_records
from edge_embed.tasks.deduplication.semantic import from_links
from edge_embed.tasks.neighbours import EXACT_ROWS, check_threshold

try:
    import ray
    import ray.data
except ImportError:
    raise MissingExtraError("deduplicating on a cluster", "ray", "ray") from None

__all__ = ["RayRecords", "ray_cluster"]

Indices = npt.NDArray[np.intp]

# Texts embedded in one call. The chunks do not depend on the order of the tasks, so that vectors do
# not either.
_CHUNK = 4096


class RayRecords:
    """Files of records, which every node of a cluster must see under the same path.

    Texts and vectors stay on the nodes. The calling process holds about 150 bytes for each record,
    all links, and for a report the texts of removed records and their partners.
    """

    def __init__(
        self,
        sources: str | Path | Sequence[str | Path],
        *,
        column: str | None = None,
        allow_empty: bool = False,
    ) -> None:
        """Find the files.

        Args:
            sources: A file, a folder, or several of either. Of a folder, all readable files at any
                depth are taken, sorted by name, except those with a name or a folder that begins
                with a dot or an underscore. Records are numbered across files.
            column: As for :func:`edge_embed.files.readers.read_rows`, which lists the formats.
            allow_empty: Accept empty texts, instead of refusing them.

        Raises:
            InputError: there are no files, or two would be written under the same name.
        """
        self._one = isinstance(sources, (str, Path)) and not Path(sources).is_dir()
        self._files: list[RecordFile] = []
        self._names: dict[Path, Path] = {}
        self._bounds: Indices | None = None
        for source in [sources] if isinstance(sources, (str, Path)) else sources:
            for path, name in _readable(Path(source)):
                if name in self._names:
                    raise InputError(
                        f"{self._names[name]} and {path} would be written under the same name: "
                        "rename one"
                    )
                self._names[name] = path
                self._files.append(RecordFile(str(path.resolve()), column, allow_empty))

    def check_output(self, output: str | Path) -> None:
        """Refuse an output that cannot be written, before any work is done.

        Raises:
            InputError: its ending is that of no format that can be written.
            OutputError: it is a file and should be a folder, or exists already.
        """
        if not self._one:
            check_folder(Path(output))
        for name in [Path(output)] if self._one else self._names:
            check_row_output(name)

    def scan(self, keep: str = "first") -> Scan:
        """Read all texts for exact duplicates, as :func:`scan_records` does of one file.

        Raises:
            InputError: a file cannot be read, or lacks a column; the message names it.
            ClusterError: the cluster cannot finish.
        """
        scans: list[Scan] = run_each(scan_records, [(file, keep) for file in self._files])
        keys, values = TextKeys(), array("d")
        for scan in scans:
            keys.extend(scan.keys)
            values.extend(scan.values or ())
        self._bounds = np.cumsum([0, *(len(scan.keys) for scan in scans)])
        return Scan(keys, None if keep == "first" else values)

    def deduplicate(
        self,
        load: Callable[[], Embedder],
        *,
        threads: int = 1,
        threshold: float = 0.9,
        keep: str = "first",
        partitions: int | None = None,
    ) -> DedupReport:
        """Find exact duplicates, then semantic ones within each partition.

        Args:
            load: Loads a model with ``threads`` threads; called once in each actor of a pool that
                grows to the size of the cluster.
            threads: Processors of an actor.
            threshold: The lowest cosine of duplicates.
            keep: ``first``, ``longest``, or a column whose highest number is kept.
            partitions: The number of partitions; each must fit into a worker's memory. None is one
                for each 100,000 records.

        Raises:
            InputError: a file or an option cannot be used.
            ModelNotFoundError: no such model.
            ModelFormatError: the model is incomplete or damaged.
            ClusterError: the cluster cannot finish.
        """
        check_threshold(threshold)
        if partitions is not None and partitions < 1:
            raise InputError(f"{partitions} partitions were asked for; at least 1 is needed")
        actors = processors(threads)
        limit = load().max_seq_length
        scan = self.scan(keep)
        order = keep_order(len(scan.keys), values=scan.values, ties=scan.keys.ties)
        exact = ExactDuplicates.find(scan.keys.groups, order)
        own = exact.unique
        order = np.searchsorted(own, order[np.isin(order, own)])
        count = min(partitions or -(-len(own) // EXACT_ROWS), len(own))
        chunks = on_actors(
            self._chunks(own).map,
            ChunkEmbedder,
            fn_constructor_args=(load,),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors),
            num_cpus=threads,
        )
        with cluster_errors():
            chunks = chunks.materialize()
        found = partitioned_links(chunks, np.argsort(order), threshold, count)
        if found.cut:
            message = truncation_message(found.cut, len(own), limit)
            warnings.warn(message, TruncationWarning, stacklevel=2)
        if found.warnings:
            warnings.warn(found.warnings, TextWarning, stacklevel=2)
        return DedupReport(
            texts=scan.keys.digest,
            against=None,
            keep=keep,
            exact=exact,
            result=from_links(
                found.links,
                order,
                threshold=threshold,
                complete=found.complete,
                recall=found.recall,
            ),
            reference_rows=np.empty(0, np.intp),
        )

    def _chunks(self, rows: Indices) -> Any:  # noqa: ANN401
        """Return a data set with the texts of ``rows`` in chunks, each a block of its own."""
        files, starts = self._files, np.searchsorted(rows, self._starts())
        wanted = ray.put(self._split(rows))

        def read(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
            number = item["item"]
            texts = files[number].texts(ray.get(wanted)[number].tolist())
            start = int(starts[number])
            while part := list(islice(texts, _CHUNK)):
                yield {"start": start, "texts": part}
                start += len(part)

        # num_cpus=0: readers could otherwise occupy the processors that the actors wait for.
        readers = ray.data.TaskPoolStrategy(size=min(processors(1), len(files)))
        return (
            ray.data.from_items(list(range(len(files))), override_num_blocks=len(files))
            .flat_map(read, num_cpus=0, compute=readers)
            .repartition(target_num_rows_per_block=1)
        )

    def write(
        self, outcome: DedupReport, output: str | Path, *, report: str | Path | None = None
    ) -> None:
        """Write the records that are kept, with all columns and in order, atomically.

        Args:
            outcome: The result of :meth:`deduplicate`.
            output: For one input file, a file, whose ending determines the format. For a folder or
                several files, a new or empty folder, which gets a file of the same name for each.
            report: The report of ``edge-embed dedup``, .jsonl.

        Raises:
            OutputError: an output cannot be written.
            InputError: a record does not fit the output's format.
            ClusterError: the cluster cannot finish.
        """
        self.check_output(output)
        output = Path(output).resolve()
        removed = outcome.removals()
        gone = np.array([removal.row for removal in removed], np.intp)
        partners = np.array([removal.partner for removal in removed], np.intp)
        told = np.union1d(gone, partners) if report is not None else gone[:0]
        if self._one:
            texts = self._write_files(gone, told, [output])
        else:
            with atomic_folder(output) as folder:
                targets = [folder / name for name in self._names]
                for target in targets:
                    target.parent.mkdir(parents=True, exist_ok=True)
                texts = self._write_files(gone, told, targets)
        if report is not None:
            outcome.write(Path(report), texts, {})

    def _write_files(self, gone: Indices, told: Indices, targets: Sequence[Path]) -> dict[int, str]:
        """Write every file without the rows ``gone``; return the texts of the rows ``told``."""
        tasks = list(zip(self._files, targets, self._split(gone), self._split(told), strict=True))
        found: list[list[str]] = run_each(_write, tasks)
        return dict(zip(told.tolist(), (text for texts in found for text in texts), strict=True))

    def _starts(self) -> Indices:
        """Return the number of each file's first record, and of all records: (files + 1,)."""
        if self._bounds is None:
            self.scan()
        assert self._bounds is not None  # noqa: S101
        return self._bounds

    def _split(self, rows: Indices) -> list[Indices]:
        """Divide ascending rows by file; they are then relative to the file's first row."""
        starts = self._starts()
        parts = np.split(rows, np.searchsorted(rows, starts[1:-1]))
        return [part - start for part, start in zip(parts, starts[:-1], strict=True)]


def _write(file: RecordFile, target: Path, gone: Indices, told: Indices) -> list[str]:
    removed, wanted = set(gone.tolist()), set(told.tolist())
    texts = []
    with open_row_writer(target, like=Path(file.path)) as writer:
        for number, row in enumerate(file.rows()):
            if number in wanted:
                texts.append(row.text)
            if number not in removed:
                writer.write(row.values)
    return texts


def _readable(source: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the files of a source, with the name of each in the output folder."""
    if not source.is_dir():
        if not source.exists():
            raise InputError(f"no such file: {source}")
        yield source, _plain(Path(source.name))
        return
    found = False
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        hidden = any(part.startswith((".", "_")) for part in name.parts)
        if path.is_file() and not hidden and _plain(name).suffix.lower() in READABLE:
            found = True
            yield path, _plain(name)
    if not found:
        raise InputError(f"the folder {source} has no files that end in {', '.join(READABLE)}")


def _plain(name: Path) -> Path:
    """Return a name without .gz, as outputs are not compressed."""
    return name.with_suffix("") if name.suffix.lower() == ".gz" else name
