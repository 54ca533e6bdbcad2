"""Who embeds texts for the cosine that a served pair model weighs in."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from edge_embed.errors import EdgeEmbedError
from edge_embed.pairs.cosine import CosineEncoder
from edge_embed.server.pool import ModelPool
from edge_embed.server.served_model import ModelSource, ServedModel

__all__ = ["PairEncoder"]


class PairEncoder:
    """The encoder of a served pair model: one that clients are served with, if it is the same.

    Else a copy of its own, with a queue of its own. All methods are for one event loop.
    """

    def __init__(
        self,
        encoder: CosineEncoder,
        name: str,
        pool: ModelPool,
        load: Callable[[ModelSource], ServedModel],
    ) -> None:
        """Know the encoder; see :meth:`start`.

        Args:
            encoder: What the pair model's folder names.
            name: What a copy of its own is called in metrics.
            pool: The models that are served.
            load: Loads one, in a thread.
        """
        self._encoder, self._pool, self._load = encoder, pool, load
        self._name = name
        self._served: str | None = None
        self._own: ServedModel | None = None
        self._loading = asyncio.Lock()
        self.fingerprint = ""
        """Of the encoder; none before :meth:`start`."""

    @property
    def own(self) -> ServedModel | None:
        """The copy of its own, if there is one."""
        return self._own

    async def start(self) -> None:
        """Find the encoder among the models that are served, or load it.

        Raises:
            ModelFormatError: its files are damaged.
        """
        self.fingerprint = await asyncio.to_thread(lambda: self._encoder.fingerprint)
        self._served = await asyncio.to_thread(self._find)
        if self._served is None:
            await self._load_own()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[ServedModel]:
        """Hold the encoder.

        Raises:
            StatusError: it cannot be loaded again (503).
            OverloadedError: models at work take the whole memory.
        """
        if self._served is not None:
            async with self._pool.use(self._served) as served:
                if await self._is_same(served):
                    yield served
                    return
            self._served = None  # its files have changed, and those of the encoder have not
        yield self._own or await self._load_own()

    async def close(self) -> None:
        """Finish what waits for the copy of its own, if there is one."""
        if self._own is not None:
            await asyncio.to_thread(self._own.close)

    def _find(self) -> str | None:
        for source in self._pool.sources:
            try:
                if source.fingerprint() == self.fingerprint:
                    return source.name
            except (EdgeEmbedError, OSError):  # told to whoever asks for that model
                continue
        return None

    async def _is_same(self, served: ServedModel) -> bool:
        if served.fingerprint != self.fingerprint:  # loaded anew, maybe with the encoder's files
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
