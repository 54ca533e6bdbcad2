"""Compare a converted model, as the runtime runs it, with sentence-transformers.

Averages over many ordinary texts hide a fault that only one kind of text shows (empty, long, odd
characters), so each text has a named kind, figures are given by kind, and the worst is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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
    "REPEATED_KIND",
    "Comparison",
    "KindFigures",
    "Sample",
    "Truth",
    "cosines",
    "prompted_samples",
    "runtime_vectors",
    "same_as_source",
    "samples_of",
]

Vectors = npt.NDArray[np.float32]

COSINE_FLOOR = 0.9999
"""Lowest accepted cosine between an FP32 vector and its source's, for every text."""

REPEATED_KIND = "one word repeated"
"""The kind of a text whose vector rounding may move far, whatever is rounded: its tokens differ in
their positions alone."""

_ORDINARY_KIND = "an ordinary text"
_ORDINARY = 40
_PROMPTED = 5
# Longest text in tokens, also for models with a limit of 8,192: long enough to pass 512, from which
# on the runtime's shapes differ, and short enough for every conversion.
_LONGEST = 640


class Sample(NamedTuple):
    """A text to compare vectors of."""

    kind: str
    text: str
    prompt: str = ""

    @property
    def whole(self) -> str:
        """What the tokenizer reads."""
        return self.prompt + self.text


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
    """The lowest cosine."""
    worst: str
    """The kind of the text with the lowest cosine."""
    tokenized_otherwise: tuple[str, ...]
    """The kinds of texts that transformers' tokenizer splits into other tokens than tokenizer.json
    does. For these, sentence-transformers' vectors are made from the tokens of tokenizer.json."""
    kinds: Mapping[str, KindFigures]
    """Figures by kind of text."""

    @property
    def same(self) -> bool:
        """Whether every text has the vector of the source."""
        return self.lowest >= COSINE_FLOOR


