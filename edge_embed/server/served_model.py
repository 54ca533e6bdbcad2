"""A model of a server: loading it, its queues, and embedding the texts of requests."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.embedder import Embedder
from edge_embed.encoding import Truncation, finish, prepare, prepare_ids
from edge_embed.errors import InputError
from edge_embed.model.config import ModelConfig
from edge_embed.model.fingerprint import folder_fingerprint, model_fingerprint
from edge_embed.model.locate import resolve_model
from edge_embed.model.variants import STATIC, weights_of
from edge_embed.runtime.dynamic_batcher import BatchReport, DynamicBatcher
from edge_embed.runtime.planner import BatchPlanner
from edge_embed.runtime.token_engine import TokenEngine
from edge_embed.runtime.tokenized_texts import TokenizedTexts, TruncationSide
from edge_embed.server.errors import StatusError
from edge_embed.server.limits import Limits
from edge_embed.server.metrics import Metrics
from edge_embed.server.priority import behind_answers
from edge_embed.server.request import Caller

__all__ = ["EmbedOptions", "Embedded", "ModelSource", "ServedModel", "Texts"]

Texts = Sequence[str] | Sequence[Sequence[int]]
"""Texts, or their token ids as the model's tokenizer gives them."""

# Up to this many characters, texts are tokenized in the event loop, as starting a thread would take
# longer. More would block other requests.
_FEW_CHARACTERS = 4096


@dataclass(frozen=True, kw_only=True)
class EmbedOptions:
    """The options of a request to embed texts."""

    prompt_name: str | None = None
    """Name of one of the model's prompts; None is its default."""
    prompt: str | None = None
    """A prompt to prepend to each text; overrides ``prompt_name``."""
    truncation: Truncation = "ignore"
    """``error`` refuses texts over the limit; else they are truncated, and counted."""
    truncation_side: TruncationSide | None = None
    """Which end of a long text is cut off; None takes the side of the tokenizer's settings."""
    dim: int | None = None
    """The number of leading dimensions to keep; None is all."""
    normalize: bool = False
    """Scale vectors to unit length, after ``dim``."""


@dataclass(frozen=True)
class Embedded:
    """Vectors, and numbers of tokens and truncated texts."""

    vectors: npt.NDArray[Any]
    """Float32 (n, dim); for token states objects (n,), each float32 (tokens, hidden)."""
    tokens: int
    """Tokens embedded."""
    truncated: int
    """Texts that were truncated."""


