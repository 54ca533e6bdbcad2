"""Tokenize pairs of texts, joined as the model's own tokenizer.json says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError
from edge_embed.runtime.long_texts import (
    MAX_CHARACTERS,
    SPARE_TOKENS,
    beginning,
    ending,
    first_window,
    groups,
)
from edge_embed.runtime.text_checks import check_texts, no_panic
from edge_embed.runtime.tokenized_texts import TokenIds
from edge_embed.runtime.tokenizer import Tokenizer

__all__ = ["PairIds", "PairTokenizer", "TokenizedPairs"]

Pair = Sequence[str]
"""Two texts."""


@dataclass(frozen=True)
class PairIds:
    """A pair as token ids, special tokens included."""

    ids: TokenIds
    """Int64 (tokens,)."""
    second: int
    """Index of the first token of type 1."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class TokenizedPairs:
    """Token ids of pairs, special tokens included, truncated at the model's limit."""

    ids: list[TokenIds]
    """One int64 array a pair, shape (tokens,)."""
    second: npt.NDArray[np.int64]
    """Index of each pair's first token of type 1, shape (pairs,)."""
    full_lengths: npt.NDArray[np.int64]
    """Tokens of each pair before truncation, shape (pairs,)."""
    overlaps: npt.NDArray[np.float32]
    """Share of the distinct tokens of a pair that both its texts have, shape (pairs,)."""

    @property
    def truncated(self) -> npt.NDArray[np.int64]:
        """Indices of the pairs that were truncated, int64."""
        lengths = np.fromiter((len(ids) for ids in self.ids), np.int64, len(self.ids))
        return np.flatnonzero(self.full_lengths > lengths)

    @property
    def pairs(self) -> list[PairIds]:
        """The pairs one by one, as the planner takes them."""
        return list(map(PairIds, self.ids, self.second.tolist()))


class PairTokenizer(Tokenizer):
    """The tokenizer of a pair model's folder. Safe to share between threads."""

    @cached_property
    def types(self) -> int:
        """The number of token types (segment ids): 2 if the two texts differ in type, or 1."""
        return 1 + max(self._tokenizer.encode("a", "b").type_ids, default=0)

    def pairs(self, pairs: Sequence[Pair], *, start: int = 0) -> TokenizedPairs:
        """Tokenize pairs; over the limit the longer text is truncated first, then both equally.

        Args:
            pairs: n pairs.
            start: The index of ``pairs[0]`` in the caller's whole input, for errors.

        Raises:
            InputError: an item is not two strings, or cannot be written as UTF-8.
        """
        prepared = [self._pair(pair, number) for number, pair in enumerate(pairs, start)]
        short = self._shortened({text for pair in prepared for text in pair})
        if short:
            prepared = [(short.get(a, a), short.get(b, b)) for a, b in prepared]
        full, second = np.empty(len(prepared), np.int64), np.empty(len(prepared), np.int64)
        overlaps = np.empty(len(prepared), np.float32)
        ids: list[npt.NDArray[np.int64]] = []
        for number, encoding in enumerate(self._encode_pairs(prepared)):
            full[number] = len(encoding)
            overlaps[number] = _overlap(encoding)
            kept, types = np.asarray(encoding.ids, np.int64), np.asarray(encoding.type_ids)
            if len(kept) > self.max_length:
                places = self._longest_first(encoding)
                kept, types = kept[places], types[places]
            ids.append(kept)
            second[number] = len(kept) - np.count_nonzero(types)
        return TokenizedPairs(ids, second, full, overlaps)

    def _encode_pairs(self, pairs: Sequence[tuple[str, str]]) -> Iterator[Any]:
        """Yield the tokenizer's encoding of each pair; only a group of pairs is held at a time."""
        for group in groups(pairs, lambda pair: len(pair[0]) + len(pair[1])):
            try:
                with no_panic("the tokenizer cannot read a pair"):
                    encodings = self._tokenizer.encode_batch(group)
            except (TypeError, UnicodeEncodeError):
                check_texts([text for pair in pairs for text in pair])
                raise
            yield from encodings

    def _shortened(self, texts: set[str]) -> dict[str, str]:
        """Map each long text to a part with at least as many tokens as a pair can keep of it.

        Otherwise a query of megabytes would be tokenized whole with each of its documents.
        """
        most = first_window(self.max_length)
        return {text: self._start(text, most) for text in texts if len(text) > most}

    def _start(self, text: str, window: int) -> str:
        """Return the part of a text that a pair can keep, from the end that is not cut off."""
        from_end, most = self._side == "left", self.max_length + SPARE_TOKENS
        while True:
            part = (ending if from_end else beginning)(text, window)
            (encoding,) = self._encode([part], named=True)
            spans = [span for span in encoding.offsets if span[1]]  # special tokens have none
            if len(spans) > most:
                return part[spans[-most][0] :] if from_end else part[: spans[most - 1][1]]
            if len(part) == len(text) or window >= MAX_CHARACTERS:
                return part
            window *= 4

    def _pair(self, pair: Pair, number: int) -> tuple[str, str]:
        whole = not isinstance(pair, str) and len(pair) == 2
        if not whole or not all(isinstance(text, str) for text in pair):
            raise InputError(f"pair {number} is not two texts: give (text, text)")
        first, second = self._prepare(list(pair), "")
        return first, second

    def _longest_first(self, encoding: Any) -> npt.NDArray[np.int64]:  # noqa: ANN401
        """Return the indices of the tokens that transformers' ``longest_first`` keeps."""
        part = np.array([-1 if text is None else text for text in encoding.sequence_ids])
        room = self.max_length - int((part == -1).sum())
        lengths = [int((part == text).sum()) for text in (0, 1)]
        short = min(lengths)
        kept = [min(length, max(room - short, short)) for length in lengths]
        if sum(kept) > room:
            half = room // 2
            kept = [half, room - half] if lengths[0] <= lengths[1] else [room - half, half]
        stay = part == -1
        for text in (0, 1):
            places = np.flatnonzero(part == text)
            from_left = len(places) - kept[text] if self._side == "left" else 0
            stay[places[from_left : from_left + kept[text]]] = True
        return np.flatnonzero(stay)


def _overlap(encoding: Any) -> float:  # noqa: ANN401 - the library's class has no types
    texts: tuple[set[int], set[int]] = (set(), set())
    for token, text in zip(encoding.ids, encoding.sequence_ids, strict=True):
        if text is not None:  # as it is for special tokens
            texts[text].add(token)
    distinct = texts[0] | texts[1]
    return len(texts[0] & texts[1]) / len(distinct) if distinct else 1.0
