"""An index that is open in a process that forks: nothing is lost, nothing waits for ever."""

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_embed.errors import InputError
from edge_embed.tasks import Index
from edge_embed.tasks.index import connections

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def in_child(work: Callable[[], object]) -> None:
    """Run ``work`` in a forked process, which must come to its end."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def add(index: Index, *words: str) -> None:
    index.add(list(words), np.ones((len(words), 4)))


@pytest.fixture
def index(tmp_path: Path) -> Index:
    made = Index.create(tmp_path / "a.index", dim=4)
    add(made, "one", "two")
    return made


def test_what_a_child_adds_is_kept_when_the_parent_closes(index: Index, tmp_path: Path) -> None:
    ours, theirs = os.pipe()

    def work() -> None:
        add(index, "first")
        os.read(ours, 1)  # the parent has closed it
        add(index, "second", "third")

    thread = threading.Thread(target=in_child, args=(work,))
    thread.start()
    while len(index) < 3:
        pass
    add(index, "own")
    index.close()
    os.write(theirs, b"x")
    thread.join()
    with Index(tmp_path / "a.index") as again:
        assert len(again) == 6
    checked = sqlite3.connect(tmp_path / "a.index").execute("PRAGMA integrity_check").fetchall()
    assert checked == [("ok",)]


def test_both_sides_find_what_either_wrote(index: Index) -> None:
    def work() -> None:
        assert len(index.search(np.ones((1, 4)), k=9)[0]) == 2
        add(index, "three")
        assert len(index) == 3

    in_child(work)
    assert len(index.search(np.ones((1, 4)), k=9)[0]) == 3
    in_child(index.close)
    in_child(lambda: None)
    add(index, "four")
    assert len(index) == 4


def test_an_index_that_was_closed_stays_closed(index: Index) -> None:
    index.close()
    in_child(lambda: None)
    with pytest.raises(Exception, match="closed"):
        len(index)


def test_an_index_at_work_is_refused_in_the_child(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_FORK_WAIT", 0.1)

    def work() -> None:
        for use in (lambda: add(index, "lost"), lambda: Index(tmp_path / "a.index")):
            with pytest.raises(InputError, match="open it after the fork"):
                use()
        index.close()

    with index.store._connections.writer():
        in_child(work)
    with index.store._connections.reader():
        in_child(work)
    add(index, "three")
    assert len(index) == 3


def test_a_fork_waits_for_a_search_of_another_thread(index: Index) -> None:
    lent, go_on = threading.Event(), threading.Event()

    def read() -> None:
        with index.store._connections.reader():
            lent.set()
            go_on.wait(0.5)

    thread = threading.Thread(target=read)
    thread.start()
    assert lent.wait(60)
    in_child(lambda: add(index, "three"))
    thread.join()
    assert len(index) == 3
