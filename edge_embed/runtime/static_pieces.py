"""Derive a static table from a transformer: the model's vector of each piece (vocabulary token).

Each piece is embedded once, as a text of its own, and the vectors are reduced to their principal
components. A text's vector is then the weighted mean of its pieces' vectors. Frequent pieces have
a small weight, a / (a + p), where p is the share of the piece among all (Arora et al. 2017, "A
simple but tough-to-beat baseline for sentence embeddings"). model2vec does the same with the rank
of a piece in place of its count.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge_embed.files.fork_lock import fork_safe_property
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
# Version of the cached file and of how it is made; raise it when either changes.
_VERSION = 1
# With the ending of the files that the cache may remove.
_FILE = "static.blob"
# Texts tokenized at a time.
_CHUNK = 2048


class Transformer(Protocol):
    """The parts of a loaded model, such as :class:`edge_embed.Embedder`."""

    @property
    def config(self) -> ModelConfig:
        """The folder's configuration."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Tokenizes texts."""

    @property
    def planner(self) -> BatchPlanner | StaticRows:
        """Puts texts into batches."""

    @property
    def engine(self) -> Engine | StaticEngine:
        """Computes batches."""


@dataclass(frozen=True, eq=False)
class StaticPieces:
    """The vectors of a vocabulary's pieces, before weighting."""

    config: ModelConfig
    """The configuration of the static model."""
    vectors: Floats
    """Principal components, float32 (pieces, dim); special tokens have zeros."""
    english: Floats
    """Share of each piece among all in English, by the word list that ships: float32 (pieces,)."""

    @fork_safe_property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, without its special tokens."""
        return Tokenizer(self.config, special_tokens=False)

    def engine(self, shares: Floats) -> StaticEngine:
        """Return an engine with weights by the shares of pieces, float32 (pieces,)."""
        weights = np.float32(_A) / (np.float32(_A) + shares)
        table = StaticTable(self.vectors * weights[:, None])
        return StaticEngine(table, self.config.head)

    def shares_in(self, texts: Sequence[str]) -> Floats:
        """Return the share of each piece among all in ``texts``, float32 (pieces,)."""
        return _shares(self.tokenizer, len(self.vectors), texts, np.ones(len(texts)))

    def embed(self, engine: StaticEngine, texts: Sequence[str]) -> Floats:
        """Return the vectors of texts, float32 (texts, dim)."""
        out = np.empty((len(texts), self.config.dim), np.float32)
        plan = StaticRows().plan
        run_in_chunks(engine, lambda part: plan(self.tokenizer(texts[part]).ids), out)
        return out


def static_pieces(
    config: ModelConfig, runtime: RuntimeConfig, variant: str, load: Callable[[], Transformer]
) -> StaticPieces:
    """Embed every piece of a model's vocabulary, or load the vectors from the cache.

    Embedding 30,000 pieces takes some seconds; they are cached with the compiled models.

    Args:
        config: The model's configuration.
        runtime: How it is run.
        variant: The variant of its weights.
        load: Loads the model; called if the vectors are not cached.
    """

    def make(folder: Path | None) -> tuple[Floats, Floats]:
        file = None if folder is None else folder / _FILE
        if file is not None and file.exists():
            with np.load(file, allow_pickle=False) as stored:
                return stored["vectors"].astype(np.float32), stored["english"]
        model = load()
        vectors = _principal_components(_piece_vectors(model)).astype(np.float16)
        vectors[[*model.tokenizer.before, *model.tokenizer.after]] = 0
        english = _shares_in_english(Tokenizer(config, special_tokens=False), len(vectors))
        if file is not None:
            with file.open("wb") as stream:
                np.savez(stream, vectors=vectors, english=english)
        return vectors.astype(np.float32), english  # the same values as from the cache

    origin = _Origin(config, variant, runtime.layers)
    key = f"static-{_VERSION}-{model_fingerprint(origin)[:32]}"
    root = runtime.cache_dir
    vectors, english = make(None) if root is None else cached(root, key, make)
    return StaticPieces(_static_config(config, vectors.shape[1]), vectors, english)


@dataclass(frozen=True)
class _Origin:
    """The model that a table is derived from, for :func:`model_fingerprint`."""

    config: ModelConfig
    variant: str
    layers: int | None
    derived: None = None


def _static_config(config: ModelConfig, dim: int) -> ModelConfig:
    """Return the configuration of the static model."""
    return replace(
        config,
        hidden_size=dim,
        pooling=("mean",),
        # A prompt would add the same to every text's vector.
        include_prompt=False,
        head=("normalize",) if config.normalize else (),
        truncate_dim=None,
    )


def _piece_vectors(model: Transformer) -> Floats:
    """Return the model's vector of each piece with special tokens around it, (pieces, dim)."""
    tokenizer = model.tokenizer
    ids = [
        np.array([*tokenizer.before, piece, *tokenizer.after], np.int64)
        for piece in range(tokenizer.vocabulary_size)
    ]
    out = np.empty((len(ids), model.config.dim), np.float32)
    terminal = sys.stderr is not None and sys.stderr.isatty()
    requests = model.engine.requests
    run_in_chunks(
        model.engine,
        lambda part: model.planner.plan(ids[part], side_by_side=requests),
        out,
        progress="piece" if terminal else None,
    )
    return out


def _principal_components(vectors: Floats) -> Floats:
    """Return the principal components of vectors, (n, dim), by variance, largest first.

    The vectors are centred in place.
    """
    vectors -= vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    covariance = np.zeros((vectors.shape[1], vectors.shape[1]))
    # In blocks, as all vectors in float64 would be most of the memory.
    for start in range(0, len(vectors), _CHUNK):
        block = vectors[start : start + _CHUNK].astype(np.float64)
        covariance += block.T @ block
    _, axes = np.linalg.eigh(covariance)
    axes = axes[:, ::-1][:, :_DIM]
    # The sign of an axis is arbitrary; fix it, so that the result is reproducible.
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return np.asarray(vectors @ axes.astype(np.float32), np.float32)


def _shares_in_english(tokenizer: Tokenizer, pieces: int) -> Floats:
    file = resources.files("edge_embed.runtime") / "word_counts.tsv"
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
    # With a leading space, which some vocabularies have in their pieces.
    words = [f" {word}" for word, _ in rows]
    return _shares(tokenizer, pieces, words, np.array([float(count) for _, count in rows]))


def _shares(
    tokenizer: Tokenizer, pieces: int, texts: Sequence[str], often: npt.NDArray[np.float64]
) -> Floats:
    """Count the pieces of texts, where text i occurs ``often[i]`` times: (pieces,), with sum 1."""
    counts = np.zeros(pieces, np.float64)
    for start in range(0, len(texts), _CHUNK):
        read = tokenizer(texts[start : start + _CHUNK])
        times = np.repeat(often[start : start + _CHUNK], read.lengths)
        counts += np.bincount(np.concatenate(read.ids), times, pieces)
    return np.asarray(counts / max(1.0, counts.sum()), np.float32)
