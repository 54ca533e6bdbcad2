"""The state of a server: its models, limits, keys, index and metrics."""

import asyncio
from collections.abc import Mapping, Sequence

from edge_embed.pairs.scorer import PairScorer
from edge_embed.server.auth import ApiKeys
from edge_embed.server.errors import StatusError
from edge_embed.server.hosts import AllowedHosts
from edge_embed.server.limits import Limits
from edge_embed.server.metrics import Metrics
from edge_embed.server.pair_encoder import PairEncoder
from edge_embed.server.pool import ModelPool
from edge_embed.server.request import HeldBytes
from edge_embed.server.served_model import ModelSource, ServedModel
from edge_embed.server.served_pairs import ServedPairs
from edge_embed.tasks import Index

__all__ = ["Service"]


class Service:
    """The models, limits, keys, index and metrics of one server."""

    def __init__(
        self,
        sources: Sequence[ModelSource],
        *,
        limits: Limits | None = None,
        memory_bytes: int | None = None,
        keys: ApiKeys | None = None,
        index: Index | None = None,
        aliases: Mapping[str, str] | None = None,
        auto_truncate: bool = True,
        pair_model: PairScorer | None = None,
    ) -> None:
        """Make a service; :meth:`start` loads the first model.

        Args:
            sources: The models; the first is used for requests that name none.
            limits: The server's limits.
            memory_bytes: The most bytes of weights in memory; None never unloads a model.
            keys: The API keys; None needs none.
            index: The index of ``/v1/search``, with vectors of the first model.
            aliases: Alias to model name.
            auto_truncate: Whether text-embeddings-inference's paths truncate texts over the limit,
                if a request does not say.
            pair_model: The pair model of ``/rerank``, ``/predict`` and ``/v1/pairs``.

        Raises:
            InputError: a name is given twice, or a model does not fit in the memory.
        """
        self.limits = limits or Limits()
        self.metrics = Metrics()
        self.keys = keys
        self.index = index
        self.auto_truncate = auto_truncate
        self._scorer = pair_model
        self._pairs: ServedPairs | None = None
        self._pair_encoder: PairEncoder | None = None
        self.held = HeldBytes()
        self.hosts: AllowedHosts | None = None
        """Host names that it answers to; None is any."""
        self.started = self.stopping = False
        self.pool = ModelPool(sources, self._open, memory_bytes=memory_bytes, aliases=aliases)
        self.metrics.watch_models(self._models)

    async def start(self) -> None:
        """Load the first model, and start the queue of the pair model.

        Raises:
            StatusError: the model cannot be loaded, or the index was made with another.
        """
        async with self.pool.use() as served:
            if self.index is not None:
                self.check_index(served)
        if self._scorer is not None:
            await self._start_pairs(self._scorer)
        self.started = True

    async def close(self) -> None:
        """Unload all models once their last request is done."""
        await self.pool.close()
        if self._pairs is not None:
            await asyncio.to_thread(self._pairs.close)
        if self._pair_encoder is not None:
            await self._pair_encoder.close()

    @property
    def ready(self) -> bool:
        """Whether the first model is loaded and the server is not stopping."""
        return self.started and not self.stopping

    def check_index(self, served: ServedModel) -> Index:
        """Return the index, if there is one and it was made with the model ``served``.

        Raises:
            StatusError: there is none (404), or it was made with another model (503).
        """
        if self.index is None:
            raise StatusError(404, "no index is attached: start the server with --index FILE")
        if self.index.facts.model and self.index.facts.model != served.fingerprint:
            raise StatusError(
                503,
                f"the index was made with another model than {served.name!r}, so their vectors "
                "cannot be compared: serve that model first, or make the index anew",
            )
        return self.index

    @property
    def pairs(self) -> ServedPairs | None:
        """The pair model, if one is served."""
        return self._pairs

    def require_pairs(self, *, one_score: bool = False) -> ServedPairs:
        """Return the pair model.

        Args:
            one_score: Whether it must give one score a pair, not several.

        Raises:
            StatusError: there is none (404), it gives several scores (424), or it is being loaded
                (503).
        """
        if self._pairs is None and self._scorer is not None:
            raise StatusError(503, "the pair model is being loaded")
        if self._pairs is None:
            raise StatusError(
                404, "no pair model is served: start the server with --pair-model MODEL"
            )
        count = len(self._pairs.scorer.labels)
        if one_score and count != 1:
            raise StatusError(
                424, f"{self._pairs.name} gives {count} numbers a pair, not one: use /predict"
            )
        return self._pairs

    async def _start_pairs(self, scorer: PairScorer) -> None:
        if scorer.cosine is not None:
            name = f"{scorer.name}/cosine"
            self._pair_encoder = PairEncoder(scorer.cosine, name, self.pool, self._open)
            await self._pair_encoder.start()
        self._pairs = await asyncio.to_thread(
            ServedPairs, scorer, self._pair_encoder, limits=self.limits, metrics=self.metrics
        )

    def _models(self) -> list[ServedModel | ServedPairs]:
        """Return every model in memory."""
        own = None if self._pair_encoder is None else self._pair_encoder.own
        others = (model for model in (self._pairs, own) if model is not None)
        return [*self.pool.loaded, *others]

    def _open(self, source: ModelSource) -> ServedModel:
        return ServedModel(
            source,
            limits=self.limits,
            metrics=self.metrics,
        )
