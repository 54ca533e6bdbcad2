"""Score pairs of texts with a cross-encoder: are they paraphrases, does one answer the other?

Embeddings are computed for each text alone; a cross-encoder (pair model) reads both texts together,
and so can tell "three days late" from "five days late". It needs a forward pass for each pair, so
candidates are found with embeddings first.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.embedder import Embedder
from edge_embed.encoding import Truncation, TruncationWarning, check_choice
from edge_embed.errors import InputError, TextTooLongError
from edge_embed.model.locate import DEFAULT_PAIR_MODEL, resolve_model
from edge_embed.model.pair_config import Activation, PairConfig
from edge_embed.model.receipt import verify_folder
from edge_embed.pairs.cosine import CosineEncoder
from edge_embed.runtime.batch import Batch
from edge_embed.runtime.chunks import run_in_chunks
from edge_embed.runtime.compile_cache import cache_folder
from edge_embed.runtime.config import Hint, InferencePrecision, RuntimeConfig
from edge_embed.runtime.encoder import load_transformer
from edge_embed.runtime.pair_graph import build_pair_graph
from edge_embed.runtime.pair_planner import PairPlanner
from edge_embed.runtime.pair_tokenizer import PairTokenizer
from edge_embed.runtime.warm_up import run_every_shape

__all__ = ["PairScorer", "Ranked", "activated"]

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Ranked:
    """A document and its score in a ranking."""

    row: int
    """Its index among the documents."""
    score: float


class PairScorer:
    """A cross-encoder on the CPU: a score for two texts. Safe to share between threads.

    >>> judge = PairScorer()
    >>> judge.predict([("The door is open", "The door is not open")])
    array([0.01], dtype=float32)
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        variant: str | None = None,
        hint: Hint | None = None,
        threads: int | None = None,
        streams: int | None = None,
        inference_precision: InferencePrecision = "f32",
        packed: bool = True,
        cache: bool | str | Path = True,
        revision: str | None = None,
        verify: bool = False,
        encoder: Embedder | None = None,
    ) -> None:
        """Load a converted cross-encoder.

        Args:
            model: A folder, a shipped model's name, or a hub id; None is the pair model that ships.
            variant: Which weights, if the folder has several; None takes INT8 first.
            hint: ``throughput`` for many pairs, ``latency`` for few; None suits both.
            threads: Inference threads; None takes as many as the process may use.
            streams: Batches computed in parallel; None follows ``hint``.
            inference_precision: Arithmetic outside the INT8 operations.
            packed: Let several pairs share one row of a batch, if the graph allows it.
            cache: Keep the compiled model on disk for the next start, as in
                :class:`~edge_embed.Embedder`.
            revision: Branch, tag or commit of a hub id.
            verify: Check every file against the hashes in the model's receipt first.
            encoder: A loaded model. If the pair model adds the cosine of this encoder to its
                output, it is used; another encoder is loaded at the first call.

        Raises:
            ModelNotFoundError: no such model.
            ModelFormatError: the folder is incomplete, damaged, or not that of a pair model.
        """
        folder = resolve_model(DEFAULT_PAIR_MODEL if model is None else model, revision=revision)
        self.config = PairConfig.from_folder(folder)
        self.variant, file = self.config.variant_file(variant)
        if verify:
            verify_folder(folder)
        self.runtime = RuntimeConfig(
            hint=hint,
            threads=threads,
            streams=streams,
            inference_precision=inference_precision,
            packed=packed,
            cache_dir=cache_folder(cache),
        )
        self.cosine: CosineEncoder | None = None
        """The encoder whose cosine is added to the output; None if the folder names none."""
        if self.config.cosine is not None:

            def load(place: Path) -> Embedder:
                return Embedder(
                    place,
                    hint=hint,
                    threads=threads,
                    streams=streams,
                    inference_precision=inference_precision,
                    packed=packed,
                    cache=cache,
                )

            self.cosine = CosineEncoder(folder, self.config.cosine, load, loaded=encoder)
        self.tokenizer = PairTokenizer(self.config)
        self.engine, rows = load_transformer(
            self.config,
            self.runtime,
            self.variant,
            file,
            self.tokenizer,
            build=build_pair_graph,
        )
        self.planner = PairPlanner(rows)

    @property
    def name(self) -> str:
        """The model's folder name."""
        return self.config.folder.resolve().name

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return self.config.labels

    @property
    def threshold(self) -> float:
        """Score from which a pair counts as a paraphrase: the folder's, else one half."""
        return 0.5 if self.config.threshold is None else self.config.threshold

    @property
    def max_seq_length(self) -> int:
        """Longest pair in tokens, special tokens included."""
        return self.config.max_seq_length

    def predict(
        self,
        pairs: Sequence[Sequence[str]] | tuple[str, str],
        *,
        batch_size: int | None = None,
        show_progress_bar: bool = False,
        activation: Activation | None = None,
        truncation: Truncation = "warn",
        cosines: npt.NDArray[np.floating[Any]] | None = None,
    ) -> Scores:
        """Score pairs. Names and meaning are those of sentence-transformers' CrossEncoder.

        Args:
            pairs: n pairs of texts; or one pair, which gives one score.
            batch_size: Most pairs of a batch; None fills batches by tokens.
            show_progress_bar: Show progress on stderr.
            activation: The function from logits to scores; None takes the folder's.
            truncation: What to do with pairs over the token limit: ``warn`` truncates the longer
                text and warns once with their number, ``error`` refuses, ``ignore`` truncates.
            cosines: For a model that adds an encoder's cosine to its output: the cosine of each
                pair if known, float (n,). None computes it, which doubles the time.

        Returns:
            float32 (n,) for a model with one output, (n, labels) for others; without the first
            dimension for one pair.

        Raises:
            InputError: an item is not two strings, or an option has no such value.
            TextTooLongError: a pair is over the limit, with ``truncation="error"``.
        """
        if batch_size is not None and batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; it must be at least 1")
        check_choice("truncation", truncation, Truncation)
        single = len(pairs) == 2 and all(isinstance(text, str) for text in pairs)
        listed: list[Any] = [pairs] if single else list(pairs)
        if cosines is not None and cosines.shape != (len(listed),):
            raise InputError(f"{len(listed)} pairs need as many cosines, not {cosines.shape}")
        logits, cut = self._logits(listed, batch_size, cosines, progress=show_progress_bar)
        if truncation == "error":
            self.refuse_cut(cut)
        if len(cut) and truncation == "warn":
            warnings.warn(
                f"{len(cut)} of {len(listed)} pairs are longer than {self.max_seq_length} tokens "
                "and were cut, the longer text first (truncation='error' refuses them)",
                TruncationWarning,
                stacklevel=2,
            )
        scores = activated(logits, activation or self.config.activation)
        if self.config.dim == 1:
            scores = scores[:, 0]
        return scores[0] if single else scores

    def rank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        top_k: int | None = None,
        batch_size: int | None = None,
        truncation: Truncation = "warn",
    ) -> list[Ranked]:
        """Order documents by the score of (query, document), highest first.

        Args:
            query: The first text of every pair.
            documents: The second texts.
            top_k: How many to return; None returns all.
            batch_size: As in :meth:`predict`.
            truncation: As in :meth:`predict`.

        Raises:
            InputError: the model has several outputs, an item is not a string, or an option has no
                such value.
        """
        if self.config.dim != 1:
            raise InputError(
                f"{self.name} gives {self.config.dim} numbers a pair "
                f"({', '.join(self.labels)}), so it cannot rank"
            )
        pairs = [(query, document) for document in documents]
        scores = self.predict(pairs, batch_size=batch_size, truncation=truncation)
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [Ranked(int(row), float(scores[row])) for row in order]

    def adds_cosine_of(self, fingerprint: str) -> bool:
        """Return whether the cosine of the encoder with this fingerprint is added to the output."""
        return self.cosine is not None and self.cosine.fingerprint == fingerprint

    def refuse_cut(self, cut: npt.NDArray[np.int64]) -> None:
        """Raise if pairs were truncated; ``cut`` holds their indices.

        Raises:
            TextTooLongError: ``cut`` is not empty.
        """
        if len(cut):
            fault = (
                f"has more tokens than the model reads, {self.max_seq_length}: shorten it, or "
                "allow the cut (truncation='warn')"
            )
            raise TextTooLongError(int(cut[0]), fault, place=f"pair {cut[0]}")

    def warm_up(self) -> None:
        """Run every input shape once, so that no later call waits for a compilation."""
        run_every_shape(self.engine, self.planner, dim=self.config.dim)
        if self.cosine is not None:
            self.cosine.embedder.warm_up()

    def _logits(
        self,
        pairs: list[Any],
        batch_size: int | None,
        cosines: npt.NDArray[np.floating[Any]] | None,
        *,
        progress: bool,
    ) -> tuple[Scores, npt.NDArray[np.int64]]:
        """Return the logits of every pair, (n, labels), and the indices of truncated pairs."""
        out = np.empty((len(pairs), self.config.dim), np.float32)
        overlaps = np.empty(len(pairs), np.float32)
        cut: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]

        def plan(part: slice) -> Iterator[Batch]:
            tokenized = self.tokenizer.pairs(pairs[part], start=part.start)
            cut.append(tokenized.truncated + part.start)
            overlaps[part] = tokenized.overlaps
            yield from self.planner.plan(tokenized.pairs, side_by_side=self.engine.requests)

        shown = "pair" if progress else None
        run_in_chunks(self.engine, plan, out, batch_size=batch_size, progress=shown)
        if self.cosine is not None and pairs:
            cosines = self.cosine.cosines(pairs) if cosines is None else cosines
            out = self.cosine.share.combined(out, cosines, overlaps)
        return out, np.concatenate(cut)


def activated(logits: Scores, activation: Activation) -> Scores:
    """Return the scores of logits, both float32 (pairs, labels).

    Raises:
        InputError: there is no such activation.
    """
    if activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)
    if activation == "softmax":
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
    if activation != "identity":
        raise InputError(
            f"unknown activation {activation!r}: choose one of identity, sigmoid, softmax"
        )
    return logits
