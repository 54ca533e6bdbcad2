"""The client of a request: read its body within limits, and wait for results while it is there."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import anyio
from starlette.requests import ClientDisconnect, Request

from edge_embed.errors import InputError, OverloadedError
from edge_embed.server.errors import StatusError
from edge_embed.server.limits import Limits
from edge_embed.server.metrics import Metrics

__all__ = ["Caller", "DisconnectedError", "HeldBytes", "awaitable"]

_T = TypeVar("_T")


_MAX_DIGITS = 20


class DisconnectedError(Exception):
    """The client has disconnected, so no answer is needed."""


class HeldBytes:
    """The numbers of bytes in a server's memory: of request bodies, and of large answers."""

    def __init__(self) -> None:
        self.total = self.answers = 0
        self.lock = threading.Lock()
        """Held to change ``answers``: searches check theirs in other threads."""


Pool = Literal["long", "search"]

# Threads for work other than inference: few for work that takes memory by the size of the request,
# more for searches, so that a slow one does not block others.
_POOLS: dict[Pool, ThreadPoolExecutor] = {
    "long": ThreadPoolExecutor(2, thread_name_prefix="long"),
    "search": ThreadPoolExecutor(4, thread_name_prefix="search"),
}

# Answers of so many bytes are not counted; the number of requests bounds them.
_SMALL_ANSWER = 256 << 10

# Estimated bytes of a number in JSON, with its comma.
_NUMBER_BYTES = 12


