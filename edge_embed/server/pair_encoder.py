"""The encoder of a served pair model, for the cosine that is added to the model's output."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from edge_embed.errors import EdgeEmbedError
from edge_embed.pairs.cosine import CosineEncoder
from edge_embed.server.pool import ModelPool
from edge_embed.server.served_model import ModelSource, ServedModel

__all__ = ["PairEncoder"]


class PairEncoder:
    """The encoder of a served pair model: a model of the server, if there is the same.

    Otherwise it is loaded in addition, with a queue of its own. For one event loop.
    """

    def __init__(
        self,
        encoder: CosineEncoder,
        name: str,
        pool: ModelPool,
        load: Callable[[ModelSource], ServedModel],
    ) -> None:
        """Store the arguments; :meth:`start` finds or loads the encoder.

        Args:
            encoder: The encoder that the pair model's folder names.
            name: The name in metrics of an encoder that is loaded in addition.
            pool: The server's models.
            load: Loads a model; called in a thread.
        """
        self._encoder, self._pool, self._load = encoder, pool, load
        self._name = name
        self._served: str | None = None
        self._own: ServedModel | None = None
        self._loading = asyncio.Lock()
        self.fingerprint = ""
        """The encoder's fingerprint; "" before :meth:`start`."""

    @property
    def own(self) -> ServedModel | None:
        """The encoder if it was loaded in addition, else None."""
        return self._own

    async def start(self) -> None:
        """Find the encoder among the server's models, or load it.

        Raises:
            ModelFormatError: its files are damaged.
        """
        self.fingerprint = await asyncio.to_thread(lambda: self._encoder.fingerprint)
        self._served = await asyncio.to_thread(self._find)
        if self._served is None:
            await self._load_own()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[ServedModel]:
        """Give the encoder, which is not unloaded within the block.

        Raises:
            StatusError: it cannot be loaded again (503).
            OverloadedError: models in use take all of the memory.
        """
        if self._served is not None:
            async with self._pool.use(self._served) as served:
                if await self._is_same(served):
                    yield served
                    return
            self._served = None  # its files have changed, and those of the encoder have not
        yield self._own or await self._load_own()

    async def close(self) -> None:
        """Finish the queue of an encoder that was loaded in addition, and end its threads."""
        if self._own is not None:
            await asyncio.to_thread(self._own.close)

    def _find(self) -> str | None:
        for source in self._pool.sources:
            try:
                if source.fingerprint() == self.fingerprint:
                    return source.name
            except (EdgeEmbedError, OSError):  # reported to requests for that model
                continue
        return None

    async def _is_same(self, served: ServedModel) -> bool:
        if served.fingerprint != self.fingerprint:  # reloaded, maybe with the encoder's files
            self.fingerprint = await asyncio.to_thread(lambda: self._encoder.fingerprint)
        return served.fingerprint == self.fingerprint

    async def _load_own(self) -> ServedModel:
        async with self._loading:
            if self._own is None:
                source = await asyncio.to_thread(
                    ModelSource.find,
                    self._name,
                    str(self._encoder.config.folder),
                    lambda: self._encoder.embedder,
                )
                self._own = await asyncio.to_thread(self._load, source)
            return self._own