@dataclass(frozen=True)
class ModelSource:
    """A model's name in requests, and how to load it."""

    name: str
    load: Callable[[], Embedder]
    folder: Path
    weights_bytes: int
    variant: str | None = None
    layers: int | None = None

    @classmethod
    def find(
        cls,
        name: str | None,
        model: str | None,
        load: Callable[[], Embedder],
        *,
        variant: str | None = None,
        layers: int | None = None,
        revision: str | None = None,
    ) -> "ModelSource":
        """Find a model without loading it; None as ``name`` takes its folder's name.

        Raises:
            ModelNotFoundError: there is no such model.
            ModelFormatError: its folder is incomplete.
        """
        folder = resolve_model(model, revision=revision)
        _, graph = ModelConfig.from_folder(folder).variant_file(variant)
        size = weights_of(graph).stat().st_size
        return cls(name or folder.name, load, folder, size, variant, layers)

    def fingerprint(self) -> str | None:
        """Return the fingerprint of the files as they are now; None if it needs the loaded model.

        Raises:
            ModelFormatError: its folder is incomplete.
        """
        config = ModelConfig.from_folder(self.folder)
        variant, _ = config.variant_file(self.variant)
        if variant == STATIC:
            return None
        return folder_fingerprint(config, variant, layers=self.layers)

    def stamp(self) -> tuple[tuple[str, int, int], ...]:
        """Return a value that changes when a file of the folder changes."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        stats = [(file, file.stat()) for file in files]
        return tuple((str(file), stat.st_mtime_ns, stat.st_size) for file, stat in stats)


class ServedModel:
    """A loaded model with its queues."""

    def __init__(self, source: ModelSource, *, limits: Limits, metrics: Metrics) -> None:
        """Load the model, compute its fingerprint, and start its queue.

        Raises:
            EdgeEmbedError: it cannot be loaded.
        """
        self.source, self.name = source, source.name
        self.stamp = source.stamp()
        self.embedder = behind_answers(self._warm)
        self.fingerprint = model_fingerprint(self.embedder)
        self._limits, self._metrics = limits, metrics
        self.batcher = DynamicBatcher(
            self.embedder.engine,
            self.embedder.planner,
            dim=self.embedder.dim,
            queue_tokens=limits.queue_tokens,
            observe=self._observe,
        )
        self._states: DynamicBatcher | None = None
        self._opening_states = threading.Lock()

    @property
    def variant(self) -> str:
        """The variant of its weights."""
        return self.embedder.variant

    async def embed(
        self, caller: Caller, texts: Texts, options: EmbedOptions = EmbedOptions()
    ) -> Embedded:
        """Embed texts; batches are shared with other requests.

        Raises:
            StatusError: there are too many texts (413), or no result in time (503).
            InputError: a value is wrong.
            TextTooLongError: a text is over the limit, with ``truncation="error"``.
            OverloadedError: the queue is full.
        """
        self.embedder.check_dim(options.dim)
        caller.add_texts(len(texts))
        caller.check_numbers(len(texts) * (options.dim or self.embedder.dim), "the vectors")
        embedded = await self._embed(caller, texts, options, self.batcher)
        vectors = finish(embedded.vectors, dim=options.dim, normalize=options.normalize)
        return replace(embedded, vectors=vectors)

    async def unit_vectors(self, caller: Caller, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts that do not count towards the request's limit; else like :meth:`embed`.

        Returns:
            Float32 (n, dim), of unit length.
        """
        embedded = await self._embed(caller, texts, EmbedOptions(), self.batcher)
        return finish(embedded.vectors, normalize=True)

    async def token_states(
        self, caller: Caller, texts: Texts, options: EmbedOptions = EmbedOptions()
    ) -> Embedded:
        """Return the states of tokens instead of a vector a text; see :meth:`embed`."""
        caller.add_texts(len(texts))
        batcher = await asyncio.to_thread(self.states)
        return await self._embed(caller, texts, options, batcher, states=True)

    async def _embed(
        self,
        caller: Caller,
        texts: Texts,
        options: EmbedOptions,
        batcher: DynamicBatcher,
        *,
        states: bool = False,
    ) -> Embedded:
        batcher.check_room(len(texts))
        prompt = self._prompt(texts, options)
        with caller.stage("tokenize"):
            if sum(len(text) for text in texts) > _FEW_CHARACTERS:
                tokenized = await caller.run("long", lambda: self._prepare(texts, prompt, options))
            else:
                tokenized = self._prepare(texts, prompt, options)
        tokens = int(tokenized.lengths.sum())
        if tokens > batcher.queue_tokens:
            raise StatusError(
                413,
                f"the request has {tokens} tokens, the server takes {batcher.queue_tokens}: send "
                "fewer texts at a time",
            )
        if states:
            caller.check_numbers(tokens * self.embedder.config.hidden_size, "the tokens' states")
        prompt_length = self.embedder.prompt_length(prompt)
        with caller.stage("compute"):
            future = batcher.submit(tokenized.ids, prompt_length=prompt_length)
            vectors = await caller.result(future)
        truncated = len(tokenized.truncated)
        self._metrics.texts.labels(self.name).inc(len(texts))
        self._metrics.truncated.labels(self.name).inc(truncated)
        self._metrics.unknown.labels(self.name).inc(int(tokenized.unknown.sum()))
        return Embedded(vectors, tokens, truncated)

    def prompt(self, name: str | None) -> str:
        """Return a prompt by its name, or the model's default.

        Raises:
            StatusError: there is no prompt of this name (422).
        """
        known = self.embedder.config.prompts
        if name is not None and name not in known:
            raise StatusError(
                422, f"the model has no prompt of this name; it has: {', '.join(known) or 'none'}"
            )
        return self.embedder.prompt(name=name)

    def _prompt(self, texts: Texts, options: EmbedOptions) -> str:
        if not _are_ids(texts):
            return self.prompt(options.prompt_name) if options.prompt is None else options.prompt
        if options.prompt_name is not None:
            raise InputError("a prompt goes before text, not before token ids")
        return ""

    def _prepare(self, texts: Texts, prompt: str, options: EmbedOptions) -> TokenizedTexts:
        tokenizer, side = self.embedder.tokenizer, options.truncation_side
        if _are_ids(texts):
            return prepare_ids(tokenizer, texts, truncation=options.truncation, side=side)  # type: ignore[arg-type]
        return prepare(
            tokenizer,
            texts,  # type: ignore[arg-type]
            prompt=prompt,
            truncation=options.truncation,
            side=side,
        )

    def states(self) -> DynamicBatcher:
        """Return the queue for token states; their model is compiled at the first call."""
        with self._opening_states:
            if self._states is None:
                config, embedder = self.embedder.config, self.embedder
                planner = embedder.planner
                if not isinstance(planner, BatchPlanner):
                    raise InputError(f"{self.name} has static vectors, and no states of tokens")
                _, file = config.variant_file(embedder.variant)
                self._states = DynamicBatcher(
                    behind_answers(lambda: TokenEngine(config, embedder.runtime, file=file)),
                    replace(planner, packed=False),
                    dim=None,
                    queue_tokens=self._limits.queue_tokens,
                    observe=self._observe,
                )
            return self._states

    @property
    def waiting_tokens(self) -> int:
        """Tokens in the model's queues."""
        states = self._states
        return self.batcher.waiting_tokens + (states.waiting_tokens if states else 0)

    def close(self) -> None:
        """Finish the texts in the queues and end the threads."""
        self.batcher.close()
        if self._states is not None:
            self._states.close()

    def _warm(self) -> Embedder:
        embedder = self.source.load()
        embedder.warm_up()  # so that no request waits for a compilation, and memory does not grow
        return embedder

    def _observe(self, report: BatchReport) -> None:
        self._metrics.observe_batch(self.name, report)


def _are_ids(texts: Texts) -> bool:
    return bool(texts) and not isinstance(texts[0], str)