class Caller:
    """Reads a request's body, checks its limits, and waits for its results."""

    def __init__(self, request: Request, limits: Limits, metrics: Metrics, held: HeldBytes) -> None:
        self._request, self._limits, self._metrics = request, limits, metrics
        self._deadline = time.monotonic() + limits.request_seconds
        self._held, self._own, self._answer = held, 0, 0
        self.body_bytes = 0
        """Size of its body, as far as it was read or announced."""
        self.texts = 0
        """Number of texts of the request."""
        self.over = False
        """Whether the request has ended, so that its work in other threads should stop."""

    def finish(self) -> None:
        """Release what the request holds but its answer, and stop its work."""
        with self._held.lock:
            self.over = True
        self._held.total -= self._own
        self._own = 0

    def sent(self) -> None:
        """Release the answer, once the client has read it or has gone."""
        with self._held.lock:
            self._held.answers -= self._answer
            self._answer = 0

    def check_answer(
        self, size: int, what: str, remedy: str = "send fewer texts at a time"
    ) -> None:
        """Refuse an answer that is too large, or too large beside those that are not sent yet.

        Args:
            size: Its estimated size in bytes.
            what: What the message calls it.
            remedy: The remedy in the message.

        Raises:
            StatusError: it would be too large (413).
            OverloadedError: there are too many large answers; small ones are always accepted.
        """
        most = self._limits.answer_bytes
        if size > most:
            raise StatusError(
                413, f"{what} would take {size} bytes, the server answers with {most}: {remedy}"
            )
        with self._held.lock:
            if self.over or size <= max(self._answer, _SMALL_ANSWER):
                return
            held = self._held.answers - self._answer + size
            if held > self._limits.held_answer_bytes:
                raise OverloadedError("the server sends too many large answers already; try again")
            self._held.answers, self._answer = held, size

    def check_numbers(self, count: int, what: str) -> None:
        """Refuse an answer of ``count`` numbers that is too large; see :meth:`check_answer`."""
        self.check_answer(_NUMBER_BYTES * count, what)

    def check_results(self, queries: int, k: int) -> None:
        """Refuse a search for too many hits.

        Raises:
            StatusError: there would be too many (413).
        """
        if queries * k > self._limits.results:
            raise StatusError(
                413,
                f"{queries} queries with k={k} are {queries * k} hits, the server takes "
                f"{self._limits.results}: send fewer queries at a time, or a smaller k",
            )

    async def run(self, pool: Pool, function: Callable[[], _T]) -> _T:
        """Call a function in a thread of ``pool`` and wait for its result; see :meth:`result`."""
        return await self.result(_POOLS[pool].submit(function))

    def add_texts(self, count: int) -> None:
        """Count texts of the request, after :meth:`check_texts`."""
        self.check_texts(count)
        self.texts += count

    def check_texts(self, count: int) -> None:
        """Check the number of texts.

        Raises:
            StatusError: there are too many (413).
            InputError: there are none.
        """
        most = self._limits.inputs
        if count > most:
            raise StatusError(
                413,
                f"the request has {count} inputs, the server takes {most}: send fewer at a time",
            )
        if count == 0:
            raise InputError("the request has no input: send at least one text")

    async def body(self, *, any_type: bool = False) -> bytes:
        """Return the whole body.

        Args:
            any_type: Take any content type, unless a page in a browser has sent it.

        Raises:
            StatusError: its content type is not JSON (415), it is compressed (400), too large (413)
                or too slow (408).
            OverloadedError: too many bytes of bodies are in memory.
            DisconnectedError: the client has disconnected.
        """
        headers, most = self._request.headers, self._limits.body_bytes
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        # Browsers send one of these with a page's request or both, other clients neither.
        by_page = "origin" in headers or "sec-fetch-site" in headers
        if kind != "application/json" and (by_page or not any_type):
            # This also prevents requests from other sites' pages, for which a browser would first
            # ask for permission (CORS).
            raise StatusError(415, "send JSON, with the header 'Content-Type: application/json'")
        coding = headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise StatusError(400, f"the body is compressed ({coding[:20]}): send it as it is")
        length = headers.get("content-length", "0")
        if length.isdecimal():
            if len(length) > _MAX_DIGITS or int(length) > most:
                raise _too_large(most, f"{length[:_MAX_DIGITS]} bytes")
            self._hold(int(length))
        with self.stage("read"):
            try:
                with anyio.fail_after(self._limits.client_seconds):
                    return await self._read(most)
            except TimeoutError:
                raise StatusError(
                    408,
                    f"the body was not there after {self._limits.client_seconds:g} seconds",
                    headers={"Connection": "close"},
                ) from None
            except ClientDisconnect:
                raise DisconnectedError from None

    @contextmanager
    def in_time(self) -> Iterator[None]:
        """End the block when the request's time is up, whatever it waits for.

        Raises:
            StatusError: there was no result in time (503).
        """
        seconds = self._limits.request_seconds
        with anyio.move_on_after(max(0.0, self._deadline - time.monotonic())) as scope:
            yield
        if scope.cancelled_caught:
            self._metrics.rejected.labels("timeout").inc()
            raise StatusError(
                503,
                f"there was no result after {seconds:g} seconds: send fewer texts at a time",
                headers={"Retry-After": "1"},
            )

    async def result(self, future: "Future[_T]") -> _T:
        """Wait for a result; the work is cancelled if the client disconnects, or with the wait.

        Raises:
            DisconnectedError: the client has disconnected.
        """
        answer = awaitable(future)
        gone = asyncio.ensure_future(self._gone())
        try:
            either: set[asyncio.Future[Any]] = {answer, gone}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            raise DisconnectedError
        finally:
            gone.cancel()
            future.cancel()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the time of a stage of the request: read, tokenize, compute or write."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._metrics.stages[name].observe(time.perf_counter() - started)

    async def _read(self, most: int) -> bytes:
        parts, size = [], 0
        async for part in self._request.stream():
            parts.append(part)
            size += len(part)
            if size > most:
                raise _too_large(most, f"more than {most}")
            self._hold(size)
        return b"".join(parts)

    def _hold(self, size: int) -> None:
        """Count ``size`` bytes of the body, in all so far, as held in memory."""
        if size <= self._own:
            return
        if self._held.total + size - self._own > self._limits.held_bytes:
            raise OverloadedError("the server holds too many large requests already; try again")
        self._held.total += size - self._own
        self._own = self.body_bytes = size

    async def _gone(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass


def awaitable(future: "Future[_T]") -> "asyncio.Future[_T]":
    """Return a future of this event loop that is done when ``future`` is.

    asyncio.wrap_future would make a reference cycle, which only the garbage collector frees.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_T] = loop.create_future()

    def settle(done: "Future[_T]") -> None:
        if answer.done() or done.cancelled():
            return
        error = done.exception()
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(done.result())

    def tell(done: "Future[_T]") -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, done)

    future.add_done_callback(tell)
    return answer


def _too_large(most: int, size: str) -> StatusError:
    # The connection is closed, so that the rest of the body is not read.
    return StatusError(
        413,
        f"the body has {size}, the server takes {most} bytes: send fewer texts at a time",
        headers={"Connection": "close"},
    )
