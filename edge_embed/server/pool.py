"""The models of a server: loaded at the first request, unloaded for memory, and reloaded.

Requests use a model within :meth:`ModelPool.use`. A model that is unloaded meanwhile is closed when
its last request is done, so that none is dropped.
"""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from edge_embed.errors import EdgeEmbedError, InputError, OverloadedError
from edge_embed.model.config import ModelConfig
from edge_embed.server.errors import StatusError
from edge_embed.server.memory import return_memory
from edge_embed.server.names import ROLE_PROMPTS, ModelNames, Named
from edge_embed.server.served_model import ModelSource, ServedModel

__all__ = ["ModelPool"]

_log = logging.getLogger("edge_embed.server")

# The longest wait, before a model is loaded, for those that were unloaded and are still in use.
_CLOSING_SECONDS = 60.0


@dataclass(eq=False)
class _Held:
    model: ServedModel
    users: int = 0
    retired: bool = False
    closed: asyncio.Event = field(default_factory=asyncio.Event)


class ModelPool:
    """Models by name. All methods are for one event loop."""

    def __init__(
        self,
        sources: Sequence[ModelSource],
        load: Callable[[ModelSource], ServedModel],
        *,
        memory_bytes: int | None = None,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        """Make a pool; no model is loaded yet.

        Args:
            sources: At least one model; the first is used for requests without a model's name.
            load: Loads a model; it is called in a thread.
            memory_bytes: The most bytes of weights in memory; None never unloads a model.
            aliases: Alias to name.

        Raises:
            InputError: a name is there twice, or a model does not fit the memory by itself.
        """
        self._sources = {source.name: source for source in sources}
        if len(self._sources) < len(sources):
            raise InputError("two models have the same name: name them apart (--model NAME=DIR)")
        self.names = ModelNames([source.name for source in sources], aliases or {})
        for source in sources:
            if memory_bytes is not None and source.weights_bytes > memory_bytes:
                raise InputError(
                    f"the weights of {source.name!r} take {source.weights_bytes / 1e6:.1f} MB, the "
                    f"limit for all is {memory_bytes / 1e6:.1f} MB: raise it or leave the model out"
                )
        self._open, self._memory_bytes = load, memory_bytes
        self._held: dict[str, _Held] = {}  # least recently used first
        self._loads: dict[str, asyncio.Task[None]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._retired: set[_Held] = set()  # until they are closed
        self._closing: set[asyncio.Task[None]] = set()

    def source(self, name: str) -> ModelSource:
        """Return the model with this name, which is not an alias."""
        return self._sources[name]

    @property
    def sources(self) -> list[ModelSource]:
        """Every model, loaded or not, the default first."""
        return list(self._sources.values())

    def offered(self) -> dict[str, Named]:
        """Return all names that clients may use, with those of roles for models with prompts."""
        offered = dict(self.names.all)
        for name, named in self.names.all.items():
            prompts = ModelConfig.from_folder(self._sources[named.model].folder).prompts
            for role, known in ROLE_PROMPTS.items():
                if named.role is None and any(prompts.get(prompt) for prompt in known):
                    offered[f"{name}:{role}"] = Named(named.model, role)
        return offered

    @property
    def loaded(self) -> list[ServedModel]:
        """The models in memory."""
        return [held.model for held in self._held.values()]

    @asynccontextmanager
    async def use(self, name: str | None = None) -> AsyncIterator[ServedModel]:
        """Yield a model, which is loaded first if necessary; None is the default model.

        Raises:
            StatusError: there is none of this name (404), or it cannot be loaded (503).
            OverloadedError: models in use take all of the memory.
        """
        name = self.names.find(name).model
        while (held := self._held.get(name)) is None:
            await self._load(name)
        self._held[name] = self._held.pop(name)  # now the most recently used
        held.users += 1
        try:
            yield held.model
        finally:
            held.users -= 1
            self._close_if_unused(held)

    async def reload(self) -> None:
        """Reload models whose folder has changed; if that fails, the old one stays in use."""
        async with self._one_at_a_time:
            for name, old in list(self._held.items()):
                try:
                    if await asyncio.to_thread(self._sources[name].stamp) == old.model.stamp:
                        continue
                    await self._others_closed()
                    model = await asyncio.to_thread(self._open, self._sources[name])
                except Exception as error:  # noqa: BLE001 - a bad folder must not end a server
                    _log.error("the model %r stays as it was: %.1000s", name, error)
                    continue
                self._held[name] = _Held(model)
                self._retire(old)
                _log.info("the model %r is loaded anew", name)

    async def close(self) -> None:
        """Unload all models, and wait until their last request and batch are done.

        The process must not end before: OpenVINO's threads would be destroyed while they compute.
        """
        for name in list(self._held):
            self._retire(self._held.pop(name))
        await asyncio.gather(*(held.closed.wait() for held in self._retired))

    async def _load(self, name: str) -> None:
        # A separate task, as the request that started it may be cancelled while others wait.
        task = self._loads.get(name)
        if task is None:
            task = self._loads[name] = asyncio.create_task(self._load_now(name))
            task.add_done_callback(lambda _: self._loads.pop(name))
        await asyncio.shield(task)

    async def _load_now(self, name: str) -> None:
        async with self._one_at_a_time:
            self._make_room(self._sources[name].weights_bytes)
            await self._others_closed()
            try:
                model = await asyncio.to_thread(self._open, self._sources[name])
            except (EdgeEmbedError, OSError) as error:
                _log.error("the model %r cannot be loaded: %s", name, error)
                raise StatusError(
                    503, f"the model {name!r} cannot be loaded; the server's log says why"
                ) from error
            self._held[name] = _Held(model)
            _log.info("the model %r is loaded", name)

    async def _others_closed(self) -> None:
        """Wait for unloaded models, so that not a third copy comes on top of their memory."""
        closings = [asyncio.ensure_future(held.closed.wait()) for held in self._retired]
        if closings:
            _, late = await asyncio.wait(closings, timeout=_CLOSING_SECONDS)
            for each in late:
                each.cancel()

    def _make_room(self, size: int) -> None:
        if self._memory_bytes is None:
            return
        taken = sum(model.source.weights_bytes for model in self.loaded)
        idle = [name for name, held in self._held.items() if not held.users]
        for name in idle:
            if taken + size <= self._memory_bytes:
                return
            held = self._held.pop(name)
            taken -= held.model.source.weights_bytes
            self._retire(held)
            _log.info("the model %r is unloaded to make room", name)
        if taken + size > self._memory_bytes:
            raise OverloadedError("the models at work leave no memory for another; try again")

    def _retire(self, held: _Held) -> None:
        held.retired = True
        self._retired.add(held)
        self._close_if_unused(held)

    def _close_if_unused(self, held: _Held) -> None:
        if held.retired and not held.users:
            task = asyncio.create_task(self._close(held))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _close(self, held: _Held) -> None:
        await asyncio.to_thread(held.model.close)
        self._retired.discard(held)
        del held.model
        # The compiled model is in reference cycles, and old objects are rarely collected.
        await asyncio.to_thread(_free)
        held.closed.set()


def _free() -> None:
    """Return the memory of unloaded models to the system."""
    gc.collect()
    return_memory()
