"""From a request's texts to vectors: limits, tokens, the model's queue."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from edge_embed.errors import InputError, OverloadedError
from edge_embed.runtime.tokenizer import TokenizedTexts
from edge_embed.server.auth import ApiKeys
from edge_embed.server.errors import StatusError
from edge_embed.server.limits import Limits
from edge_embed.server.metrics import Metrics
from edge_embed.server.pool import ModelPool, ModelSource, ServedModel
from edge_embed.server.request import Caller
from edge_embed.tasks import Index

__all__ = ["Embedded", "Reading", "Service", "Texts"]

Texts = Sequence[str] | Sequence[Sequence[int]]

# Texts of so few characters are tokenized at once: a thread would take longer to start. More would
# hold up other requests.
_FEW_CHARACTERS = 4096


@dataclass(frozen=True)
class Reading:
    """How texts are read."""

    prompt_name: str | None = None
    cut: bool = True
    """Whether texts over the limit are cut; else they are refused."""
    cut_left: bool | None = None
    """Whether the beginning is cut; None is the model's way."""


@dataclass(frozen=True)
class Embedded:
    """Vectors and what they took."""

    vectors: npt.NDArray[Any]
    """Float32 (n, dim), or objects (n,), each float32 (tokens, hidden)."""
    tokens: int
    """Tokens embedded."""
    truncated: int
    """Texts that were cut."""


class Service:
    """The models and limits of one server."""

    def __init__(
        self,
        sources: Sequence[ModelSource],
        *,
        limits: Limits | None = None,
        memory_bytes: int | None = None,
        keys: ApiKeys | None = None,
        index: Index | None = None,
    ) -> None:
        """Know the models; :meth:`start` loads the first.

        Args:
            sources: The models; the first is what requests that name none get.
            limits: What the server takes at most.
            memory_bytes: Most bytes of weights in memory at a time.
            keys: Who may use the server; None is everybody.
            index: What ``/v1/search`` searches; its vectors must be of the first model.

        Raises:
            InputError: names are there twice, or a model does not fit the memory.
        """
        self.limits = limits or Limits()
        self.metrics = Metrics()
        self.keys = keys
        self.index = index
        self.started = self.stopping = False
        self.pool = ModelPool(sources, self._open, memory_bytes=memory_bytes)
        self.metrics.watch_queues(self._waiting)

    async def start(self) -> None:
        """Load the first model.

        Raises:
            StatusError: it cannot be loaded, or the index was made with another.
        """
        async with self.pool.use() as served:
            if self.index is not None:
                self.check_index(served)
        self.started = True

    @property
    def ready(self) -> bool:
        """Whether requests are answered: the first model was loaded, and nobody has said stop."""
        return self.started and not self.stopping

    def check_index(self, served: ServedModel) -> Index:
        """Return the index, if there is one and it was made with this model.

        Raises:
            StatusError: there is none (404), or it was made with another model (503).
        """
        if self.index is None:
            raise StatusError(404, "no index is attached: start the server with --index FILE")
        if self.index.facts.model and self.index.facts.model != served.fingerprint:
            raise StatusError(
                503,
                f"the index was made with another model than {served.name!r}, so their vectors "
                "cannot be compared: serve that model first, or make the index anew",
            )
        return self.index

    def check_count(self, caller: Caller, count: int) -> None:
        """Refuse too many inputs.

        Raises:
            StatusError: there are too many (413).
            InputError: there is none.
        """
        most = self.limits.inputs
        if count > most:
            raise StatusError(
                413,
                f"the request has {count} inputs, the server takes {most}: send fewer at a time",
            )
        if count == 0:
            raise InputError("the request has no input: send at least one text")
        caller.texts += count

    async def embed(
        self,
        caller: Caller,
        served: ServedModel,
        texts: Texts,
        reading: Reading = Reading(),
        *,
        states: bool = False,
    ) -> Embedded:
        """Embed texts, together with those of other requests.

        Args:
            caller: Who waits for them.
            served: The model.
            texts: Texts, or their token ids as this model's tokenizer gives them.
            reading: How they are read.
            states: Return each token's state instead of one vector a text.

        Raises:
            StatusError: there are too many or too long texts (413), or no result in time (503).
            InputError: a value is wrong.
            OverloadedError: too much is waiting.
        """
        self.check_count(caller, len(texts))
        batcher = (await asyncio.to_thread(served.states)) if states else served.batcher
        if batcher.waiting_tokens + len(texts) > batcher.queue_tokens:
            # Refused for its least number of tokens, before they are counted.
            raise OverloadedError("the queue is full", retry_after=batcher.seconds_to_drain())
        embedder = served.embedder
        prompt = "" if _are_ids(texts) else embedder.prompt(name=reading.prompt_name)
        if reading.prompt_name is not None and _are_ids(texts):
            raise InputError("a prompt goes before text, not before token ids")
        with caller.stage("tokenize"):
            if sum(len(text) for text in texts) > _FEW_CHARACTERS:
                tokenized = await asyncio.to_thread(_tokenize, served, texts, prompt, reading)
            else:
                tokenized = _tokenize(served, texts, prompt, reading)
        self._check_lengths(tokenized, batcher.queue_tokens, cut=reading.cut)
        prompt_length = embedder.prompt_length(prompt)
        with caller.stage("compute"):
            vectors = await caller.result(
                batcher.submit(tokenized.ids, prompt_length=prompt_length)
            )
        truncated = len(tokenized.truncated)
        self.metrics.texts.labels(served.name).inc(len(texts))
        self.metrics.truncated.labels(served.name).inc(truncated)
        self.metrics.unknown.labels(served.name).inc(int(tokenized.unknown.sum()))
        return Embedded(vectors, int(tokenized.lengths.sum()), truncated)

    def _check_lengths(self, tokenized: TokenizedTexts, queue_tokens: int, *, cut: bool) -> None:
        if not cut and len(tokenized.truncated):
            row = int(tokenized.truncated[0])
            raise StatusError(
                413,
                f"text {row} has {tokenized.full_lengths[row]} tokens, the model reads "
                f"{tokenized.lengths[row]}: shorten or split it, or allow the cut (truncate)",
            )
        total = int(tokenized.lengths.sum())
        if total > queue_tokens:
            raise StatusError(
                413,
                f"the request has {total} tokens, the server takes {queue_tokens}: send fewer "
                "texts at a time",
            )

    def _open(self, source: ModelSource) -> ServedModel:
        return ServedModel(
            source,
            queue_tokens=self.limits.queue_tokens,
            observe=self.metrics.observe_batch,
            index=self.index is not None and source.name == self.pool.names[0],
        )

    def _waiting(self) -> dict[str, int]:
        return {model.name: model.waiting_tokens for model in self.pool.loaded}


def _are_ids(texts: Texts) -> bool:
    return bool(texts) and not isinstance(texts[0], str)


def _tokenize(served: ServedModel, texts: Texts, prompt: str, reading: Reading) -> TokenizedTexts:
    tokenizer = served.embedder.tokenizer
    if _are_ids(texts):
        return tokenizer.from_ids(texts, cut_left=reading.cut_left)  # type: ignore[arg-type]
    return tokenizer(texts, prompt=prompt, cut_left=reading.cut_left)  # type: ignore[arg-type]