def samples_of(config: ModelConfig) -> list[Sample]:
    """Return texts of every kind, sized by the model's token limit."""
    ordinary = shipped_texts("evaluation").texts
    samples = [Sample(_ORDINARY_KIND, text) for text in ordinary[:_ORDINARY]]
    samples += [Sample("an empty text", ""), Sample("a text of spaces", "  \n ")]
    for text in filter(str.strip, PARITY_TEXTS):
        repeated = len(set(text.split())) == 1 < len(text.split())
        samples.append(Sample(REPEATED_KIND if repeated else "odd characters", text))
    written_out = "one <pad> two [PAD] three </s> [SEP] four <s> five"
    samples.append(Sample("special tokens written out", written_out))
    words = " ".join(ordinary).split()
    limit = min(config.max_seq_length, _LONGEST)
    tokenizer = Tokenizer(config)
    per_word = float(tokenizer.count([" ".join(words)])[0]) / len(words)
    for kind, share in (("a text near the limit", 0.9), ("a text over the limit", 1.3)):
        count = int(limit * share / per_word)
        name = kind if limit == config.max_seq_length else "a long text"
        samples.append(Sample(name, " ".join((words * (count // len(words) + 1))[:count])))
    return samples


def prompted_samples(config: ModelConfig) -> list[Sample]:
    """Return a few texts with each of the model's prompts."""
    texts = ("", *shipped_texts("evaluation").texts[:_PROMPTED])
    return [
        Sample(f"the prompt {name!r}", text, prompt)
        for name, prompt in config.prompts.items()
        for text in texts
        if prompt
    ]


def runtime_vectors(
    config: ModelConfig,
    file: Path,
    texts: Sequence[str],
    *,
    packed: bool = True,
    layers: int | None = None,
) -> tuple[Vectors, bool]:
    """Embed texts as the runtime does.

    Args:
        config: The model folder's configuration.
        file: The graph (.xml) to run.
        texts: The texts, without a prompt.
        packed: Let several texts share a row, where the graph supports it.
        layers: The number of layers of an early exit; None runs all layers.

    Returns:
        Vectors, float32 (texts, dim), and whether rows were packed.
    """
    engine = Engine(config, RuntimeConfig(packed=packed, layers=layers), file=file)
    ids = Tokenizer(config)(texts).ids
    planner = BatchPlanner(
        max_length=config.max_seq_length, pad_id=config.pad_token_id, packed=engine.packed
    )
    vectors = np.empty((len(texts), config.dim), np.float32)
    engine.run(planner.plan(ids), vectors)
    return vectors, engine.packed


def same_as_source(config: ModelConfig, ours: Vectors, pipeline: Pipeline) -> Comparison:
    """Compare a converted folder with its source in sentence-transformers.

    Args:
        config: The folder's configuration.
        ours: The runtime's vectors of :func:`samples_of`, float32 (texts, dim).
        pipeline: The source.

    Raises:
        EdgeEmbedError: sentence-transformers cannot run the source, tokenizes ordinary texts
            differently, or gives vectors of another width.
    """
    return Truth.of(pipeline, config, samples_of(config)).compare(ours)


@dataclass(frozen=True)
class Truth:
    """The reference vectors of some texts, made by sentence-transformers."""

    samples: tuple[Sample, ...]
    vectors: Vectors
    """Float32 (texts, dim)."""
    otherwise: tuple[bool, ...]
    """Which texts its tokenizer splits into other tokens than tokenizer.json does."""

    @classmethod
    def of(cls, pipeline: Pipeline, config: ModelConfig, samples: Sequence[Sample]) -> "Truth":
        """Embed ``samples`` with sentence-transformers.

        Where its tokenizer and the model's tokenizer.json give different tokens, the text is
        embedded from the tokens of tokenizer.json: the rest of the pipeline is still compared, and
        the difference is reported as one of the tokenizer.

        Raises:
            EdgeEmbedError: sentence-transformers cannot run the source, or tokenizes more than
                half of the ordinary texts differently.
        """
        vectors = np.concatenate(
            [pipeline.vectors([sample.text], prompt=sample.prompt) for sample in samples]
        )
        whole = [sample.whole for sample in samples]
        ids = [ids.tolist() for ids in Tokenizer(config)(whole).ids]
        otherwise = [a != b for a, b in zip(ids, pipeline.token_ids(whole), strict=True)]
        _refuse_other_tokens(pipeline, samples, otherwise)
        for row in np.flatnonzero(otherwise):
            vectors[row] = pipeline.vector_of_tokens(ids[row])
        return cls(tuple(samples), vectors, tuple(otherwise))

    def compare(self, ours: Vectors) -> Comparison:
        """Compare vectors of the same texts, float32 (texts, dim).

        Raises:
            EdgeEmbedError: their number of dimensions is another than the reference's.
        """
        if self.vectors.shape != ours.shape:
            raise EdgeEmbedError(
                f"the converted model has vectors of {ours.shape[1]} dimensions, "
                f"sentence-transformers gives {self.vectors.shape[1]}"
            )
        measured = cosines(ours, self.vectors)
        worst = int(measured.argmin())
        rows: dict[str, list[int]] = {}
        for row, sample in enumerate(self.samples):
            rows.setdefault(sample.kind, []).append(row)
        figures = {
            kind: KindFigures(len(at), float(measured[at].mean()), float(measured[at].min()))
            for kind, at in rows.items()
        }
        other = (self.samples[row].kind for row in np.flatnonzero(self.otherwise))
        return Comparison(
            len(self.samples),
            float(measured[worst]),
            self.samples[worst].kind,
            tuple(dict.fromkeys(other)),
            figures,
        )


def _refuse_other_tokens(
    pipeline: Pipeline, samples: Sequence[Sample], otherwise: Sequence[bool]
) -> None:
    """Refuse a source if sentence-transformers tokenizes most texts unlike its tokenizer.json."""
    ordinary = [
        other
        for sample, other in zip(samples, otherwise, strict=True)
        if sample.kind == _ORDINARY_KIND
    ]
    if ordinary and sum(ordinary) > len(ordinary) / 2:
        raise EdgeEmbedError(
            f"{pipeline.library} cuts {sum(ordinary)} of {len(ordinary)} ordinary texts into other "
            f"tokens than tokenizer.json of {pipeline.name} does: its settings ask for more than "
            "that file says, so vectors would differ"
        )


def cosines(ours: Vectors, theirs: Vectors) -> npt.NDArray[np.float64]:
    """Return the cosine of each pair of rows, float64 (rows,).

    It is -1 where a row holds NaN or infinity or only one of the two is zero, and 1 where both are.
    """
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    both_zero = (np.abs(a).max(axis=1) < 1e-12) & (np.abs(b).max(axis=1) < 1e-12)
    with np.errstate(invalid="ignore", divide="ignore"):
        measured = (a * b).sum(axis=1) / lengths
    return np.where(both_zero, 1.0, np.where(np.isfinite(measured), measured, -1.0))
