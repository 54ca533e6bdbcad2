"""A static table of a transformer: what the model says of each piece of its vocabulary alone.

Each piece is read once, as a text of its own, and the vectors are turned to their principal
components. A text's vector is then the mean of its pieces', those that occur everywhere weighted
down: a / (a + p), p the share of a piece among all (Arora et al. 2017, "A simple but tough-to-beat
baseline for sentence embeddings"). That is what model2vec distils, with counts in the place of
ranks.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge_embed.model.config import ModelConfig
from edge_embed.model.fingerprint import model_fingerprint
from edge_embed.runtime.chunks import run_in_chunks
from edge_embed.runtime.compile_cache import cached
from edge_embed.runtime.config import RuntimeConfig
from edge_embed.runtime.engine import Engine
from edge_embed.runtime.planner import BatchPlanner
from edge_embed.runtime.static_engine import StaticEngine, StaticRows, StaticTable
from edge_embed.runtime.tokenizer import Tokenizer

__all__ = ["StaticPieces", "Transformer", "static_pieces"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_DIM = 256
_A = 1e-3
# Of what is kept in the cache, with how it is made: raise it when either changes.
_VERSION = 1
# The ending by which the cache knows what it may remove.
_FILE = "static.blob"
# Texts tokenized at a time.
_CHUNK = 2048


class Transformer(Protocol):
    """A loaded model: :class:`edge_embed.Embedder` is one."""

    @property
    def config(self) -> ModelConfig:
        """What its folder says."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Reads its texts."""

    @property
    def planner(self) -> BatchPlanner | StaticRows:
        """Puts them into batches."""

    @property
    def engine(self) -> Engine | StaticEngine:
        """Computes those."""


@dataclass(frozen=True, eq=False)
class StaticPieces:
    """What a model says of each piece of its vocabulary, not weighted yet."""

    config: ModelConfig
    """Of the model, as its static table has it."""
    vectors: Floats
    """Principal components, float32 (pieces, dim); special tokens have zeros."""
    english: Floats
    """How often each piece occurs among those of English, by the list that ships: (pieces,)."""

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, without its special tokens."""
        return Tokenizer(self.config, special_tokens=False)

    def engine(self, shares: Floats) -> StaticEngine:
        """Return what embeds texts, with weights by the shares of pieces, (pieces,)."""
        weights = np.float32(_A) / (np.float32(_A) + shares)
        table = StaticTable(self.vectors * weights[:, None])
        return StaticEngine(table, self.config.head)

    def shares_in(self, texts: Sequence[str]) -> Floats:
        """Return how often each piece occurs among those of some texts, float32 (pieces,)."""
        return _shares(self.tokenizer, len(self.vectors), texts, np.ones(len(texts)))

    def embed(self, engine: StaticEngine, texts: Sequence[str]) -> Floats:
        """Return the vectors of some texts, float32 (texts, dim)."""
        out = np.empty((len(texts), self.config.dim), np.float32)
        plan = StaticRows().plan
        run_in_chunks(engine, lambda part: plan(self.tokenizer(texts[part]).ids), out)
        return out


def static_pieces(
    config: ModelConfig, runtime: RuntimeConfig, variant: str, load: Callable[[], Transformer]
) -> StaticPieces:
    """Read every piece of a model's vocabulary with it, or take what an earlier process has.

    That takes some seconds for 30,000 pieces; they are kept beside the compiled model.

    Args:
        config: What the model's folder says.
        runtime: How it is run.
        variant: Which of its weights.
        load: Loads it, where it must be asked.
    """

    def make(folder: Path | None) -> tuple[Floats, Floats]:
        file = None if folder is None else folder / _FILE
        if file is not None and file.exists():
            with np.load(file, allow_pickle=False) as stored:
                return stored["vectors"].astype(np.float32), stored["english"]
        model = load()
        vectors = _principal_components(_read_alone(model)).astype(np.float16)
        vectors[[*model.tokenizer.before, *model.tokenizer.after]] = 0
        english = _shares_in_english(Tokenizer(config, special_tokens=False), len(vectors))
        if file is not None:
            with file.open("wb") as stream:
                np.savez(stream, vectors=vectors, english=english)
        return vectors.astype(np.float32), english  # as a process has it that reads the cache

    origin = _Origin(config, variant, runtime.layers)
    key = f"static-{_VERSION}-{model_fingerprint(origin)[:32]}"
    root = runtime.cache_dir
    vectors, english = make(None) if root is None else cached(root, key, make)
    return StaticPieces(_static_config(config, vectors.shape[1]), vectors, english)


@dataclass(frozen=True)
class _Origin:
    """What tells a model from others."""

    config: ModelConfig
    variant: str
    layers: int | None
    derived: None = None


def _static_config(config: ModelConfig, dim: int) -> ModelConfig:
    """Return what a model's folder would say of its static table."""
    return replace(
        config,
        hidden_size=dim,
        pooling=("mean",),
        # The same for every text, a prompt would only make them more alike.
        include_prompt=False,
        head=("normalize",) if config.normalize else (),
        truncate_dim=None,
    )


def _read_alone(model: Transformer) -> Floats:
    """Return the model's vector of each piece, special tokens around it: (pieces, dim)."""
    tokenizer = model.tokenizer
    ids = [
        np.array([*tokenizer.before, piece, *tokenizer.after], np.int64)
        for piece in range(tokenizer.vocabulary_size)
    ]
    out = np.empty((len(ids), model.config.dim), np.float32)
    seen = sys.stderr is not None and sys.stderr.isatty()
    requests = model.engine.requests
    run_in_chunks(
        model.engine,
        lambda part: model.planner.plan(ids[part], side_by_side=requests),
        out,
        progress="piece" if seen else None,
    )
    return out


def _principal_components(vectors: Floats) -> Floats:
    """Return the first components of vectors around their mean, (n, dim), greatest first."""
    centred = vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    _, axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    axes = axes[:, ::-1][:, :_DIM]
    # Either direction of an axis is one; the same everywhere.
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return np.asarray(centred @ axes.astype(np.float32), np.float32)


def _shares_in_english(tokenizer: Tokenizer, pieces: int) -> Floats:
    file = resources.files("edge_embed.runtime") / "word_counts.tsv"
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
    # After a space, as vocabularies that have it in their pieces count the word.
    words = [f" {word}" for word, _ in rows]
    return _shares(tokenizer, pieces, words, np.array([float(count) for _, count in rows]))


def _shares(
    tokenizer: Tokenizer, pieces: int, texts: Sequence[str], often: npt.NDArray[np.float64]
) -> Floats:
    """Count the pieces of texts, text i being there ``often[i]`` times: (pieces,), of sum 1."""
    counts = np.zeros(pieces, np.float64)
    for start in range(0, len(texts), _CHUNK):
        read = tokenizer(texts[start : start + _CHUNK])
        times = np.repeat(often[start : start + _CHUNK], read.lengths)
        counts += np.bincount(np.concatenate(read.ids), times, pieces)
    return np.asarray(counts / max(1.0, counts.sum()), np.float32)
