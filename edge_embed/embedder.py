"""The library's front door: texts in, vectors out."""

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from edge_embed.encoding import (
    Encoded,
    Truncation,
    TruncationWarning,
    check_choice,
    finish,
    prepare,
    truncation_message,
)
from edge_embed.errors import InputError, TextError
from edge_embed.hardware.machine import instructions
from edge_embed.model.card import ModelCard
from edge_embed.model.config import ModelConfig
from edge_embed.model.consistency import check_consistency
from edge_embed.model.locate import resolve_model
from edge_embed.model.precision import Precision, Ranges
from edge_embed.model.receipt import verify_folder
from edge_embed.runtime.batch import Batch
from edge_embed.runtime.compile_cache import default_cache_dir, prune
from edge_embed.runtime.config import Hint, InferencePrecision, RuntimeConfig
from edge_embed.runtime.engine import Engine
from edge_embed.runtime.planner import BatchPlanner
from edge_embed.runtime.text_checks import check_texts
from edge_embed.runtime.text_warnings import ReadingGuard, TextWarning
from edge_embed.runtime.tokenizer import Tokenizer
from edge_embed.sentence_transformers_api import (
    OutputValue,
    SentenceTransformersApi,
    as_tensors,
    check_arguments,
)
from edge_embed.vectors import similarities

__all__ = ["Embedder", "Encoded"]

Vectors = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]

# Texts tokenized at a time: enough to fill batches of equal length, few enough that the first
# batch starts at once and memory stays flat.
_CHUNK = 2048


