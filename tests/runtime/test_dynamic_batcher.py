"""Dynamic batching, on a fake engine whose vectors say which text they are of."""

import asyncio
import gc
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_embed.errors import EdgeEmbedError, InputError, OverloadedError
from edge_embed.runtime.batch import Batch
from edge_embed.runtime.dynamic_batcher import BatchReport, DynamicBatcher, _Request
from edge_embed.runtime.planner import BatchPlanner
from edge_embed.server.request import awaitable

LIMIT = 128
POISON = 13
WAIT = 60  # seconds after which a test is stuck

Ids = list[npt.NDArray[np.int64]]


class FakeEngine:
    """A text's vector is (its first token, its sum, its length); a poisoned batch fails."""

    def __init__(self, requests: int = 1, *, gated: bool = False) -> None:
        self.requests = requests
        self.ran: list[set[int]] = []
        """First tokens of the texts of each batch."""
        self.gate = threading.Semaphore(0) if gated else None
        self.entered = threading.Semaphore(0)

    def run(self, batches: Iterable[Batch], out: npt.NDArray[np.float32]) -> None:
        for batch in batches:
            self.entered.release()
            if self.gate is not None:
                assert self.gate.acquire(timeout=WAIT)
            rows = dict(_texts_of(batch))
            self.ran.append({int(tokens[0]) for tokens in rows.values()})
            for row, tokens in rows.items():
                out[row] = tokens[0], tokens.sum(), len(tokens)
            if POISON in batch.inputs["input_ids"]:
                raise EdgeEmbedError("inference failed")


def _texts_of(batch: Batch) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    tokens = batch.inputs["input_ids"]
    packed = "segment_ids" in batch.inputs
    marks = batch.inputs["segment_ids" if packed else "attention_mask"]
    slots = tokens.shape[1] // 4 if packed else 1
    for row, slot in zip(batch.texts.tolist(), batch.slots.tolist(), strict=True):
        line, segment = divmod(slot, slots)
        yield row, tokens[line][marks[line] == segment + 1]


PACKED = BatchPlanner(max_length=LIMIT, pad_id=0)
PADDED = replace(PACKED, packed=False)


def batcher(engine: FakeEngine, queue_tokens: int = 1_000_000) -> DynamicBatcher:
    return DynamicBatcher(engine, PACKED, dim=3, queue_tokens=queue_tokens)


def texts(first: int, lengths: Sequence[int]) -> Ids:
    """Return texts that are all different and hold no poison."""
    return [np.full(length, 1000 + first + n) for n, length in enumerate(lengths)]


def right(ids: Ids) -> list[list[float]]:
    return [[float(t[0]), float(t.sum()), float(len(t))] for t in ids]


def result(future: "Future[npt.NDArray[np.float32]]") -> list[list[float]]:
    rows: list[list[float]] = future.result(WAIT).tolist()
    return rows


requests = st.lists(st.lists(st.integers(1, LIMIT), max_size=40), max_size=12)


@settings(deadline=None, max_examples=60)
@given(lengths=requests, workers=st.integers(1, 3), padded=st.booleans())
def test_everyone_gets_the_vectors_of_their_own_texts(
    lengths: list[list[int]], workers: int, padded: bool
) -> None:
    planner = PADDED if padded else PACKED
    shared = DynamicBatcher(FakeEngine(workers), planner, dim=3, queue_tokens=1_000_000)
    asked = [texts(1000 * number, each) for number, each in enumerate(lengths)]
    with ThreadPoolExecutor(4) as pool:
        futures = list(
            pool.map(lambda n: shared.submit(asked[n], prompt_length=n % 2), range(len(asked)))
        )
    for ids, future in zip(asked, futures, strict=True):
        assert result(future) == right(ids)
    assert shared.waiting_tokens == 0
    shared.close()


@settings(deadline=None, max_examples=60)
@given(lengths=requests, poisoned=st.sets(st.integers(0, 11)), workers=st.integers(1, 3))
def test_a_failing_batch_fails_those_who_wait_for_it_only(
    lengths: list[list[int]], poisoned: set[int], workers: int
) -> None:
    engine = FakeEngine(workers)
    shared = batcher(engine)
    asked = [texts(1000 * number, each) for number, each in enumerate(lengths)]
    for number in poisoned:
        if number < len(asked) and asked[number]:
            asked[number][-1] = np.full(5, POISON)
    futures = [shared.submit(ids) for ids in asked]
    answers = [future.exception(WAIT) for future in futures]
    shared.close()
    hurt: set[int] = set().union(*(ran for ran in engine.ran if POISON in ran))
    for ids, future, error in zip(asked, futures, answers, strict=True):
        if not hurt & {int(text[0]) for text in ids}:
            assert result(future) == right(ids)
        elif error is None:  # answered before: only the batches that failed may fail it
            raise AssertionError("a text of a failed batch was answered")
    assert shared.waiting_tokens == 0


def test_idle_threads_share_a_request() -> None:
    engine = FakeEngine(2, gated=True)
    shared = batcher(engine)
    while shared._idle < 2:  # both threads have to be there before the request comes
        time.sleep(0.001)
    future = shared.submit(texts(100, [10] * 32))
    for _ in range(2):
        assert engine.entered.acquire(timeout=WAIT)
    _open(engine, 2)
    future.result(WAIT)
    assert sorted(len(ran) for ran in engine.ran[-2:]) == [16, 16]
    shared.close()


def test_waiting_requests_share_a_batch() -> None:
    engine = FakeEngine(gated=True)
    shared = batcher(engine)
    first = shared.submit(texts(0, [5]))
    assert engine.entered.acquire(timeout=WAIT)  # an idle engine has started with what there was
    others = [shared.submit(texts(10 * n, [5])) for n in range(1, 21)]
    _open(engine, 2)
    for future in [first, *others]:
        future.result(WAIT)
    assert [len(ran) for ran in engine.ran] == [1, 20]
    shared.close()


