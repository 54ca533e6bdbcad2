"""The folder of compiled models: what is in it is checked, and it does not grow for ever."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_embed import Embedder
from edge_embed.runtime.compile_cache import cached, default_cache_dir, prune, why_not_safe

DAY = 24 * 3600


def blob(folder: Path, name: str, *, size: int, days: float) -> Path:
    file = folder / name
    file.write_bytes(bytes(size))
    used = time.time() - days * DAY
    os.utime(file, (used, used))
    return file


def test_the_oldest_go_until_the_rest_fits(tmp_path: Path) -> None:
    for number, days in enumerate((9, 0.5, 3, 7)):
        blob(tmp_path, f"{number}.blob", size=100, days=days)
    blob(tmp_path, "mine.txt", size=1000, days=99)
    prune(tmp_path, max_bytes=400)
    assert len(list(tmp_path.glob("*.blob"))) == 4
    prune(tmp_path, max_bytes=250)
    assert {file.name for file in tmp_path.iterdir()} == {"1.blob", "2.blob", "mine.txt"}
    prune(tmp_path, max_bytes=0)  # what was used today stays
    assert {file.name for file in tmp_path.iterdir()} == {"1.blob", "mine.txt"}
    prune(tmp_path / "none")


def test_loading_prunes_the_users_folder_and_no_other(tiny_model: Path, tmp_path: Path) -> None:
    user = default_cache_dir()
    assert user is not None
    user.mkdir(parents=True, exist_ok=True)
    old = [blob(folder, "0.blob", size=0, days=99) for folder in (user, tmp_path)]
    for file in old:
        os.truncate(file, 300 * 2**20)  # without blocks on disk
        os.utime(file, (1e9, 1e9))
    Embedder(tiny_model, cache=tmp_path)
    assert [file.exists() for file in old] == [True, True]
    Embedder(tiny_model)
    assert [file.exists() for file in old] == [False, True]
    assert len(list(user.glob("*/*.blob"))) >= 1


@pytest.mark.parametrize("now", [1e8, 1e11])  # 1973, and 3,000 years from now
def test_a_clock_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    engine = Engine()
    cached(tmp_path, "key", engine)
    monkeypatch.setattr(time, "time", lambda: now)
    cached(tmp_path, "key", engine)
    assert engine.compiled == 1
    prune(tmp_path, max_bytes=0)
    assert (tmp_path / "key").exists() == (now < 1e9), "at worst it is compiled again"


def test_an_entry_that_is_pruned_goes_as_a_whole(tmp_path: Path) -> None:
    cached(tmp_path, "old", Engine())
    (mine := tmp_path / "mine").mkdir()
    for file in (tmp_path / "old" / "1.blob", blob(mine, "2.blob", size=9, days=9)):
        os.utime(file, (1e9, 1e9))
    prune(tmp_path, max_bytes=0)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "2.blob"]


class Engine:
    """Stands for what compiles: takes a file that is there, or writes it; counts what it wrote."""

    def __init__(self, name: str = "1.blob") -> None:
        self.name, self.compiled = name, 0

    def __call__(self, folder: Path | None) -> bytes:
        if folder is not None and (folder / self.name).exists():
            return (folder / self.name).read_bytes()
        self.compiled += 1
        if folder is not None:
            (folder / self.name).write_bytes(b"compiled")
        return b"compiled"


def test_an_entry_is_taken_as_long_as_it_is_whole(tmp_path: Path) -> None:
    engine = Engine()
    assert [cached(tmp_path / "root", "key", engine) for _ in range(3)] == [b"compiled"] * 3
    assert engine.compiled == 1
    assert (tmp_path / "root").stat().st_mode & 0o077 == 0
    assert {path.name for path in tmp_path.rglob("*")} == {"root", "key", "1.blob", SUMS}


def change(entry: Path, content: bytes) -> None:
    (entry / "1.blob").write_bytes(content)


def link(entry: Path) -> None:
    (entry / "1.blob").rename(entry.parent.parent / "foreign")
    (entry / "1.blob").symlink_to(entry.parent.parent / "foreign")


SUMS = "checksums.json"
DAMAGES: dict[str, Callable[[Path], object]] = {
    "a bit": lambda entry: change(entry, b"compiled"[:-1] + b"e"),
    "cut": lambda entry: change(entry, b"compi"),
    "empty": lambda entry: change(entry, b""),
    "gone": lambda entry: (entry / "1.blob").unlink(),
    "no sums": lambda entry: (entry / SUMS).unlink(),
    "broken sums": lambda entry: (entry / SUMS).write_text("{"),
    "sums of another kind": lambda entry: (entry / SUMS).write_text("[1]"),
    "one more file": lambda entry: (entry / "2.blob").write_bytes(b"foreign"),
    "a folder in it": lambda entry: (entry / "folder").mkdir(),
    "another name": lambda entry: (entry / "1.blob").rename(entry / "2.blob"),
    "a link": link,
    "open to all": lambda entry: (entry / "1.blob").chmod(0o666),
    "a file": lambda entry: entry.rename(entry.parent.parent / "foreign"),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_damaged_or_foreign_entry_is_compiled_anew(tmp_path: Path, damage: str) -> None:
    root, engine = tmp_path / "root", Engine()
    cached(root, "key", engine)
    DAMAGES[damage](root / "key")
    if damage == "a file":
        (root / "key").touch()
        with pytest.warns(UserWarning, match="not cached, every start will be slower"):
            assert cached(root, "key", engine) == b"compiled"
        return
    assert cached(root, "key", engine) == b"compiled"
    assert engine.compiled == 2
    assert cached(root, "key", engine) == b"compiled"
    assert engine.compiled == 2, "the new one is taken from now on"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to give files away")
def test_entries_and_folders_of_another_user_are_not_taken(tmp_path: Path) -> None:
    engine = Engine()
    cached(tmp_path, "key", engine)
    os.chown(tmp_path / "key" / "1.blob", 12345, -1)
    cached(tmp_path, "key", engine)
    assert engine.compiled == 2
    os.chown(tmp_path, 12345, -1)
    with pytest.warns(UserWarning, match="belongs to another user: set XDG_CACHE_HOME"):
        cached(tmp_path, "key", engine)
    assert engine.compiled == 3


def test_a_folder_that_everybody_may_write_is_not_used(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.warns(UserWarning, match="can be written by everybody: chmod o-w it"):
        assert cached(tmp_path, "key", Engine()) == b"compiled"
    assert list(tmp_path.iterdir()) == []
    tmp_path.chmod(0o1777)  # as /tmp: others cannot remove what is ours
    assert why_not_safe(tmp_path) == ""


def test_what_the_engine_does_not_take_is_removed(tmp_path: Path) -> None:
    cached(tmp_path, "key", Engine("1.blob"))
    newer = Engine("2.blob")
    cached(tmp_path, "key", newer)  # writes into an entry that others may be reading
    assert list(tmp_path.iterdir()) == []
    cached(tmp_path, "key", newer)
    cached(tmp_path, "key", newer)
    assert newer.compiled == 2


def test_unfinished_entries_are_removed_when_they_are_old(tmp_path: Path) -> None:
    old, young = (tmp_path / f".key.{name}.part" for name in ("old", "young"))
    for part in (old, young):
        part.mkdir()
    os.utime(old, (1e9, 1e9))

    def fails(folder: Path | None) -> bytes:
        raise RuntimeError("cannot be compiled")

    with pytest.raises(RuntimeError, match="cannot be compiled"):
        cached(tmp_path, "key", fails)
    assert list(tmp_path.iterdir()) == [young]


def test_a_full_disk_costs_the_cache_alone(small_disk: Callable[[str], Path]) -> None:
    disk = small_disk("64k")
    (disk / "rest").write_bytes(bytes(60 * 1024))
    with pytest.warns(UserWarning, match="compiled models are not cached"):
        assert cached(disk, "key", lambda _: b"compiled") == b"compiled"
    assert [path.name for path in disk.iterdir()] == ["rest"]


def test_many_at_once_have_one_entry(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)
    results: list[bytes] = []

    def start() -> None:
        barrier.wait()
        results.extend(cached(tmp_path, "key", Engine()) for _ in range(20))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [b"compiled"] * 160
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_flipped_bit_of_a_compiled_model_changes_no_vector(
    tiny_model: Path, tmp_path: Path
) -> None:
    expected = Embedder(tiny_model, cache=tmp_path).encode(["a parcel"])
    (file,) = tmp_path.glob("*/*.blob")
    whole = file.read_bytes()
    file.chmod(0o600)
    # Weights are most of the file; the engine would read them as they are.
    damaged = bytearray(whole)
    damaged[len(whole) // 3] ^= 64
    file.write_bytes(damaged)
    vectors = Embedder(tiny_model, cache=tmp_path).encode(["a parcel"])
    np.testing.assert_array_equal(vectors, expected)
    (file,) = tmp_path.glob("*/*.blob")
    assert file.read_bytes() != damaged
    rebuilt = file.stat().st_mtime_ns
    Embedder(tiny_model, cache=tmp_path)
    assert file.stat().st_mtime_ns == rebuilt, "taken as it is"
