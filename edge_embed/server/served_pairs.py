"""A pair model that a server holds: the queue before it, and pairs to scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.model.fingerprint import folder_fingerprint
from edge_embed.pairs.cosine import PairTexts
from edge_embed.pairs.scorer import PairScorer, activated
from edge_embed.runtime.dynamic_batcher import DynamicBatcher
from edge_embed.runtime.pair_tokenizer import TokenizedPairs
from edge_embed.runtime.warm_up import run_every_shape
from edge_embed.server.errors import StatusError
from edge_embed.server.limits import Limits
from edge_embed.server.metrics import Metrics
from edge_embed.server.pair_encoder import PairEncoder
from edge_embed.server.request import Caller
from edge_embed.server.served_model import ServedModel

__all__ = ["ScoredPairs", "ServedPairs"]

Floats = npt.NDArray[np.float32]

# Characters that are tokenized at once; more would hold up other requests.
_FEW_CHARACTERS = 4096


@dataclass(frozen=True)
class ScoredPairs:
    """Scores and what they took."""

    scores: Floats
    """(pairs, labels)."""
    tokens: int
    """Tokens read."""
    truncated: int
    """Pairs that were cut."""


class ServedPairs:
    """A loaded pair model and the queue before it."""

    def __init__(
        self,
        scorer: PairScorer,
        encoder: PairEncoder | None,
        *,
        limits: Limits,
        metrics: Metrics,
    ) -> None:
        """Start the queue; every shape is compiled first, so that no request waits for it.

        Args:
            scorer: The model.
            encoder: What embeds texts for the cosine that the model weighs in, if it does.
            limits: What the server takes at most.
            metrics: Where pairs are counted.
        """
        self.scorer, self.name = scorer, scorer.name
        self._encoder, self._metrics = encoder, metrics
        self.variant = scorer.variant
        self.fingerprint = folder_fingerprint(scorer.config, scorer.variant)
        run_every_shape(scorer.engine, scorer.planner, dim=scorer.config.dim)
        self._batcher = DynamicBatcher(
            scorer.engine,
            scorer.planner,
            dim=len(scorer.labels),
            queue_tokens=limits.queue_tokens,
            observe=lambda report: metrics.observe_batch(self.name, report),
        )

    def weighs(self, served: ServedModel) -> bool:
        """Whether a model is the encoder whose cosine this one weighs in."""
        return self._encoder is not None and self._encoder.fingerprint == served.fingerprint

    async def score(
        self,
        caller: Caller,
        pairs: Sequence[Any],
        *,
        cosines: Floats | None = None,
        raw: bool = False,
        cut: bool = True,
    ) -> ScoredPairs:
        """Score pairs, together with those of other requests.

        Args:
            caller: Who asks.
            pairs: Two texts each.
            cosines: Float32 (pairs,), where they are known of the encoder (:meth:`weighs`).
            raw: Give the model's own outputs, before any activation.
            cut: Cut pairs over the limit, or refuse them.

        Raises:
            StatusError: there are too many (413), or no result in time (503).
            InputError: a pair is not two texts.
            TextTooLongError: a pair is over the limit, and is not to be cut.
            OverloadedError: too much is waiting.
        """
        caller.add_texts(len(pairs))
        batcher = self._batcher
        batcher.check_room(len(pairs))
        with caller.stage("tokenize"):
            if _characters(pairs) > _FEW_CHARACTERS:
                tokenized = await caller.run("long", lambda: self._tokenize(pairs))
            else:
                tokenized = self._tokenize(pairs)
        if not cut:
            self.scorer.refuse_cut(tokenized.truncated)
        tokens = sum(map(len, tokenized.ids))
        if tokens > batcher.queue_tokens:
            raise StatusError(
                413,
                f"the request has {tokens} tokens, the server takes {batcher.queue_tokens}: send "
                "fewer pairs at a time",
            )
        if cosines is None and self._encoder is not None:
            cosines = await self._cosines(caller, self._encoder, pairs)
        with caller.stage("compute"):
            outputs = await caller.result(batcher.submit(tokenized.pairs))
        if self.scorer.cosine is not None and cosines is not None:
            outputs = outputs + self.scorer.cosine.share.added(cosines)
        self._metrics.texts.labels(self.name).inc(len(pairs))
        self._metrics.truncated.labels(self.name).inc(len(tokenized.truncated))
        scores = activated(outputs, "identity" if raw else self.scorer.config.activation)
        return ScoredPairs(scores, tokens, len(tokenized.truncated))

    @property
    def waiting_tokens(self) -> int:
        """Tokens that wait for this model."""
        return self._batcher.waiting_tokens

    def close(self) -> None:
        """Finish what waits and end the threads."""
        self._batcher.close()

    async def _cosines(self, caller: Caller, encoder: PairEncoder, pairs: Sequence[Any]) -> Floats:
        texts = PairTexts.of(pairs)
        async with encoder.use() as served:
            return texts.cosines(await served.unit_vectors(caller, texts.texts))

    def _tokenize(self, pairs: Sequence[Any]) -> TokenizedPairs:
        return self.scorer.tokenizer.pairs(pairs)


def _characters(pairs: Sequence[Any]) -> int:
    return sum(len(text) for pair in pairs for text in pair)
