"""The folder of compiled models does not grow for ever."""

import os
import time
from pathlib import Path

from edge_embed import Embedder
from edge_embed.runtime.compile_cache import default_cache_dir, prune

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
    assert len(list(user.glob("*.blob"))) >= 1
