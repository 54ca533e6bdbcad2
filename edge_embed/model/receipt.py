"""The receipt of a conversion, ``edge_embed.json``: a model's origin, settings and file hashes.

The converter writes it, ``info`` shows it, and ``verify`` compares the folder with its hashes. A
model without a receipt can be loaded too.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_embed.errors import ModelFormatError
from edge_embed.files.json_text import parse_json
from edge_embed.files.typed_json import typed
from edge_embed.model.file_hashes import FileHash, file_hash
from edge_embed.model.file_names import RECEIPT
from edge_embed.model.paths import path_inside

__all__ = [
    "Fidelity",
    "PairAgreement",
    "ProjectionRecord",
    "Receipt",
    "SourceRecord",
    "TextSetRecord",
    "VariantReceipt",
    "check_files",
    "hash_files",
    "read_receipt",
    "verify_folder",
    "write_receipt",
]

SCHEMA = 1


@dataclass(frozen=True)
class SourceRecord:
    """The source of a conversion."""

    name: str
    """The hub id, the package's name, or the last part of a folder's path."""
    kind: str
    """``folder``, ``package`` or ``hub``."""
    weights: str
    """``checkpoint``, ``openvino``, ``onnx`` or ``table``."""
    weights_sha256: str
    revision: str | None = None
    """The hub's commit or the package's version."""
    route: str | None = None
    """Which path of a model with a Router it is."""


@dataclass(frozen=True)
class TextSetRecord:
    """A set of texts: its name, the number of texts, and the SHA-256 of their lines."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Fidelity:
    """How close a variant is to the FP32 source."""

    cosine_mean: float
    cosine_p1: float
    """The first percentile of the texts' cosines: 99 of 100 are higher."""
    cosine_min: float
    spearman: float
    """Rank correlation of all pairwise similarities with the source's."""
    neighbour_overlap: float | None = None
    """Mean share of each text's ten nearest neighbours that are the same as the source's."""
    threshold_drift: float | None = None
    """Difference of the best cosine threshold for paraphrases from the source's."""


@dataclass(frozen=True)
class PairAgreement:
    """How close the outputs of a pair model's variant are to the FP32 source's."""

    difference_mean: float
    """Mean absolute difference of the outputs, before any activation."""
    difference_max: float
    spearman: float
    """Rank correlation of the outputs, the mean over labels."""


@dataclass(frozen=True)
class VariantReceipt:
    """One set of weights in the folder."""

    file: str
    """Its .xml, relative to the folder."""
    origin: str
    """``exported``, ``traced``, ``converted``, ``adopted``, ``quantized`` or ``compressed``."""
    recipe: Mapping[str, Any]
    """The settings of quantization and factorisation; empty without either."""
    ignored_layers: tuple[str, ...]
    """Layers that were left in floating point."""
    fidelity: Fidelity | None
    """Measured on the evaluation texts; None for the reference itself, and for pair models."""
    packed: bool | None = None
    """Whether several texts may share a row without a change of their vectors; None if untested."""
    agreement: PairAgreement | None = None
    """Measured on the evaluation pairs; only for a pair model."""


@dataclass(frozen=True)
class ProjectionRecord:
    """A projection to fewer dimensions, and the texts that it was fitted on."""

    from_dim: int
    dim: int
    centered: bool
    whitened: bool
    variant: str
    """The variant that embedded the texts."""
    texts: TextSetRecord


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The content of ``edge_embed.json``."""

    created: str
    """UTC, ISO 8601."""
    source: SourceRecord
    licence: str | None
    languages: tuple[str, ...]
    precision: str
    """The ``--precision`` of the conversion: int8, w8, fp16 or fp32."""
    tokenizer: str
    """``copied``, or the file and library that tokenizer.json was made with."""
    reference: str
    """The model that the variants' fidelity was measured against."""
    variants: Mapping[str, VariantReceipt]
    calibration: TextSetRecord | None
    evaluation: TextSetRecord
    tools: Mapping[str, str]
    files: Mapping[str, FileHash]
    projection: ProjectionRecord | None = None
    schema: int = SCHEMA


def read_receipt(folder: Path) -> Receipt | None:
    """Read the receipt of ``folder``; None if it has none.

    Raises:
        ModelFormatError: the receipt is damaged, or newer than this version reads.
    """
    path = folder / RECEIPT
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFormatError(f"cannot read {path}: {error}") from error
    try:
        data = parse_json(text)
        if typed(int, data["schema"], "schema") > SCHEMA:
            raise ModelFormatError(
                f"{path} has schema {data['schema']}, newer than this version reads ({SCHEMA}); "
                "upgrade edge-embed"
            )
        return typed(Receipt, data, "it")
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFormatError(
            f"{path} is damaged ({type(error).__name__}: {error}); convert the model again, or "
            "remove the file"
        ) from error


def write_receipt(folder: Path, receipt: Receipt) -> None:
    """Write ``receipt`` into ``folder``."""
    text = json.dumps(asdict(receipt), indent=2, ensure_ascii=False)
    (folder / RECEIPT).write_text(text + "\n", encoding="utf-8")


def hash_files(folder: Path) -> dict[str, FileHash]:
    """Hash every file below ``folder`` but the receipt: relative path, with ``/``, to hash."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: file_hash(path) for name, path in named.items() if name != RECEIPT}


def check_files(folder: Path, receipt: Receipt) -> list[str]:
    """Compare the files of ``folder`` with the receipt; return one line for each that differs.

    Files that the receipt does not name are ignored.
    """
    problems = []
    for name, expected in receipt.files.items():
        try:
            path = path_inside(folder, name, folder / RECEIPT)
        except ModelFormatError:
            problems.append(f"{name!r:.80} is no path inside the folder")
            continue
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif path.stat().st_size != expected.size:
            problems.append(f"{name} has {path.stat().st_size} bytes instead of {expected.size}")
        elif file_hash(path).sha256 != expected.sha256:
            problems.append(f"{name} has changed (its sha256 differs)")
    return problems


def verify_folder(folder: Path) -> None:
    """Check every file of a model folder against the hashes in its receipt.

    Raises:
        ModelFormatError: there is no receipt, or a file is missing or has another hash.
    """
    receipt = read_receipt(folder)
    if receipt is None:
        raise ModelFormatError(
            f"{folder} has no receipt ({RECEIPT}), so its files cannot be verified: convert it "
            "again, or load it without verifying"
        )
    problems = check_files(folder, receipt)
    if problems:
        raise ModelFormatError(
            f"{folder} is not as its receipt says: {'; '.join(problems)}; copy it again"
        )
