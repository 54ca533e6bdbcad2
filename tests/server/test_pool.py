"""The models of a server: loaded when asked for, unloaded for room, loaded again."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from edge_embed import Embedder
from edge_embed.errors import InputError, ModelFormatError, OverloadedError
from edge_embed.server import ModelSource
from edge_embed.server.errors import StatusError
from edge_embed.server.limits import Limits
from edge_embed.server.metrics import Metrics
from edge_embed.server.pool import ModelPool
from edge_embed.server.served_model import ServedModel
from tests.support.serving import source


class Pool:
    """A pool that says which models it loads."""

    def __init__(self, folder: Path, names: str, memory_bytes: int | None = None) -> None:
        self.opened: list[str] = []
        sources = [
            ModelSource(name, lambda: Embedder(folder, cache=False), folder, 10) for name in names
        ]
        self.pool = ModelPool(sources, self.open, memory_bytes=memory_bytes)

    def open(self, source: ModelSource) -> ServedModel:
        self.opened.append(source.name)
        return ServedModel(source, limits=Limits(queue_tokens=1000), metrics=Metrics())

    @property
    def loaded(self) -> str:
        return "".join(model.name for model in self.pool.loaded)

    def test(self, test: Callable[[ModelPool], Awaitable[None]]) -> None:
        async def run() -> None:
            await test(self.pool)
            await self.pool.close()

        asyncio.run(run())


def test_a_model_is_loaded_once_when_it_is_asked_for(tiny_model: Path) -> None:
    held = Pool(tiny_model, "ab")

    async def test(pool: ModelPool) -> None:
        async def ask() -> None:
            async with pool.use("b") as served:
                assert served.name == "b"

        await asyncio.gather(*(ask() for _ in range(5)))
        assert held.opened == ["b"]
        async with pool.use() as served:
            assert served.name == "a"
        with pytest.raises(StatusError, match="the models are: a, b") as wrong:
            await pool.use("c").__aenter__()
        assert wrong.value.status == 404

    held.test(test)


def test_the_one_that_was_used_least_recently_makes_room(tiny_model: Path) -> None:
    held = Pool(tiny_model, "abc", memory_bytes=20)

    async def test(pool: ModelPool) -> None:
        for name in "abac":
            async with pool.use(name):
                pass
        assert held.loaded == "ac"
        assert held.opened == ["a", "b", "c"]
        async with pool.use("a") as a, pool.use("c"):
            with pytest.raises(OverloadedError, match="no memory for another"):
                await pool.use("b").__aenter__()
            a.batcher.submit([a.embedder.tokenizer(["x"]).ids[0]]).result(20)
        async with pool.use("b"):
            assert held.loaded == "cb"

    held.test(test)


def test_a_model_that_is_put_away_in_use_is_closed_after_it(
    tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    held = Pool(folder, "a")

    async def test(pool: ModelPool) -> None:
        async with pool.use() as old:
            await pool.reload()
            async with pool.use() as same:
                assert same is old
            (folder / "README.md").write_text("changed")
            await pool.reload()
            async with pool.use() as new:
                assert new is not old
            ids = [old.embedder.tokenizer(["x"]).ids[0]]
            old.batcher.submit(ids).result(20)
        while True:  # closed by a thread
            try:
                old.batcher.submit(ids).result(20)
            except OverloadedError:
                break
            await asyncio.sleep(0.001)

    held.test(test)


def test_no_third_copy_is_loaded_while_the_first_is_in_use(
    tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    held = Pool(folder, "a")

    async def test(pool: ModelPool) -> None:
        async with pool.use():
            (folder / "README.md").write_text("changed")
            await pool.reload()
            assert held.opened == ["a", "a"]
            (folder / "README.md").write_text("changed again")
            third = asyncio.create_task(pool.reload())
            await asyncio.sleep(0.5)
            assert held.opened == ["a", "a"], "the first is still in memory"
        await third
        assert held.opened == ["a", "a", "a"]

    held.test(test)


def test_a_model_that_cannot_be_loaded_is_tried_again(tiny_model: Path) -> None:
    failing = [True]

    def load() -> Embedder:
        if failing.pop():
            raise ModelFormatError("a file is missing")
        return Embedder(tiny_model, cache=False)

    held = Pool(tiny_model, "")
    held.pool = ModelPool([ModelSource("a", load, tiny_model, 1)], held.open)

    async def test(pool: ModelPool) -> None:
        with pytest.raises(StatusError, match="'a' cannot be loaded; the server's log") as failed:
            await pool.use().__aenter__()
        assert failed.value.status == 503
        failing.append(False)
        async with pool.use() as served:
            assert served.name == "a"

    held.test(test)


def test_who_gives_up_waiting_leaves_the_load_to_others(tiny_model: Path) -> None:
    held = Pool(tiny_model, "a")

    async def test(pool: ModelPool) -> None:
        async def ask() -> str:
            async with pool.use() as served:
                return served.name

        first, second = asyncio.create_task(ask()), asyncio.create_task(ask())
        await asyncio.sleep(0)
        first.cancel()
        assert await second == "a"
        assert held.opened == ["a"]

    held.test(test)


def test_names_and_sizes_are_checked(tiny_model: Path) -> None:
    with pytest.raises(InputError, match="two models have the same name"):
        Pool(tiny_model, "aa")
    with pytest.raises(InputError, match=r"'a' take 0\.0 MB, the limit for all is 0\.0 MB"):
        Pool(tiny_model, "a", memory_bytes=9)
    found = ModelSource.find(None, str(tiny_model), lambda: Embedder(tiny_model))
    assert found.name == tiny_model.name
    assert found.weights_bytes > 10_000
    assert source(tiny_model, "x").name == "x"
