"""Dynamic batching: texts of concurrent requests share batches.

There are as many worker threads as the engine computes batches in parallel. Each takes waiting
texts up to the token budget, plans batches with the same planner as the library, and runs them.
There is no timer: an idle engine starts at once, and while it is busy, texts gather for fuller
batches.

The queue is fair among requests (deficit round robin, Shreedhar and Varghese 1995, in tokens): each
waiting request gets the same share of the batches, so large and small ones do not block each other.
"""

import math
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from edge_embed.errors import EdgeEmbedError, InputError, OverloadedError
from edge_embed.runtime.batch import Batch
from edge_embed.runtime.row_widths import TOKEN_BUDGET

__all__ = ["BatchEngine", "BatchReport", "DynamicBatcher"]

# Float32 (n, dim); or object arrays (n,), if the results of texts differ in shape.
Results = npt.NDArray[Any]

# Tokens taken at a time: a little below the budget, as packing leaves gaps, and what does not fit
# into a full batch would become a second, nearly empty one.
_TAKEN = TOKEN_BUDGET - TOKEN_BUDGET // 16

# Tokens that a request may take before the next request's turn (the quantum of the round robin).
_SHARE = TOKEN_BUDGET // 8


class BatchEngine(Protocol):
    """Computes batches, as :class:`edge_embed.runtime.engine.Engine` does."""

    requests: int
    """Batches computed in parallel."""

    def run(self, batches: Iterable[Batch], out: Results) -> None:
        """Compute ``batches``, writing each text's result to its row of ``out``."""


class Planner(Protocol):
    """Puts texts into batches, as :class:`edge_embed.runtime.planner.BatchPlanner` does."""

    def plan(self, ids: Sequence[Any], *, prompt_length: int = 0) -> Iterator[Batch]:
        """Yield batches that hold every text once."""


@dataclass(frozen=True)
class BatchReport:
    """Figures of one batch, for metrics."""

    texts: int
    tokens: int
    """Tokens of its texts."""
    area: int
    """Tokens computed, padding included."""
    seconds: float
    """Time of the computation."""