class Embedder(SentenceTransformersApi):
    """A sentence-embedding model on the CPU.

    >>> model = Embedder("my-model")
    >>> model.encode(["Reset my password", "Opening hours"]).shape
    (2, 384)

    ``encode`` may be called from several threads at once. Vectors do not depend on batch size,
    order or threads (beyond rounding). A process that was forked from one with a model compiles it
    anew at its first call; a model that is pickled is loaded again from the same folder or name.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        variant: str | None = None,
        hint: Hint = "throughput",
        threads: int | None = None,
        streams: int | None = None,
        inference_precision: InferencePrecision = "f32",
        layers: int | None = None,
        packed: bool = True,
        cache: bool | str | Path = True,
        warm_up: bool = False,
        revision: str | None = None,
        verify: bool = False,
    ) -> None:
        """Load a model.

        Args:
            model: A model folder, a shipped model's name, or a hub id; None is the model that
                ships with the package.
            variant: Which weights, where the folder has several: ``int8``, ``w8``, ``fp16`` or
                ``fp32``. None takes the first of these that is there.
            hint: ``throughput`` for bulk, ``latency`` for single queries.
            threads: Inference threads; None takes what the process may use.
            streams: Batches computed side by side, at most one a thread; None lets the hint decide.
            inference_precision: Arithmetic outside the INT8 part. ``bf16`` and ``f16`` are faster
                where the processor has them, and make vectors differ between machines.
            layers: End after so many layers, at an exit that the model was trained with (its
                folder names them): faster, a little less exact. None computes the whole model.
            packed: Put several texts side by side in a row, which is faster; where the model's
                graph does not allow it, each text has a row of its own.
            cache: Keep the compiled model for the next start: True uses the user's cache folder
                (of which it keeps what was used last, 256 MiB), a path another one, False none.
            warm_up: Call :meth:`warm_up` at once.
            revision: Branch, tag or commit of a hub id.
            verify: Check every file against the hashes in the model's receipt first.

        Raises:
            ModelNotFoundError: no such model.
            ModelFormatError: the folder is incomplete or damaged.
            InputError: an option has no such value.
        """
        # What another process makes the same model of; see __getstate__.
        self._arguments = {name: value for name, value in locals().items() if name != "self"}
        folder = resolve_model(model, revision=revision)
        if model is not None and Path(model).is_dir():
            self._arguments["model"] = str(folder.resolve())
        self.config = ModelConfig.from_folder(folder)
        self.variant, file = self.config.variant_file(variant)
        if verify:
            verify_folder(folder)
        cache_dir = default_cache_dir() if cache is True else Path(cache) if cache else None
        if cache is True and cache_dir is None:
            warnings.warn(
                "compiled models are not cached, every start will be slower: there is no home "
                "folder; set XDG_CACHE_HOME, or leave the cache out (cache=False, --no-cache)",
                stacklevel=2,
            )
        self.runtime = RuntimeConfig(
            hint=hint,
            threads=threads,
            streams=streams,
            inference_precision=inference_precision,
            layers=layers,
            packed=packed,
            cache_dir=cache_dir,
        )
        self.tokenizer = Tokenizer(self.config)
        self.engine = Engine(self.config, self.runtime, file=file)
        check_consistency(
            self.config,
            self.engine.tables,
            graph=file,
            highest_id=lambda: self.tokenizer.vocabulary_size - 1,
            pad_id=self.tokenizer.pad_id,
        )
        if cache is True and cache_dir is not None:
            prune(cache_dir)
        self.planner = BatchPlanner(
            max_length=self.max_seq_length,
            pad_id=self.config.pad_token_id,
            packed=self.engine.packed,
            # AMX multiplies 16 rows of INT8 at once, AVX any number.
            tile=16 if self.variant == "int8" and "amx_int8" in instructions() else 4,
        )
        self.ranges = Ranges.load(folder, dim=self.config.dim)
        self.card = ModelCard.from_folder(folder)
        self._warned: set[str] = set()
        if warm_up:
            self.warm_up()

    def __getstate__(self) -> dict[str, Any]:
        """Pickle as the arguments that it was made with; whoever unpickles it loads the model."""
        return {"arguments": self._arguments, "ranges": self.ranges}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Load the model, from the same folder or name as the one that was pickled."""
        self.__init__(**state["arguments"])  # type: ignore[misc]
        self.ranges = state["ranges"]

    @property
    def layers(self) -> int | None:
        """After how many layers the model ends; None is the whole model."""
        return self.runtime.layers

    @property
    def dim(self) -> int:
        """Number of dimensions of a vector."""
        return self.config.dim

    @property
    def max_seq_length(self) -> int:
        """Longest text in tokens, special tokens included.

        Raises:
            InputError: another is set; it is the model folder that says it.
        """
        return self.config.max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, tokens: int) -> None:
        if tokens != self.config.max_seq_length:
            raise InputError(
                f"max_seq_length cannot be set to {tokens}: the model folder says "
                f"{self.config.max_seq_length} (sentence_bert_config.json)"
            )

    def encode(
        self,
        inputs: str | Sequence[str] | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        output_value: OutputValue | None = "sentence_embedding",
        precision: Precision = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: str | Sequence[str] | None = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        pool: Mapping[str, Any] | None = None,
        chunk_size: int | None = None,
        *,
        sentences: str | Sequence[str] | None = None,
        truncation: Truncation = "warn",
        normalize: bool = False,
        dim: int | None = None,
        show_progress: bool = False,
    ) -> npt.NDArray[Any]:
        """Embed one text or several. Names and meaning are those of sentence-transformers.

        Args:
            inputs: One text gives one vector, shape (dim,); a sequence gives (n, dim).
            prompt_name: Name of one of the model's prompts, put before each text.
            prompt: Text put before each text; wins over ``prompt_name``.
            batch_size: Most texts computed together; None fills batches by tokens, which is faster.
            show_progress_bar: Show progress on stderr.
            output_value: ``sentence_embedding``; nothing else is offered.
            precision: Type of the result; see
                :func:`~edge_embed.model.precision.quantize_embeddings`. int8 and uint8 use the
                ranges stored with the model.
            convert_to_numpy: True gives an array; False gives tensors as ``convert_to_tensor``.
            convert_to_tensor: Give a tensor, where the program has imported torch itself.
            device: ``cpu`` or None; others are refused.
            normalize_embeddings: Scale vectors to unit length (after ``truncate_dim``).
            truncate_dim: Keep the first so many dimensions.
            pool: Accepted for sentence-transformers' sake: threads share the work already.
            chunk_size: The same.
            sentences: What ``inputs`` was called before sentence-transformers 6.
            truncation: What to do about texts over the token limit: ``warn`` cuts them and warns
                once with their number, ``error`` refuses, ``ignore`` cuts them.
            normalize: Short for ``normalize_embeddings``.
            dim: Short for ``truncate_dim``.
            show_progress: Short for ``show_progress_bar``.

        Returns:
            float32 (n, dim), or the type that ``precision`` names. No texts give shape (0, dim).

        Raises:
            InputError: an item is no text, or an option has no such value.
        """
        check_arguments(
            output_value=output_value,
            convert_to_numpy=convert_to_numpy,
            convert_to_tensor=convert_to_tensor,
            device=device,
        )
        texts = sentences if inputs is None else inputs
        if texts is None:
            raise InputError("no texts are given: encode(texts)")
        encoded = self.encode_detailed(
            [texts] if isinstance(texts, str) else texts,
            prompt=self.prompt(prompt, name=prompt_name),
            batch_size=batch_size,
            show_progress=show_progress or bool(show_progress_bar),
            precision=precision,
            normalize=normalize or normalize_embeddings,
            dim=dim if dim is not None else truncate_dim,
            truncation=truncation,
        )
        return as_tensors(  # type: ignore[no-any-return]
            encoded.vectors[0] if isinstance(texts, str) else encoded.vectors,
            convert_to_numpy=convert_to_numpy,
            convert_to_tensor=convert_to_tensor,
        )

    def encode_detailed(
        self,
        texts: Sequence[str],
        *,
        prompt: str = "",
        batch_size: int | None = None,
        show_progress: bool = False,
        precision: Precision = "float32",
        normalize: bool = False,
        dim: int | None = None,
        truncation: Truncation = "ignore",
    ) -> Encoded:
        """Embed texts and return what :meth:`encode` only warns about.

        Options mean what they mean there.

        Raises:
            InputError: an item is no text or too long, or an option has no such value.
        """
        texts = list(texts)
        check_choice("precision", precision, Precision)
        check_choice("truncation", truncation, Truncation)
        self.check_dim(dim)
        if batch_size is not None and batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; it must be at least 1")
        call = _Call(prompt, batch_size, show_progress, truncation)
        rows = _distinct(texts)
        try:
            vectors, lengths, full_lengths = self._embed(list(rows), call)
        except TextError as error:
            refused = list(rows)[error.index]
            raise error.numbered(texts.index(refused)) from None
        if len(rows) < len(texts):  # exact repeats were embedded once
            index = [rows[text] for text in texts]
            vectors, lengths, full_lengths = vectors[index], lengths[index], full_lengths[index]
        result = finish(
            vectors, dim=dim, normalize=normalize, precision=precision, ranges=self.ranges
        )
        encoded = Encoded(result, lengths, full_lengths)
        if truncation == "warn" and len(encoded.truncated):
            warnings.warn(
                truncation_message(len(encoded.truncated), len(texts), self.max_seq_length),
                TruncationWarning,
                stacklevel=3,
            )
        return encoded

    def similarity(
        self, first: npt.NDArray[Any] | Sequence[str], second: npt.NDArray[Any] | Sequence[str]
    ) -> Vectors:
        """Compare each pair, float32 (len(first), len(second)): more is more alike.

        It is the cosine, or what the model's folder says (``similarity_fn_name``): the dot product,
        or the negative Euclidean or Manhattan distance.

        Args:
            first: Vectors (n, dim) or (dim,), or texts.
            second: The same.
        """
        a, b = self._vectors(first), self._vectors(second)
        if a.shape[1] != b.shape[1]:
            raise InputError(f"cannot compare vectors of {a.shape[1]} and {b.shape[1]} dimensions")
        return similarities(a, b, self.config.similarity)

    def tokenize(self, texts: Sequence[str]) -> list[list[str]]:
        """Return each text's pieces as the model reads them: cut at the limit."""
        return self.tokenizer.tokens(texts)

    def count_tokens(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return each whole text's number of tokens, special tokens included, before any cut."""
        return self.tokenizer.count(texts)

    def warm_up(self) -> None:
        """Run every shape that a call may need, so that no later call waits for a compilation.

        Takes seconds: a packed model has some thirty shapes, a padded one some hundred.
        """
        for batch in self.planner.warm_up():
            out = np.empty((len(batch.texts), self.dim), np.float32)
            self.engine.run([batch] * self.engine.requests, out)  # each request has its own cache

    def fit_ranges(self, texts: Sequence[str]) -> Ranges:
        """Fit int8 ranges on representative texts and use them from now on.

        ``model.fit_ranges(texts).save(model.config.folder)`` stores them with the model.
        """
        self.ranges = Ranges.fit(self.encode(texts))
        return self.ranges

    def _embed(self, texts: list[str], call: "_Call") -> tuple[Vectors, Counts, Counts]:
        """Embed distinct texts; return vectors (n, dim), tokens read and whole tokens."""
        out = np.empty((len(texts), self.dim), np.float32)
        lengths, full_lengths = np.empty((2, len(texts)), np.int64)
        prompt_length = self.prompt_length(call.prompt)
        size = min(call.batch_size or _CHUNK, _CHUNK)
        guard = ReadingGuard(self.card.languages)

        def batches() -> Iterator[Batch]:
            """Tokenize chunk by chunk and yield batches, while earlier ones are computed."""
            for start in range(0, len(texts), size):
                some = texts[start : start + size]
                tokenized = prepare(
                    self.tokenizer,
                    some,
                    prompt=call.prompt,
                    truncation=call.truncation,
                    first=start,
                )
                guard.add(some, tokenized)
                chunk = slice(start, start + size)
                lengths[chunk], full_lengths[chunk] = tokenized.lengths, tokenized.full_lengths
                for batch in self.planner.plan(
                    tokenized.ids, prompt_length=prompt_length, side_by_side=self.engine.requests
                ):
                    yield replace(batch, texts=batch.texts + start)
                    if bar is not None:
                        bar.update(len(batch.texts))

        # A bar that is not shown would still take as long as half a tokenization of a query.
        with _progress(len(texts)) if call.show_progress else nullcontext() as bar:
            self.engine.run(batches(), out)
        for kind, message in guard.messages():
            if kind not in self._warned:  # once a model: a server would say it at every request
                self._warned.add(kind)
                warnings.warn(message, TextWarning, stacklevel=4)
        return out, lengths, full_lengths

    def prompt(self, prompt: str | None = None, *, name: str | None = None) -> str:
        """Return the text put before each input: as given, by its name, or the model's default.

        Raises:
            InputError: the model has no prompt of this name.
        """
        if prompt is not None:
            return prompt
        if name is None:
            name = self.config.default_prompt_name
        if name is None:
            return ""
        if name not in self.config.prompts:
            known = ", ".join(self.config.prompts) or "none"
            raise InputError(f"the model has no prompt {name!r}; it has: {known}")
        return self.config.prompts[name]

    def prompt_length(self, prompt: str) -> int:
        """Return how many leading tokens of each text with ``prompt`` pooling leaves out."""
        return 0 if self.config.include_prompt else self.tokenizer.prompt_length(prompt)

    def check_dim(self, dim: int | None) -> None:
        """Refuse to keep more dimensions than a vector has, or none; None keeps all.

        Raises:
            InputError: ``dim`` is not from 1 to :attr:`dim`.
        """
        if dim is not None and not 1 <= dim <= self.dim:
            raise InputError(f"cannot keep {dim} dimensions: choose from 1 to {self.dim}")

    def _vectors(self, side: npt.NDArray[Any] | Sequence[str] | str) -> Vectors:
        if isinstance(side, np.ndarray):
            return np.atleast_2d(side).astype(np.float32)
        return np.atleast_2d(self.encode(side))


@dataclass(frozen=True)
class _Call:
    """What one call asks for, besides its texts."""

    prompt: str
    batch_size: int | None
    show_progress: bool
    truncation: Truncation


def _distinct(texts: Sequence[str]) -> dict[str, int]:
    """Number the distinct texts, in order."""
    try:
        return {text: row for row, text in enumerate(dict.fromkeys(texts))}
    except TypeError:  # such as a list among the texts
        check_texts(texts)
        raise


def _progress(total: int) -> "tqdm[NoReturn]":
    absent = sys.stderr is None  # a daemon or a windowed program
    return tqdm(total=total, unit="text", leave=False, file=sys.stderr, disable=absent)
