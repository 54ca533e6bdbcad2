"""A model in other processes and threads: forked, pickled, awaited, at exit. No hang anywhere."""

import asyncio
import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_embed import Embedder
from edge_embed.errors import EdgeEmbedError
from edge_embed.files.fork_lock import ForkLock, fork_safe_property
from edge_embed.runtime import program_end
from edge_embed.runtime.dynamic_batcher import DynamicBatcher
from edge_embed.runtime.engine import Engine
from edge_embed.runtime.forks import PerProcess
from edge_embed.runtime.program_end import computing

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

TEXTS = [f"a parcel {number}" for number in range(300)]
# A forked process compiles the model anew, which may take a minute on a machine that is busy.
WAIT = 180
PARENT = os.getpid()


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Embedder:
    made = Embedder(tiny_model, threads=2, cache=False)
    made.encode(["a parcel"])
    return made


def in_fork(job: Callable[[], object]) -> object:
    """Return what ``job`` returns in a forked process, or its error; a hang fails."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def work() -> None:
        try:
            theirs.send(job())
        except Exception as error:  # noqa: BLE001 - told to the parent
            theirs.send(error)

    child = context.Process(target=work)
    child.start()
    try:
        assert ours.poll(WAIT), "no answer from the forked process"
        return ours.recv()
    finally:
        child.kill()
        child.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("count", [1, 300])
def test_a_forked_process_embeds(model: Embedder, count: int) -> None:
    expected = model.encode(TEXTS[:count])
    found = in_fork(lambda: model.encode(TEXTS[:count]))
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(model.encode(TEXTS[:count]), expected)  # the parent's still works


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_of_a_fork_and_its_threads(model: Embedder) -> None:
    def two_threads() -> list[int]:
        sizes: list[int] = []
        threads = [
            threading.Thread(target=lambda: sizes.append(len(model.encode(TEXTS)))) for _ in "ab"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sizes

    assert in_fork(lambda: in_fork(two_threads)) == [300, 300]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_queue_of_the_parent_is_refused(model: Embedder) -> None:
    batcher = DynamicBatcher(model.engine, model.planner, dim=model.dim, queue_tokens=1000)
    try:
        ids = model.tokenizer(["a parcel"]).ids
        assert batcher.submit(ids).result(WAIT).shape == (1, model.dim)
        error = in_fork(lambda: batcher.submit(ids).result(WAIT))
        assert isinstance(error, EdgeEmbedError)
        assert "after the fork" in str(error)
    finally:
        batcher.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_lock_that_was_held_at_the_fork_is_none_in_the_child() -> None:
    value, lock = PerProcess(os.getpid), ForkLock()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with value._lock, lock:
            held.set()
            done.wait(WAIT)

    def use() -> bool:
        with lock:
            return value.get() == os.getpid()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(WAIT)
        assert in_fork(use) is True
    finally:
        done.set()
        thread.join()


class _Slow:
    computes, go_on = threading.Event(), threading.Event()

    @fork_safe_property
    def value(self) -> int:
        if os.getpid() == PARENT:
            self.computes.set()
            self.go_on.wait(WAIT)
        return 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_property_that_another_thread_computes_at_the_fork() -> None:
    slow = _Slow()
    thread = threading.Thread(target=lambda: slow.value)
    thread.start()
    try:
        assert slow.computes.wait(WAIT)
        assert in_fork(lambda: slow.value) == 3
    finally:
        slow.go_on.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_lock_of_the_thread_that_forks_stays_its_own() -> None:
    lock = ForkLock()
    with lock:
        assert in_fork(lambda: lock._lock.locked()) is True


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_waits_for_batches_of_other_threads(model: Embedder) -> None:
    engine = model.engine
    assert isinstance(engine, Engine)
    stop, sizes = threading.Event(), []

    def embed() -> None:
        while not stop.is_set():
            sizes.append(len(model.encode(TEXTS)))

    threads = [threading.Thread(target=embed) for _ in "ab"]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                idle = engine._made._value.idle  # of the parent, as it was
                os._exit(engine.requests - idle.qsize())
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(sizes) == {len(TEXTS)}


def test_a_call_within_a_call_and_a_fork_within_do_not_wait_for_themselves() -> None:
    with computing(), computing():
        program_end._before_fork()
        with computing():
            pass
        program_end._forked()
    assert program_end._state.at_work == 0


def test_pickled_by_its_arguments(
    model: Embedder, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_model.parent)
    made = Embedder(tiny_model.name, variant="fp32", threads=1, cache=False)
    made.fit_ranges(TEXTS)
    data = pickle.dumps(made)
    assert len(data) < 10_000
    monkeypatch.chdir(tmp_path)
    for again in (pickle.loads(data), copy.deepcopy(made)):
        assert (again.variant, again.runtime.threads) == ("fp32", 1)
        np.testing.assert_array_equal(again.encode(TEXTS[:3]), made.encode(TEXTS[:3]))
        np.testing.assert_array_equal(
            again.encode(TEXTS[:3], precision="int8"), made.encode(TEXTS[:3], precision="int8")
        )


def test_awaited(model: Embedder) -> None:
    async def many() -> list[Any]:
        calls = (asyncio.to_thread(model.encode, TEXTS[i::8]) for i in range(8))
        return await asyncio.wait_for(asyncio.gather(*calls), WAIT)

    for i, vectors in enumerate(asyncio.run(many())):
        np.testing.assert_allclose(vectors, model.encode(TEXTS[i::8]), atol=1e-5)


ENDINGS = {
    "while a thread embeds": """
        thread = threading.Thread(target=lambda: [model.encode(texts) for _ in range(3)])
        thread.start()
    """,
    "while a daemon thread embeds": """
        threading.Thread(
            target=lambda: [model.encode(texts) for _ in range(10**6)], daemon=True
        ).start()
        time.sleep(0.3)
    """,
    "in a function for the exit": "atexit.register(lambda: model.encode(texts[:2]))",
    "after a fork": """
        if os.fork() == 0:
            model.encode(texts)
            sys.exit(0)
        assert os.wait()[1] == 0
    """,
    "in a fork that does not use the model": """
        if os.fork() == 0:
            sys.exit(0)
        assert os.wait()[1] == 0
    """,
    "in a fork that drops the model": """
        if os.fork() == 0:
            del model
            sys.exit(0)
        assert os.wait()[1] == 0
    """,
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_end_of_a_program(tiny_model: Path, ending: str) -> None:
    start = f"""
        import atexit, os, sys, threading, time
        from edge_embed import Embedder
        texts = [f"a parcel {{number}}" for number in range(300)]
        model = Embedder({str(tiny_model)!r}, threads=2, cache=False)
    """
    program = textwrap.dedent(start) + textwrap.dedent(ENDINGS[ending])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=WAIT, check=False
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
