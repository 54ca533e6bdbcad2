"""Token ids of the corpus, and batches of texts of exactly one length.

Batches hold texts with the same number of tokens, so nothing is padded and attention needs no
mask; a batch's rows times its length is about the token budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

__all__ = ["TokenStore", "plan_batches", "tokenize"]

_CHUNK = 10_000
_MAX_WORDS = 250


@dataclass(frozen=True)
class TokenStore:
    """Ragged token ids of every text, and the whitespace word that each token belongs to.

    ``ids`` and ``words`` are flat; text i is ``offsets[i]:offsets[i + 1]``. Word 0 is the opening
    special token, the last word the closing one. ``aligned[i]`` is false where the tokenizer's
    words are not the text's whitespace words; the word numbers of text i are then not valid. Texts
    longer than ``max_length`` tokens are stored whole and left out of the batches.
    """

    ids: npt.NDArray[np.int32]
    words: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    aligned: npt.NDArray[np.bool_]
    max_length: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def text(self, row: int) -> npt.NDArray[np.int32]:
        """Return the token ids of text ``row``, int32 (tokens,)."""
        return self.ids[self.offsets[row] : self.offsets[row + 1]]

    def word_numbers(self, row: int) -> npt.NDArray[np.uint8]:
        """Return the word number of each token of text ``row``, uint8 (tokens,)."""
        return self.words[self.offsets[row] : self.offsets[row + 1]]

    def lengths(self) -> npt.NDArray[np.int64]:
        """Return the number of tokens of each text, int64 (texts,)."""
        return np.diff(self.offsets)


def tokenize(texts: Sequence[str], tokenizer: Tokenizer, *, max_length: int) -> TokenStore:
    """Encode every text with special tokens, without truncation.

    ``max_length`` is stored, for the planning of batches.
    """
    ids: list[npt.NDArray[np.int32]] = []
    words: list[npt.NDArray[np.uint8]] = []
    lengths: list[int] = []
    aligned: list[bool] = []
    for start in range(0, len(texts), _CHUNK):
        part = list(texts[start : start + _CHUNK])
        for text, encoding in zip(part, tokenizer.encode_batch(part), strict=True):
            inner = encoding.word_ids[1:-1]
            count = len(text.split())
            # A word that the normaliser deletes has no token, and would shift the later numbers.
            good = None not in inner and len(set(inner)) == count and count < _MAX_WORDS
            aligned.append(good)
            ids.append(np.asarray(encoding.ids, np.int32))
            word = np.zeros(len(encoding.ids), np.uint8)
            if good:
                word[1:-1] = np.asarray(inner) + 1
                word[-1] = count + 1
            words.append(word)
            lengths.append(len(encoding.ids))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return TokenStore(
        ids=np.concatenate(ids),
        words=np.concatenate(words),
        offsets=offsets,
        aligned=np.asarray(aligned),
        max_length=max_length,
    )


def plan_batches(
    lengths: npt.NDArray[np.int64], *, token_budget: int, max_length: int, epoch: int, seed: int
) -> list[npt.NDArray[np.int64]]:
    """Return the epoch's batches as arrays of text indices, int64 (texts,), in random order.

    Texts longer than ``max_length`` are left out. So are, for each length, the last ones if they
    fill less than half a batch; each epoch shuffles anew, so those are others each time.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    order = order[lengths[order] <= max_length]
    order = order[np.argsort(lengths[order], kind="stable")]
    sizes = lengths[order]
    batches: list[npt.NDArray[np.int64]] = []
    edges = np.flatnonzero(np.diff(sizes)) + 1
    for group in np.split(order, edges):
        if not len(group):
            continue
        rows = max(2, token_budget // int(lengths[group[0]]))
        for start in range(0, len(group), rows):
            batch = group[start : start + rows]
            if len(batch) >= max(2, rows // 2):
                batches.append(batch)
    return [batches[i] for i in generator.permutation(len(batches))]
