"""Does a converted model say what sentence-transformers says? As the runtime runs it, packed.

Figures over many ordinary texts hide a fault that one kind of text shows, so the texts are of named
kinds, and the first that differs is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed.errors import EdgeEmbedError
from edge_embed.model.config import ModelConfig
from edge_embed.runtime.config import RuntimeConfig
from edge_embed.runtime.engine import Engine
from edge_embed.runtime.planner import BatchPlanner
from edge_embed.runtime.tokenizer import Tokenizer
from edge_embed_conversion.calibration import shipped_texts
from edge_embed_conversion.parity_texts import PARITY_TEXTS
from edge_embed_conversion.pipeline import Pipeline

__all__ = [
    "COSINE_FLOOR",
    "Comparison",
    "KindFigures",
    "compare_kinds",
    "cosines",
    "kinds_of_text",
    "runtime_vectors",
    "same_as_source",
    "same_tokens",
]

Vectors = npt.NDArray[np.float32]

COSINE_FLOOR = 0.9999
"""What FP32 owes its source on every text."""

_ORDINARY = 40
# A model of 8,192 tokens is not read to its end at every conversion; past 512 the shapes change.
_LONGEST = 640


@dataclass(frozen=True)
class KindFigures:
    """Cosines to sentence-transformers' vectors, over the texts of one kind."""

    texts: int
    cosine_mean: float
    cosine_min: float


@dataclass(frozen=True)
class Comparison:
    """How close a folder's vectors are to those of sentence-transformers."""

    texts: int
    lowest: float
    """The lowest cosine among texts with the same tokens."""
    worst: str
    """The kind of the text with the lowest cosine."""
    tokenized_otherwise: tuple[str, ...]
    """The kinds of texts that transformers cuts into other tokens than tokenizer.json does."""
    kinds: Mapping[str, KindFigures]
    """Figures by kind of text, over the texts with the same tokens."""

    @property
    def same(self) -> bool:
        """Whether every text has the vector of the source."""
        return self.lowest >= COSINE_FLOOR


def kinds_of_text(config: ModelConfig) -> list[tuple[str, str]]:
    """Return (kind, text) of everything that a model is compared on."""
    ordinary = shipped_texts("evaluation").texts
    kinds = [("an ordinary text", text) for text in ordinary[:_ORDINARY]]
    kinds += [("an empty text", ""), ("a text of spaces", "  \n ")]
    kinds += [("odd characters", text) for text in PARITY_TEXTS if text.strip()]
    kinds += [("special tokens written out", "one <pad> two [PAD] three </s> [SEP] four <s> five")]
    words = " ".join(ordinary).split()
    limit = min(config.max_seq_length, _LONGEST)
    tokenizer = Tokenizer(config)
    per_word = float(tokenizer.count([" ".join(words)])[0]) / len(words)
    for kind, share in (("a text near the limit", 0.9), ("a text over the limit", 1.3)):
        count = int(limit * share / per_word)
        name = kind if limit == config.max_seq_length else "a long text"
        kinds.append((name, " ".join((words * (count // len(words) + 1))[:count])))
    return kinds


def runtime_vectors(
    config: ModelConfig,
    file: Path,
    texts: Sequence[str],
    *,
    packed: bool = True,
    layers: int | None = None,
) -> tuple[Vectors, bool]:
    """Embed texts as the runtime does: float32 (texts, dim), and whether rows were packed."""
    engine = Engine(config, RuntimeConfig(packed=packed, layers=layers), file=file)
    ids = Tokenizer(config)(texts).ids
    planner = BatchPlanner(
        max_length=config.max_seq_length, pad_id=config.pad_token_id, packed=engine.packed
    )
    vectors = np.empty((len(texts), config.dim), np.float32)
    engine.run(planner.plan(ids), vectors)
    return vectors, engine.packed


def same_as_source(config: ModelConfig, file: Path, pipeline: Pipeline) -> Comparison:
    """Compare the graph ``file`` of a converted folder with its source in sentence-transformers.

    Raises:
        EdgeEmbedError: sentence-transformers cannot run the source, or gives other dimensions.
    """
    kinds = kinds_of_text(config)
    texts = [text for _, text in kinds]
    ours, _ = runtime_vectors(config, file, texts)
    theirs = pipeline.vectors(texts)
    if theirs.shape != ours.shape:
        raise EdgeEmbedError(
            f"the converted model has vectors of {ours.shape[1]} dimensions, sentence-transformers "
            f"gives {theirs.shape[1]}"
        )
    same = same_tokens(config, pipeline, texts)
    return compare_kinds([kind for kind, _ in kinds], ours, theirs, same)


def same_tokens(config: ModelConfig, pipeline: Pipeline, texts: Sequence[str]) -> list[bool]:
    """Return of each text whether both libraries cut it into the same tokens."""
    ours = [ids.tolist() for ids in Tokenizer(config)(texts).ids]
    return [a == b for a, b in zip(ours, pipeline.token_ids(texts), strict=True)]


def compare_kinds(
    kinds: Sequence[str], ours: Vectors, theirs: Vectors, same: Sequence[bool]
) -> Comparison:
    """Compare vectors (n, dim) of n texts, each of a kind, leaving out those of other tokens."""
    measured = np.where(same, cosines(ours, theirs), 1.0)
    worst = int(measured.argmin())
    rows: dict[str, list[int]] = {}
    for row, kind in enumerate(kinds):
        if same[row]:
            rows.setdefault(kind, []).append(row)
    figures = {
        kind: KindFigures(len(at), float(measured[at].mean()), float(measured[at].min()))
        for kind, at in rows.items()
    }
    otherwise = (kind for kind, alike in zip(kinds, same, strict=True) if not alike)
    return Comparison(
        len(kinds), float(measured[worst]), kinds[worst], tuple(dict.fromkeys(otherwise)), figures
    )


def cosines(ours: Vectors, theirs: Vectors) -> npt.NDArray[np.float64]:
    """Return the cosine of each pair of rows; -1 for what is no number, 1 for two zeros."""
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    both_zero = (np.abs(a).max(axis=1) < 1e-12) & (np.abs(b).max(axis=1) < 1e-12)
    with np.errstate(invalid="ignore", divide="ignore"):
        measured = (a * b).sum(axis=1) / lengths
    return np.where(both_zero, 1.0, np.where(np.isfinite(measured), measured, -1.0))
