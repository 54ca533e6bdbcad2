"""A pair model of the server, with its queue."""

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

# Pairs with more characters are tokenized in a thread, not to block the event loop.
_FEW_CHARACTERS = 4096


@dataclass(frozen=True)
class ScoredPairs:
    """The scores of a request's pairs."""

    scores: Floats
    """Float32 (pairs, labels)."""
    tokens: int
    """Number of tokens of all pairs."""
    truncated: int
    """Number of pairs that were cut."""


class ServedPairs:
    """A loaded pair model with its queue."""

    def __init__(
        self,
        scorer: PairScorer,
        encoder: PairEncoder | None,
        *,
        limits: Limits,
        metrics: Metrics,
    ) -> None:
        """Compile every input shape, so that no request waits for it, and start the queue.

        Args:
            scorer: The model.
            encoder: The encoder of the cosine that is added to the output; None if there is none.
            limits: The server's limits.
            metrics: The server's metrics.
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

    def adds_cosine_of(self, served: ServedModel) -> bool:
        """Return whether a model is the encoder whose cosine is added to this one's output."""
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
            caller: The request.
            pairs: Two texts each.
            cosines: The cosine of each pair if known (:meth:`adds_cosine_of`), float32 (pairs,).
            raw: Return logits, without the activation.
            cut: Cut pairs over the token limit, instead of refusing them.

        Raises:
            StatusError: there are too many pairs (413), or no result in time (503).
            InputError: a pair is not two strings.
            TextTooLongError: a pair is over the limit, with ``cut=False``.
            OverloadedError: the queue is full.
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
            share = self.scorer.cosine.share
            outputs = share.combined(outputs, cosines, tokenized.overlaps)
        self._metrics.texts.labels(self.name).inc(len(pairs))
        self._metrics.truncated.labels(self.name).inc(len(tokenized.truncated))
        scores = activated(outputs, "identity" if raw else self.scorer.config.activation)
        return ScoredPairs(scores, tokens, len(tokenized.truncated))

    @property
    def waiting_tokens(self) -> int:
        """Number of tokens in the queue."""
        return self._batcher.waiting_tokens

    def close(self) -> None:
        """Finish the queue and end its threads."""
        self._batcher.close()

    async def _cosines(self, caller: Caller, encoder: PairEncoder, pairs: Sequence[Any]) -> Floats:
        texts = PairTexts.of(pairs)
        async with encoder.use() as served:
            return texts.cosines(await served.unit_vectors(caller, texts.texts))

    def _tokenize(self, pairs: Sequence[Any]) -> TokenizedPairs:
        return self.scorer.tokenizer.pairs(pairs)


def _characters(pairs: Sequence[Any]) -> int:
    return sum(len(text) for pair in pairs for text in pair)