class DynamicBatcher:
    """Batches texts of several callers. Safe to share between threads."""

    def __init__(
        self,
        engine: BatchEngine,
        planner: Planner,
        *,
        dim: int | None,
        queue_tokens: int,
        observe: Callable[[BatchReport], None] | None = None,
    ) -> None:
        """Start the threads.

        Args:
            engine: Computes batches.
            planner: Puts token ids into batches.
            dim: Dimensions of a vector; None if results are arrays of different shapes.
            queue_tokens: Most tokens that may wait.
            observe: Called after each batch, in the worker thread.
        """
        self._engine, self._planner, self._dim = engine, planner, dim
        self._observe = observe
        self.queue_tokens = queue_tokens
        self._turns: deque[_Request] = deque()
        self._waiting = 0
        self._idle = 0
        self._closed = False
        self._computed = 0
        self._busy_seconds = 0.0
        # Reentrant, as cancelling a future runs its callback in the thread that cancels.
        self._changed = threading.Condition(threading.RLock())
        self._process = os.getpid()
        self._threads = [
            threading.Thread(target=self._work, name=f"batches-{number}", daemon=True)
            for number in range(engine.requests)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting_tokens(self) -> int:
        """Tokens that wait to be put into a batch."""
        return self._waiting

    def submit(self, ids: Sequence[Sized], *, prompt_length: int = 0) -> "Future[Results]":
        """Queue texts and return at once.

        Cancelling the future removes those texts from the queue that are not in a batch yet.

        Args:
            ids: Token ids of each text, int64 (tokens,), at least one and at most the model's
                limit; or other items that the planner accepts, whose length is in tokens.
            prompt_length: Leading tokens of each text that are left out of pooling.

        Returns:
            A future of float32 (n, dim); without ``dim``, of objects (n,), an array each. If a
            batch with one of the texts fails, the future has its error.

        Raises:
            InputError: the texts have more tokens than ``queue_tokens``.
            OverloadedError: too many tokens are waiting, or the batcher is closed.
            EdgeEmbedError: this process was forked from the one with the worker threads.
        """
        if os.getpid() != self._process:
            raise EdgeEmbedError(
                "the queue's threads stayed in the process that this one was forked from: start "
                "the server, or make the batcher, after the fork"
            )
        request = _Request(ids, prompt_length, self._room(len(ids)))
        if request.tokens > self.queue_tokens:
            raise InputError(
                f"the request has {request.tokens} tokens, the queue takes {self.queue_tokens}: "
                "send fewer texts at a time"
            )
        if not ids:
            request.future.set_result(request.results)
            return request.future
        with self._changed:
            if self._closed:
                raise OverloadedError("the model is being unloaded; try again")
            if self._waiting + request.tokens > self.queue_tokens:
                raise OverloadedError(
                    f"{self._waiting} tokens are waiting and the queue takes {self.queue_tokens}",
                    retry_after=self.seconds_to_drain(),
                )
            self._waiting += request.tokens
            self._turns.append(request)
            self._changed.notify()
        # A weak reference, as a future holds its callbacks, and the request its future.
        waiting = weakref.ref(request)
        request.future.add_done_callback(lambda _: self._leave(waiting()))
        return request.future

    def check_room(self, texts: int) -> None:
        """Check that the queue has room for texts of one token each; to call before tokenization.

        Raises:
            OverloadedError: it has none.
        """
        if self._waiting + texts > self.queue_tokens:
            raise OverloadedError("the queue is full", retry_after=self.seconds_to_drain())

    def seconds_to_drain(self) -> int:
        """Estimate the seconds until the queue is empty, at least 1, from the speed so far."""
        if not self._computed:
            return 1
        speed = len(self._threads) * self._computed / self._busy_seconds
        return max(1, math.ceil(self._waiting / speed))

    def close(self) -> None:
        """Refuse new requests, finish the waiting ones, and end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _room(self, texts: int) -> Results:
        """Return an empty array for the results of ``texts`` texts."""
        if self._dim is None:
            return np.empty(texts, np.object_)
        return np.empty((texts, self._dim), np.float32)

    def _leave(self, request: "_Request | None") -> None:
        """Remove a request that was cancelled or has failed from the queue."""
        with self._changed:
            if request is not None and request.pending:
                self._waiting -= sum(len(request.ids[row]) for row in request.pending)
                request.pending.clear()
                self._turns.remove(request)

    def _work(self) -> None:
        while group := self._next_group():
            self._run(group)

    def _next_group(self) -> "list[_Text]":
        """Wait for texts and take some; [] when the batcher is closed and the queue empty."""
        with self._changed:
            while not self._turns:
                if self._closed:
                    return []
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            group = self._take()
            if self._turns:
                self._changed.notify()  # there is more for another thread
            return group

    def _take(self) -> "list[_Text]":
        """Take texts from the requests in turn, up to the budget; leave idle threads a share."""
        group: list[_Text] = []
        room = min(_TAKEN, -(-self._waiting // (self._idle + 1)))
        while self._turns:
            request = self._turns[0]
            while request.pending and request.credit > 0:
                length = len(request.ids[request.pending[0]])
                if group and length > room:
                    return group  # its turn goes on in the next batch
                group.append(_Text(request, request.pending.popleft()))
                request.credit -= length
                self._waiting -= length
                room -= length
            self._turns.popleft()
            if request.pending:
                request.credit += _SHARE
                self._turns.append(request)
        return group

    def _run(self, group: "list[_Text]") -> None:
        # Each prompt length has batches of its own, as it applies to all texts of a batch.
        for prompt_length in {text.request.prompt_length for text in group}:
            texts = [text for text in group if text.request.prompt_length == prompt_length]
            ids = [text.request.ids[text.row] for text in texts]
            try:
                batches = list(self._planner.plan(ids, prompt_length=prompt_length))
            except Exception as error:  # noqa: BLE001 - any error must reach the waiting callers
                self._reject(texts, error)
                continue
            for batch in batches:
                self._run_batch(batch, texts)

    def _run_batch(self, batch: Batch, texts: "list[_Text]") -> None:
        own = [texts[number] for number in batch.texts]
        out = self._room(len(texts))
        started = time.perf_counter()
        try:
            self._engine.run([batch], out)
        except Exception as error:  # noqa: BLE001 - as above
            self._reject(own, error)
            return
        seconds = time.perf_counter() - started
        tokens = sum(len(text.request.ids[text.row]) for text in own)
        with self._changed:
            self._computed += tokens
            self._busy_seconds += seconds
        for number, text in zip(batch.texts, own, strict=True):
            self._deliver(text, out[number])
        if self._observe is not None:
            area = batch.inputs["input_ids"].size
            self._observe(BatchReport(len(own), tokens, area, seconds))

    def _deliver(self, text: "_Text", result: Results) -> None:
        request = text.request
        request.results[text.row] = result
        with self._changed:
            request.missing -= 1
            done = request.missing == 0
        if done and request.future.set_running_or_notify_cancel():
            request.future.set_result(request.results)

    def _reject(self, texts: "list[_Text]", error: Exception) -> None:
        for request in dict.fromkeys(text.request for text in texts):
            with self._changed:
                first = not request.failed
                request.failed = True
            if first and request.future.set_running_or_notify_cancel():
                request.future.set_exception(error)


@dataclass(eq=False)
class _Request:
    """The texts of one caller. The batcher's lock guards its mutable fields."""

    ids: Sequence[Sized]
    prompt_length: int
    results: Results
    """Filled as texts are computed."""
    future: "Future[Results]" = field(default_factory=Future)
    credit: int = _SHARE
    """Tokens that it may still take in this turn; negative after a long text."""
    failed: bool = False

    def __post_init__(self) -> None:
        self.pending = deque(range(len(self.ids)))
        self.missing = len(self.ids)
        self.tokens = sum(len(text) for text in self.ids)


class _Text(NamedTuple):
    """A text that is being computed: a row of a request."""

    request: _Request
    row: int