def test_a_large_request_holds_up_no_small_one_nor_they_it() -> None:
    engine = FakeEngine(gated=True)
    shared = batcher(engine)
    large = shared.submit(texts(0, [20] * 500))
    assert engine.entered.acquire(timeout=WAIT)
    small = [shared.submit(texts(1000 * n, [20] * 10)) for n in range(1, 7)]
    _open(engine, 1000)
    for future in [*small, large]:
        future.result(WAIT)
    shared.close()
    # Six small ones of 200 tokens each, and the large one's equal share: four batches at most.
    assert {first // 1000 for ran in engine.ran[1:5] for first in ran} == {1, 2, 3, 4, 5, 6, 7}
    for ran in engine.ran[1:4]:
        assert any(first < 2000 for first in ran)


def test_long_texts_get_no_more_than_short_ones() -> None:
    engine = FakeEngine(gated=True)
    shared = batcher(engine)
    blocker = shared.submit(texts(90_000, [5]))
    assert engine.entered.acquire(timeout=WAIT)
    long = shared.submit(texts(0, [LIMIT] * 20))
    short = shared.submit(texts(1000, [8] * 320))
    _open(engine, 1000)
    for future in (blocker, long, short):
        future.result(WAIT)
    shared.close()
    shares = np.zeros(2)
    for ran in engine.ran[1:9]:
        shares += [sum(LIMIT for t in ran if t < 2000), sum(8 for t in ran if t >= 2000)]
    assert 0.7 < shares[0] / shares[1] < 1.4


def test_a_cancelled_request_leaves_the_queue() -> None:
    engine = FakeEngine(gated=True)
    shared = batcher(engine)
    started = shared.submit(texts(0, [LIMIT] * 9))
    assert engine.entered.acquire(timeout=WAIT)
    waiting, kept = shared.submit(texts(100, [7] * 50)), shared.submit(texts(200, [7]))
    assert waiting.cancel()
    assert started.cancel()  # its first batch is at work; the rest never starts
    assert shared.waiting_tokens == 7
    _open(engine, 1000)
    assert result(kept) == right(texts(200, [7]))
    with pytest.raises(CancelledError):
        waiting.result(WAIT)
    shared.close()
    assert len(engine.ran) == 2
    assert engine.ran[1] == {1200}


def test_the_queue_is_bounded_in_tokens() -> None:
    engine = FakeEngine(gated=True)
    shared = batcher(engine, queue_tokens=100)
    started = shared.submit(texts(0, [100]))
    assert engine.entered.acquire(timeout=WAIT)
    full = shared.submit(texts(10, [50, 50]))
    with pytest.raises(OverloadedError, match="100 tokens are waiting") as refused:
        shared.submit(texts(20, [1]))
    assert refused.value.retry_after >= 1
    with pytest.raises(InputError, match="101 tokens, the queue takes 100"):
        shared.submit(texts(30, [101]))
    assert shared.submit([]).result(WAIT).shape == (0, 3)
    _open(engine, 10)
    for future in (started, full):
        future.result(WAIT)
    assert result(shared.submit(texts(20, [1]))) == right(texts(20, [1]))
    shared.close()


def test_closing_finishes_what_waits() -> None:
    engine = FakeEngine(gated=True)
    shared = batcher(engine)
    futures = [shared.submit(texts(1000 * n, [LIMIT] * 8)) for n in range(3)]
    closing = threading.Thread(target=shared.close)
    closing.start()
    _open(engine, 1000)
    closing.join(WAIT)
    assert not closing.is_alive()
    for number, future in enumerate(futures):
        assert result(future) == right(texts(1000 * number, [LIMIT] * 8))
    with pytest.raises(OverloadedError, match="unloaded"):
        shared.submit(texts(0, [1]))


def test_a_failing_planner_fails_its_own_texts() -> None:
    class Failing:
        def plan(
            self, ids: Sequence[npt.NDArray[np.int64]], *, prompt_length: int = 0
        ) -> Iterator[Batch]:
            if POISON in ids[0]:
                raise ValueError("cannot be planned")
            return PACKED.plan(ids, prompt_length=prompt_length)

    shared = DynamicBatcher(FakeEngine(), Failing(), dim=3, queue_tokens=100)
    with pytest.raises(ValueError, match="cannot be planned"):
        shared.submit([np.array([POISON])]).result(WAIT)
    assert result(shared.submit(texts(0, [5]))) == right(texts(0, [5]))
    shared.close()


def test_batches_are_reported() -> None:
    reports: list[BatchReport] = []
    shared = DynamicBatcher(FakeEngine(), PACKED, dim=3, queue_tokens=100, observe=reports.append)
    shared.submit(texts(0, [5, 6])).result(WAIT)
    shared.close()
    assert [(r.texts, r.tokens, r.area) for r in reports] == [(2, 11, 12)]


def _open(engine: FakeEngine, times: int) -> None:
    assert engine.gate is not None
    engine.gate.release(times)


def test_a_request_leaves_nothing_to_the_garbage_collector() -> None:
    """A server that collects seldom must not grow by the requests that it has answered."""
    batching = batcher(FakeEngine())

    async def ask() -> None:
        vectors = await awaitable(batching.submit(texts(0, [4])))
        assert vectors.shape == (1, 3)
        with pytest.raises(InputError):
            await awaitable(batching.submit(texts(0, [2_000_000])))

    gc.collect()
    gc.disable()
    try:
        asyncio.run(ask())
        batching.close()
        assert not [value for value in gc.get_objects() if type(value) is _Request]
    finally:
        gc.enable()
