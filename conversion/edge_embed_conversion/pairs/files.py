"""Tables of labelled sentence pairs: label, sentence1, sentence2."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError
from edge_embed_conversion.console import say

__all__ = ["PairTable", "read_pairs"]

_COLUMNS = ("label", "sentence1", "sentence2")


@dataclass(frozen=True)
class PairTable:
    """Sentence pairs and, for each, the probability that they are paraphrases."""

    name: str
    first: list[str]
    second: list[str]
    labels: npt.NDArray[np.float32]
    """Float32 (pairs,), from 0 (different meaning) to 1 (same meaning)."""

    def __len__(self) -> int:
        return len(self.first)


def read_pairs(files: Sequence[str | Path], *, binary: bool = False) -> PairTable:
    """Read tab-separated tables whose header names label, sentence1 and sentence2.

    Rows with an empty label are left out; a line on stderr gives their number.

    Raises:
        InputError: a file is missing or not such a table, a label is not a number from 0 to 1 (0
            or 1 with ``binary``), or no pair is left.
    """
    first: list[str] = []
    second: list[str] = []
    labels: list[float] = []
    for name in files:
        file = Path(name)
        if not file.is_file():
            raise InputError(f"there is no file {file}")
        skipped = 0
        with file.open(encoding="utf-8", newline="") as stream:
            rows = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
            missing = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{file} has no column {missing[0]}: its first line must name "
                    "label, sentence1 and sentence2, separated by tabs"
                )
            for number, row in enumerate(rows, 2):
                if not row["label"]:
                    skipped += 1
                    continue
                labels.append(_label(row["label"], f"{file}, line {number}", binary=binary))
                first.append(row["sentence1"] or "")
                second.append(row["sentence2"] or "")
        if skipped:
            say(f"pairs: {skipped} rows of {file.name} without a label are left out")
    if not first:
        raise InputError(f"{', '.join(map(str, files))}: no pair with a label")
    return PairTable(Path(files[0]).stem, first, second, np.asarray(labels, np.float32))


def _label(text: str, where: str, *, binary: bool) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1 or (binary and value not in (0, 1)):
        wanted = "0 or 1" if binary else "a number from 0 (not the same) to 1 (the same)"
        raise InputError(f"{where}: label {text!r} is not {wanted}")
    return value
