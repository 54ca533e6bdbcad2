"""The report of a deduplication: each removed record with its partner, and all links.

The format is JSON lines: a header, a line for each removed record, and the links, with which a
stricter threshold can be applied without another search.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError
from edge_embed.files.atomic import atomic_file
from edge_embed.files.json_text import parse_json
from edge_embed.tasks.deduplication.removals import ExactDuplicates, Removal, removals
from edge_embed.tasks.deduplication.semantic import DeduplicationResult
from edge_embed.tasks.neighbours import Links

__all__ = ["DedupReport", "Refusal"]

SCHEMA = 2
"""Since version 2 the last line is a checksum of the lines before it."""
_FORMAT = "edge-embed dedup report"
_CHECKSUM = "sha256"
_MAX_COSINE = 1.001  # rounding may exceed 1
# The most numbers on a line.
_CHUNK = 4000


@dataclass(frozen=True)
class Refusal:
    """A record that is a duplicate by its vector, but not by the pair model."""

    row: int
    partner: int
    """The row, or the reference row, that it is similar to."""
    score: float
    """Their cosine."""
    pair_score: float
    """The pair model's score, below its threshold."""
    reference: bool
    """Whether ``partner`` is a reference row."""


@dataclass(frozen=True, kw_only=True)
class DedupReport:
    """A deduplication, and hashes of the input that it belongs to."""

    texts: str
    """A hash of the input's texts in order."""
    against: str | None
    """A hash of the reference texts in order; None without references."""
    keep: str
    """Which record of a group was kept: ``first``, ``longest``, or the name of a column."""
    exact: ExactDuplicates
    result: DeduplicationResult
    """The semantic deduplication of the rows ``exact.unique`` against ``reference_rows``."""
    reference_rows: npt.NDArray[np.intp]
    """The distinct reference rows, (0,) without references."""
    refused: tuple[Refusal, ...] = ()
    """The duplicates that a pair model did not confirm; those records are kept."""
    cascade: Mapping[str, float] | None = None
    """How candidates were chosen, if not all records were embedded with the model: see
    :class:`~edge_embed.tasks.deduplication.cascade.Candidates`."""

    def removals(self) -> list[Removal]:
        """Return every removed row, ascending."""
        return removals(self.exact, self.result.name_references(self.reference_rows))

    def write(
        self, path: Path, texts: Mapping[int, str], reference_texts: Mapping[int, str]
    ) -> None:
        """Write the report.

        Args:
            path: The file.
            texts: Row to text, for the removed and refused rows and their partners.
            reference_texts: Row to text, for the partners among the references.

        Raises:
            OutputError: it cannot be written.
        """
        result, removed = self.result, self.removals()
        components = dict(zip(self.exact.unique.tolist(), result.components.tolist(), strict=True))
        header = {
            "format": _FORMAT,
            "schema": SCHEMA,
            "rows": len(self.exact.of),
            "kept": len(self.exact.of) - len(removed),
            "exact": sum(removal.kind == "exact" for removal in removed),
            "semantic": sum(removal.kind == "semantic" for removal in removed),
            "threshold": result.threshold,
            "keep": self.keep,
            "complete": result.complete,
            "recall": result.recall,
            "references": result.references,
            "texts": self.texts,
            "against": self.against,
            "links": len(result.links),
            "refused": len(self.refused),
        } | ({} if self.cascade is None else {"cascade": dict(self.cascade)})
        with atomic_file(path) as temporary, temporary.open("wb") as stream:
            file = _SummedFile(stream)
            file.write(_line(header))
            for removal in removed:
                partner = reference_texts if removal.reference else texts
                component = components.get(int(self.exact.of[removal.row]))
                line = asdict(removal) | {
                    "score": round(removal.score, 6),
                    "component": None if component is None else int(self.exact.unique[component]),
                    "text": texts[removal.row],
                    "partner_text": partner[removal.partner],
                }
                file.write(_line(line))
            for refusal in self.refused:
                partner = reference_texts if refusal.reference else texts
                line = asdict(refusal) | {
                    "score": round(refusal.score, 6),
                    "pair_score": round(refusal.pair_score, 6),
                    "kind": "refused",
                    "text": texts[refusal.row],
                    "partner_text": partner[refusal.partner],
                }
                file.write(_line(line))
            for name, values in self._arrays():
                for start in range(0, len(values), _CHUNK):
                    file.write(_line({name: values[start : start + _CHUNK].tolist()}))
            file.write(_line({_CHECKSUM: file.digest()}))

    def _arrays(self) -> Iterator[tuple[str, "np.ndarray[Any, Any]"]]:
        links = self.result.links
        yield "stands_for", self.exact.of
        yield "same_as_reference", self.exact.references
        yield "reference_rows", self.reference_rows
        yield "order", self.result.order
        yield "link_left", links.left
        yield "link_right", links.right
        # Not rounded, so that reading gives the same values.
        yield "link_score", links.score.astype(np.float64)

    @classmethod
    def read(cls, path: Path) -> "DedupReport":
        """Read a report.

        Raises:
            InputError: the file is missing, no report, damaged, or newer than this version.
        """
        damaged = InputError(f"{path} is not a whole report of 'edge-embed dedup': make it again")
        arrays: dict[str, list[Any]] = {name: [] for name in _ARRAYS}
        try:
            digest, told = hashlib.sha256(), None
            with path.open("rb") as file:
                first = next(file)
                digest.update(first)
                header = parse_json(first)
                if header["format"] != _FORMAT:
                    raise damaged
                if header["schema"] > SCHEMA:
                    raise InputError(
                        f"{path} has schema {header['schema']}, newer than this version reads "
                        f"({SCHEMA}); upgrade edge-embed"
                    )
                for line in file:
                    content = parse_json(line)
                    if told is not None:
                        raise damaged  # the checksum is not the last line
                    if _CHECKSUM in content:
                        told = content[_CHECKSUM]
                        continue
                    digest.update(line)
                    for name, values in content.items():
                        if name in arrays and isinstance(values, list):
                            arrays[name] += values
            if (header["schema"] > 1 or told is not None) and told != digest.hexdigest():
                raise damaged
            return cls._from(header, arrays)
        except FileNotFoundError:
            raise InputError(f"no such file: {path}") from None
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        except InputError:
            raise
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            IndexError,
            OverflowError,
            StopIteration,
        ):
            raise damaged from None

    @classmethod
    def _from(cls, header: Mapping[str, Any], arrays: Mapping[str, list[Any]]) -> "DedupReport":
        exact = ExactDuplicates(
            np.array(arrays["stands_for"], np.int64),
            np.array(arrays["same_as_reference"], np.int64),
        )
        links = Links(
            np.array(arrays["link_left"], np.int32),
            np.array(arrays["link_right"], np.int32),
            np.array(arrays["link_score"], np.float32),
        )
        rows = len(exact.unique)
        whole = (
            len(exact.of) == len(exact.references) == header["rows"]
            and len(arrays["order"]) == rows
            and len(arrays["reference_rows"]) == header["references"]
            and len(links.left) == len(links.right) == len(links.score) == header["links"]
        )
        if not whole:
            raise ValueError("lines are missing")
        order = np.array(arrays["order"], np.intp)
        references = np.array(arrays["reference_rows"], np.intp)
        count, total = len(exact.of), rows + len(references)
        if not (
            np.array_equal(np.sort(order), np.arange(rows))
            and _within(exact.of, 0, count)
            and _within(links.left, 0, total)
            and _within(links.right, 0, total)
            and _within(exact.references, -1, np.iinfo(np.int64).max)
            and bool(np.all(np.abs(links.score) <= _MAX_COSINE))
        ):
            raise ValueError("numbers are out of range")
        empty = np.empty(0, np.intp)
        bare = DeduplicationResult(
            threshold=float(header["threshold"]),
            rows=rows,
            references=int(header["references"]),
            kept=empty,
            duplicates=(),
            components=np.empty(0, np.int64),
            order=np.array(arrays["order"], np.intp),
            links=links,
            complete=bool(header["complete"]),
            recall=float(header["recall"]),
        )
        return cls(
            texts=header["texts"],
            against=header["against"],
            keep=header["keep"],
            exact=exact,
            reference_rows=np.array(arrays["reference_rows"], np.intp),
            result=bare.rethreshold(bare.threshold),
            cascade=None if (cascade := header.get("cascade")) is None else dict(cascade),
        )


_ARRAYS = (
    "stands_for",
    "same_as_reference",
    "reference_rows",
    "order",
    "link_left",
    "link_right",
    "link_score",
)


class _SummedFile:
    """Writes lines and computes their checksum."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._digest = stream, hashlib.sha256()

    def write(self, line: str) -> None:
        content = line.encode()
        self._digest.update(content)
        self._stream.write(content)

    def digest(self) -> str:
        return self._digest.hexdigest()


def _within(numbers: "np.ndarray[Any, Any]", least: int, end: int) -> bool:
    return not len(numbers) or bool(numbers.min() >= least and numbers.max() < end)


def _line(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False) + "\n"
