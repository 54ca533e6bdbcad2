"""The main class of the library, :class:`Embedder`: texts to vectors."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.encoding import (
    Encoded,
    Truncation,
    TruncationWarning,
    check_choice,
    distinct,
    finish,
    prepare,
    truncation_message,
)
from edge_embed.errors import InputError, TextError
from edge_embed.model.card import ModelCard
from edge_embed.model.config import ModelConfig
from edge_embed.model.locate import resolve_model
from edge_embed.model.precision import Precision, Ranges
from edge_embed.model.receipt import verify_folder
from edge_embed.runtime.batch import Batch
from edge_embed.runtime.chunks import run_in_chunks
from edge_embed.runtime.compile_cache import cache_folder, prune
from edge_embed.runtime.config import Hint, InferencePrecision, RuntimeConfig
from edge_embed.runtime.encoder import load_encoder
from edge_embed.runtime.text_warnings import ReadingGuard, TextWarning
from edge_embed.runtime.warm_up import run_every_shape
from edge_embed.sentence_transformers_api import (
    OutputValue,
    SentenceTransformersApi,
    as_tensors,
    check_arguments,
)

__all__ = ["Embedder", "Encoded"]

Vectors = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]


class Embedder(SentenceTransformersApi):
    """A sentence-embedding model on the CPU.

    >>> model = Embedder("my-model")
    >>> model.encode(["Reset my password", "Opening hours"]).shape
    (2, 384)

    ``encode`` may be called from several threads at once. Vectors do not depend on batch size,
    order or threads (beyond rounding). A forked process compiles the model again at its first call;
    a pickled model is stored as its arguments and loaded again from the same folder or name.
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
            variant: Which weights, if the folder has several: ``int8``, ``w8``, ``fp16`` or
                ``fp32``; None takes the first of these that the folder has. ``static`` derives a
                vector for each token from the model, once, and a text's vector is their mean: tens
                of thousands of texts a second, much less exact, and not comparable with vectors of
                the other variants.
            hint: ``throughput`` for many texts, ``latency`` for single queries; None suits both, by
                a rule or as ``edge-embed bench tune`` has measured on this machine.
            threads: Inference threads; None takes as many as the process may use.
            streams: Batches computed in parallel, at most one a thread; None follows ``hint``.
            inference_precision: Arithmetic outside the INT8 operations. ``bf16`` and ``f16`` are
                faster on processors that support them; vectors then differ between machines.
            layers: The number of layers of one of the model's early exits: faster, less exact. None
                runs all layers.
            packed: Let several short texts share one row of a batch, which is faster. Ignored if
                the model's graph does not allow it.
            cache: Keep the compiled model on disk for the next start: True in the user's cache
                folder (at most 256 MiB, least recently used removed first), a path in that folder,
                False nowhere.
            warm_up: Call :meth:`warm_up` at once.
            revision: Branch, tag or commit of a hub id.
            verify: Check every file against the hashes in the model's receipt first.

        Raises:
            ModelNotFoundError: no such model.
            ModelFormatError: the folder is incomplete or damaged.
            InputError: an option has no such value.
        """
        # For pickling, see __getstate__.
        self._arguments = {name: value for name, value in locals().items() if name != "self"}
        folder = resolve_model(model, revision=revision)
        if model is not None and Path(model).is_dir():
            self._arguments["model"] = str(folder.resolve())
        self.config = ModelConfig.from_folder(folder)
        self.variant, file = self.config.variant_file(variant)
        if verify:
            verify_folder(folder)
        cache_dir = cache_folder(cache)
        self.runtime = RuntimeConfig(
            hint=hint,
            threads=threads,
            streams=streams,
            inference_precision=inference_precision,
            layers=layers,
            packed=packed,
            cache_dir=cache_dir,
        )
        loaded = load_encoder(self.config, self.runtime, self.variant, file)
        self.config, self.tokenizer = loaded.config, loaded.tokenizer
        self.engine, self.planner = loaded.engine, loaded.planner
        self.derived = loaded.derived
        """A hash of the table of the variant ``static``; None for all others."""
        if cache is True and cache_dir is not None:
            prune(cache_dir)
        # The folder's ranges do not hold for vectors of the derived table.
        derived = self.derived is not None
        self.ranges = None if derived else Ranges.load(folder, dim=self.config.dim)
        self.card = ModelCard.from_folder(folder)
        self._warned: set[str] = set()
        if warm_up:
            self.warm_up()

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the constructor's arguments; unpickling loads the model."""
        return {"arguments": self._arguments, "ranges": self.ranges}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Load the model from the folder or name of the pickled one."""
        self.__init__(**state["arguments"])  # type: ignore[misc]
        self.ranges = state["ranges"]

    @property
    def layers(self) -> int | None:
        """How many layers are computed; None is all of them."""
        return self.runtime.layers

    @property
    def dim(self) -> int:
        """Number of dimensions of a vector."""
        return self.config.dim

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
            inputs: A string gives one vector, shape (dim,); a sequence of n gives (n, dim).
            prompt_name: Name of one of the model's prompts, prepended to each text.
            prompt: Prompt prepended to each text; overrides ``prompt_name``.
            batch_size: Most texts of a batch; None fills batches by tokens, which is faster.
            show_progress_bar: Show progress on stderr.
            output_value: ``sentence_embedding``; nothing else is offered.
            precision: Type of the result; see
                :func:`~edge_embed.model.precision.quantize_embeddings`. int8 and uint8 use the
                ranges stored with the model.
            convert_to_numpy: True returns an array; False a list of tensors, one a text.
            convert_to_tensor: Return one tensor; the program must have imported torch itself.
            device: ``cpu`` or None; others are refused.
            normalize_embeddings: Scale vectors to unit length (after ``truncate_dim``).
            truncate_dim: The number of leading dimensions to keep; None is all.
            pool: Ignored, as threads share the work already; for sentence-transformers' interface.
            chunk_size: Ignored likewise.
            sentences: The former name of ``inputs``, before sentence-transformers 6.
            truncation: What to do with texts over the token limit: ``warn`` truncates and warns
                once a call with their number, ``error`` refuses, ``ignore`` truncates.
            normalize: Short for ``normalize_embeddings``.
            dim: Short for ``truncate_dim``.
            show_progress: Short for ``show_progress_bar``.

        Returns:
            float32 (n, dim), or the type that ``precision`` names. No texts give shape (0, dim).

        Raises:
            InputError: an item is not a string, or an option has no such value.
            TextTooLongError: a text is over the limit, with ``truncation="error"``.
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
        """Embed texts and return vectors with token counts, of which :meth:`encode` only warns.

        The options are those of :meth:`encode`.

        Raises:
            InputError: an item is not a string or too long, or an option has no such value.
        """
        texts = list(texts)
        check_choice("precision", precision, Precision)
        check_choice("truncation", truncation, Truncation)
        self.check_dim(dim)
        if batch_size is not None and batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; it must be at least 1")
        rows = distinct(texts)
        try:
            vectors, lengths, full_lengths = self._embed(
                list(rows),
                prompt=prompt,
                truncation=truncation,
                batch_size=batch_size,
                progress=show_progress,
            )
        except TextError as error:
            refused = list(rows)[error.index]
            raise error.numbered(texts.index(refused)) from None
        if len(rows) < len(texts):  # equal texts were embedded once
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

    def warm_up(self) -> None:
        """Run every input shape once, so that no later call waits for a compilation.

        It takes seconds: a packed model has about thirty shapes, a padded one about a hundred.
        """
        run_every_shape(self.engine, self.planner, dim=self.dim)

    def fit_ranges(self, texts: Sequence[str]) -> Ranges:
        """Fit int8 ranges on representative texts, use them from now on, and return them.

        ``model.fit_ranges(texts).save(model.config.folder)`` stores them with the model.
        """
        self.ranges = Ranges.fit(self.encode(texts))
        return self.ranges

    def _embed(
        self,
        texts: list[str],
        *,
        prompt: str,
        truncation: Truncation,
        batch_size: int | None,
        progress: bool,
    ) -> tuple[Vectors, Counts, Counts]:
        """Embed distinct texts; return vectors (n, dim), tokens read, and tokens untruncated."""
        out = np.empty((len(texts), self.dim), np.float32)
        lengths, full_lengths = np.empty((2, len(texts)), np.int64)
        prompt_length = self.prompt_length(prompt)
        guard = ReadingGuard(self.card.languages)

        def plan(part: slice) -> Iterator[Batch]:
            some = texts[part]
            tokenized = prepare(
                self.tokenizer, some, prompt=prompt, truncation=truncation, first=part.start
            )
            guard.add(some, tokenized)
            lengths[part], full_lengths[part] = tokenized.lengths, tokenized.full_lengths
            return self.planner.plan(
                tokenized.ids, prompt_length=prompt_length, side_by_side=self.engine.requests
            )

        shown = "text" if progress else None
        run_in_chunks(self.engine, plan, out, batch_size=batch_size, progress=shown)
        for kind, message in guard.messages():
            if kind not in self._warned:  # once a model, not at every call
                self._warned.add(kind)
                warnings.warn(message, TextWarning, stacklevel=4)
        return out, lengths, full_lengths

    def prompt_length(self, prompt: str) -> int:
        """Return how many leading tokens of a text with ``prompt`` are left out of pooling."""
        return 0 if self.config.include_prompt else self.tokenizer.prompt_length(prompt)
