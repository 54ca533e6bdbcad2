"""Deduplicate records in files, resumable.

In a cascade, static vectors (:mod:`edge_embed.runtime.static_pieces`) first find the records that
have a near neighbour, and only these are embedded with the model; see
:mod:`edge_embed.tasks.deduplication.cascade`.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from edge_embed.cli.corpus_embedding import CorpusEmbedding
from edge_embed.cli.terminal import counting, echo, progress_bar
from edge_embed.files.atomic import atomic_file
from edge_embed.files.record_file import RecordFile
from edge_embed.files.write_errors import output_error
from edge_embed.model.variants import STATIC

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edge_embed.tasks import DeduplicationResult
    from edge_embed.tasks.deduplication.cascade import Candidates
    from edge_embed.tasks.deduplication.report import DedupReport
    from edge_embed.tasks.vectors import Rows

    Indices = npt.NDArray[np.intp]

__all__ = ["DuplicateSearch"]

# Texts in one call of the static embedding.
_CHUNK = 8192


@dataclass(frozen=True)
class DuplicateSearch:
    """Finds duplicates in a file, and records like those of a reference file."""

    embedding: CorpusEmbedding
    source: RecordFile
    reference: RecordFile | None
    cascade: bool
    """Embed only the records that have a near neighbour among static vectors, not all of them."""

    def run(self, threshold: float, keep: str, output: Path) -> "DedupReport":
        """Find exact duplicates, then semantic ones.

        Args:
            threshold: The lowest cosine of duplicates.
            keep: ``first``, ``longest``, or a column whose highest number is kept.
            output: Where the records will be written.
        """
        import numpy as np

        from edge_embed.tasks import deduplicate, keep_order
        from edge_embed.tasks.deduplication.exact import TextKeys
        from edge_embed.tasks.deduplication.removals import ExactDuplicates
        from edge_embed.tasks.deduplication.report import DedupReport
        from edge_embed.tasks.deduplication.scan import scan_records

        scan = scan_records(self.source, keep, output=output)
        known = TextKeys() if self.reference is None else scan_records(self.reference).keys
        groups, of_reference = scan.keys.match(known)
        order = keep_order(len(scan.keys), values=scan.values, ties=scan.keys.ties)
        exact = ExactDuplicates.find(groups, order, of_reference)
        own = exact.unique
        references = np.flatnonzero(known.groups == np.arange(len(known)))
        order = np.searchsorted(own, order[np.isin(order, own)])
        count, first = len(references) + len(own), len(references)
        digest = f"{known.digest} {scan.keys.digest}"

        def texts(rows: "Indices") -> Iterator[str]:
            """Yield the texts of rows, which ascend; references are numbered first."""
            if self.reference is not None:
                yield from self.reference.texts(references[rows[rows < first]].tolist())
            yield from self.source.texts(own[rows[rows >= first] - first].tolist())

        cascade = None
        if self._cascades():
            stage = _Cascade(self.embedding, texts, count, first, digest)
            candidates = stage.candidates(threshold)
            cascade = {
                "candidates": int(np.count_nonzero(candidates.chosen)),
                "static_threshold": round(candidates.threshold or 0, 4),
                "sample_links": candidates.links,
                "recall": candidates.recall,
            }
            result = stage.result(candidates, threshold, order)
        else:
            vectors = self.embedding.run(texts(np.arange(count)), count, digest)
            with counting(len(own), "searched") as progress:
                result = deduplicate(
                    vectors[first:],
                    threshold=threshold,
                    order=order,
                    against=vectors[:first] if first else None,
                    progress=progress,
                )
        return DedupReport(
            texts=scan.keys.digest,
            against=None if self.reference is None else known.digest,
            keep=keep,
            exact=exact,
            result=result,
            reference_rows=references,
            cascade=cascade,
        )

    def _cascades(self) -> bool:
        if not self.cascade:
            return False
        model = self.embedding.model
        if model.config.is_table or model.variant == STATIC:
            echo("the model has static vectors alone: no cascade", err=True)
            return False
        return True


class _Cascade:
    """Embeds all texts with static vectors, and a sample and the candidates with the model."""

    def __init__(
        self,
        embedding: CorpusEmbedding,
        texts: "Callable[[Indices], Iterator[str]]",
        count: int,
        references: int,
        digest: str,
    ) -> None:
        self._embedding, self._texts = embedding, texts
        self._count, self._references = count, references
        self._stored = embedding.open(count, digest, rows_apart=True)

    def candidates(self, threshold: float) -> "Candidates":
        """Find the candidates, and print how many there are."""
        import numpy as np

        from edge_embed.tasks.deduplication.cascade import find_candidates, sample_rows
        from edge_embed.tasks.vectors import Rows

        sample = sample_rows(self._count)
        rows = self._embed(sample)
        place = np.full(self._count, -1)
        place[rows] = np.arange(len(rows))
        vectors = Rows(np.asarray(self._stored.vectors()[place[sample]]))
        found = find_candidates(
            self._static_vectors(sample), sample, vectors, threshold, references=self._references
        )
        if found.why_all:
            said = f"the model reads every text: {found.why_all}"
        else:
            said = (
                f"static vectors: {np.count_nonzero(found.chosen)} of {self._count} texts have a "
                f"neighbour at {found.threshold:.3f}, and the model reads those; of "
                f"{found.links} links in a sample, {found.recall:.1%} are among them"
            )
        echo(said, err=True)
        return found

    def result(
        self, candidates: "Candidates", threshold: float, order: "Indices"
    ) -> "DeduplicationResult":
        """Embed the candidates with the model, and deduplicate by its cosines."""
        import numpy as np

        from edge_embed.tasks.deduplication.cascade import deduplicate_candidates

        rows = self._embed(np.flatnonzero(candidates.chosen))
        with counting(len(rows), "searched") as progress:
            return deduplicate_candidates(
                self._stored.vectors(),
                rows,
                order,
                threshold=threshold,
                references=self._references,
                recall=candidates.recall,
                progress=progress,
            )

    def _embed(self, wanted: "Indices") -> "Indices":
        """Embed those of ``wanted`` that are missing; return the row of each stored vector."""
        import numpy as np

        file = self._embedding.rows_file
        there = np.load(file)[: self._stored.done] if file.exists() else np.empty(0, np.intp)
        missing = np.setdiff1d(wanted, there)
        rows = np.concatenate([there, missing])
        with atomic_file(file) as temporary, temporary.open("wb") as stream:
            np.save(stream, rows)
        self._embedding.add(self._texts(missing), len(rows))
        return rows

    def _static_vectors(self, sample: "Indices") -> "Rows":
        """Return the static vectors of all texts, in an unnamed temporary file."""
        import numpy as np

        from edge_embed.runtime.static_pieces import static_pieces
        from edge_embed.tasks.vectors import Rows

        model = self._embedding.model
        pieces = static_pieces(model.config, model.runtime, model.variant, lambda: model)
        # Weights by the texts' own counts: half as many candidates as with those of English.
        engine = pieces.engine(pieces.shares_in(list(self._texts(sample))))
        texts = self._texts(np.arange(self._count))
        folder = self._embedding.folder
        try:
            with (
                tempfile.TemporaryFile(dir=folder) as file,
                progress_bar(self._count, "static vectors") as bar,
            ):
                while some := list(islice(texts, _CHUNK)):
                    file.write(pieces.embed(engine, some).astype(np.float16).tobytes())
                    bar.update(len(some))
                file.flush()
                shape = (self._count, pieces.config.dim)
                return Rows(np.memmap(file, np.float16, "r", shape=shape))
        except OSError as error:
            raise output_error(folder, error) from error
