"""Tokenize texts with the model's own tokenizer.json.

Padding and truncation settings in that file are ignored: the batch planner pads, and the token
limit is that of the model (:attr:`ModelConfig.max_seq_length`).
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError, ModelFormatError, TextError
from edge_embed.files.fork_lock import fork_safe_property
from edge_embed.model.config import ModelConfig
from edge_embed.runtime.long_texts import (
    MAX_CHARACTERS,
    SPARE_TOKENS,
    beginning,
    ending,
    first_window,
    groups,
)
from edge_embed.runtime.text_checks import check_texts, no_panic
from edge_embed.runtime.tokenized_texts import Piece, TokenizedTexts, TruncationSide
from edge_embed.runtime.tokenizer_files import (
    check_normalizer,
    load_tokenizer,
    lower_case,
    tokenizer_settings,
)

__all__ = ["Tokenizer"]

_Item = TypeVar("_Item")

# A hieroglyph, which is in no vocabulary: encoding it tests how a tokenizer treats the unknown.
_UNKNOWN = "\U00013000"


class Tokenizer:
    """The tokenizer of a model folder. Safe to share between threads."""

    def __init__(self, config: ModelConfig, *, special_tokens: bool = True) -> None:
        """Load ``tokenizer.json``.

        Args:
            config: The model folder's configuration.
            special_tokens: Add the special tokens of the file's template to each text.

        Raises:
            ModelFormatError: the file is missing or damaged.
        """
        path = config.folder / "tokenizer.json"
        self._tokenizer = load_tokenizer(path)
        check_normalizer(self._tokenizer, config.folder)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        if config.lowercase:
            lower_case(self._tokenizer)
        self.max_length = config.max_seq_length
        self._special_tokens = special_tokens
        settings = tokenizer_settings(config.folder)
        self._side: TruncationSide = settings.truncation_side
        unknown_id = self._id_of(settings.unk_token)
        self._unknown_id = -1 if unknown_id is None else unknown_id
        # Encode a text, to find the special tokens before and after it.
        try:
            with no_panic("its tokenizer fails"):
                template = self._tokenizer.encode("a", add_special_tokens=special_tokens)
                self._tokenizer.encode(_UNKNOWN)
        except InputError as error:
            raise ModelFormatError(
                f"{path} is damaged ({error}); copy it again from the model's source"
            ) from error
        mask = template.special_tokens_mask
        first = mask.index(0) if 0 in mask else len(mask)
        self._prefix = first
        self._suffix = mask[::-1].index(0) if 0 in mask else 0
        self.before = template.ids[: self._prefix]
        """Ids of the special tokens before a text."""
        self.after = template.ids[len(mask) - self._suffix :]
        """Ids of the special tokens after a text."""
        self.pad_id: int | None = self._id_of(settings.pad_token)
        """Id of the padding token; None if the folder names none."""
        if self.max_length <= self._prefix + self._suffix:
            raise ModelFormatError(
                f"{config.folder}: a token limit of {self.max_length} leaves no room for text "
                f"beside {self._prefix + self._suffix} special tokens"
            )

    def _id_of(self, token: str | None) -> int | None:
        found: int | None = None if token is None else self._tokenizer.token_to_id(token)
        return found

    @fork_safe_property
    def vocabulary_size(self) -> int:
        """One more than the highest id; the first call takes tens of milliseconds.

        It may be more than the number of tokens, as ids may have gaps.
        """
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        return 1 + max(vocabulary.values(), default=-1)

    @property
    def types(self) -> int:
        """The number of token types (segment ids)."""
        return 1

    def __call__(
        self,
        texts: Sequence[str],
        *,
        prompt: str = "",
        truncation_side: TruncationSide | None = None,
    ) -> TokenizedTexts:
        """Tokenize ``texts``, with special tokens, truncated at the limit.

        Args:
            texts: n texts.
            prompt: Prepended to each text.
            truncation_side: Which end of a text over the limit is cut off; None takes the side
                of the tokenizer's settings.

        Raises:
            TextError: an item is not a string, or cannot be written as UTF-8.
        """
        prepared, side = self._prepare(texts, prompt), truncation_side or self._side
        read, incomplete = self._read_enough(prepared, side, "ids")
        return self._tokenized(read, side, incomplete)

    def from_ids(
        self, texts: Sequence[Sequence[int]], *, truncation_side: TruncationSide | None = None
    ) -> TokenizedTexts:
        """Return texts that are given as token ids of this model, special tokens included.

        Raises:
            InputError: an id is not in the vocabulary, or a text lacks the special tokens, so that
                the ids may be those of another tokenizer.
        """
        self._check_ids(texts)
        for number, ids in enumerate(texts):
            whole = list(ids[: self._prefix]) == self.before
            whole &= list(ids[max(len(ids) - self._suffix, 0) :]) == self.after
            if not whole or len(ids) < self._prefix + self._suffix or not ids:
                raise InputError(
                    f"the token ids of text {number} do not begin with {self.before} and end with "
                    f"{self.after}, as this model's tokenizer writes them, so they may be of "
                    "another: send text, or this model's ids"
                )
        return self._tokenized(texts, truncation_side)

    def pieces(self, texts: Sequence[str], *, special_tokens: bool = True) -> list[list[Piece]]:
        """Return each text's tokens and their places, without truncation.

        Raises:
            InputError: a text cannot be written as UTF-8.
        """
        check_texts(texts)
        prepared = self._prepare(texts, "")
        encodings = self._tokenizer.encode_batch(prepared, add_special_tokens=special_tokens)
        return [
            [
                Piece(token_id, token, special=True, start=None, stop=None)
                if special
                else Piece(token_id, text[start:stop], special=False, start=start, stop=stop)
                for token_id, token, special, (start, stop) in zip(
                    e.ids, e.tokens, e.special_tokens_mask, e.offsets, strict=True
                )
            ]
            for text, e in zip(prepared, encodings, strict=True)
        ]

    def decode(
        self, texts: Sequence[Sequence[int]], *, skip_special_tokens: bool = True
    ) -> list[str]:
        """Return the text of each list of ids.

        Raises:
            InputError: an id is not in the vocabulary.
        """
        self._check_ids(texts)
        decoded: list[str] = self._tokenizer.decode_batch(
            [list(ids) for ids in texts], skip_special_tokens=skip_special_tokens
        )
        return decoded

    def _check_ids(self, texts: Sequence[Sequence[int]]) -> None:
        size = self.vocabulary_size
        for number, ids in enumerate(texts):
            wrong = next((token for token in ids if not 0 <= token < size), None)
            if wrong is not None:
                raise InputError(
                    f"text {number} has the token id {wrong}; this model's are from 0 to {size - 1}"
                )

    def _tokenized(
        self,
        texts: Sequence[Sequence[int]],
        side: TruncationSide | None,
        incomplete: frozenset[int] = frozenset(),
    ) -> TokenizedTexts:
        read = np.fromiter((len(ids) for ids in texts), np.int64, len(texts))
        kept, full = np.minimum(read, self.max_length), read
        if incomplete:
            rest = np.fromiter((row in incomplete for row in range(len(texts))), np.int64)
            full = read + rest  # a lower bound: they have at least one more
        ids = [np.asarray(self._truncated(text, side), np.int64) for text in texts]
        unknown = np.fromiter((np.count_nonzero(i == self._unknown_id) for i in ids), np.int64)
        return TokenizedTexts(ids, kept, full, unknown, self._prefix + self._suffix, incomplete)

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """Return each text's tokens as strings, with special tokens, truncated at the limit."""
        read, _ = self._read_enough(self._prepare(texts, ""), self._side, "tokens")
        return [list(self._truncated(tokens)) for tokens in read]

    def count(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return each text's number of tokens, special ones included, untruncated: int64 (n,)."""
        return np.fromiter(map(self._count, self._prepare(texts, "")), np.int64, len(texts))

    def prompt_length(self, prompt: str) -> int:
        """Return how many leading tokens belong to ``prompt``, as sentence-transformers does."""
        if not prompt:
            return 0
        return len(self._encode(self._prepare([prompt], ""))[0]) - self._suffix

    def _prepare(self, texts: Sequence[str], prompt: str) -> Sequence[str]:
        # The tokenizer treats a tuple as a pair of texts, so types are checked here.
        if not all(isinstance(text, str) for text in texts):
            check_texts(texts)
        if prompt:
            texts = [prompt + text for text in texts]
        return texts

    def _count(self, text: str) -> int:
        """Count the tokens of one text, a long one part by part."""
        special = self._prefix + self._suffix
        total, start = special, 0
        while True:
            part = beginning(text[start : start + MAX_CHARACTERS + 1], MAX_CHARACTERS)
            total += len(self._encode([part])[0]) - special
            start += len(part)
            if start >= len(text):
                return total

    def _read_enough(
        self, texts: Sequence[str], side: TruncationSide, what: Literal["ids", "tokens"]
    ) -> tuple[list[Any], frozenset[int]]:
        """Tokenize as much of each text as the limit needs; return also the texts not read whole.

        Long texts are shortened first (:mod:`edge_embed.runtime.long_texts`).
        """
        window = first_window(self.max_length)
        if all(len(text) <= window for text in texts):
            return list(self._read(texts, what, texts)), frozenset()
        part_of = beginning if side == "right" else ending
        read: list[Any] = [None] * len(texts)
        missing = list(range(len(texts)))
        incomplete: set[int] = set()
        while missing:
            parts = [part_of(texts[row], window) for row in missing]
            found = self._read(parts, what, texts)
            last, again = window >= MAX_CHARACTERS, []
            for row, part, tokens in zip(missing, parts, found, strict=True):
                read[row] = tokens
                if len(part) < len(texts[row]):
                    if last or len(tokens) > self.max_length + SPARE_TOKENS:
                        incomplete.add(row)
                    else:
                        again.append(row)
            missing, window = again, min(4 * window, MAX_CHARACTERS)
        return read, frozenset(incomplete)

    def _read(
        self, parts: Sequence[str], what: Literal["ids", "tokens"], texts: Sequence[str]
    ) -> Iterator[Any]:
        """Yield the ids or tokens of each of ``parts``, which are of ``texts``.

        Only a group of them is in the tokenizer's own form at a time: that takes a hundred bytes a
        character, an array of ids two.
        """
        for group in groups(parts):
            try:
                encodings = self._encode(group, named=what == "tokens")
            except TextError:
                check_texts(texts)  # names the text's place among all
                raise
            for encoding in encodings:
                yield encoding.tokens if what == "tokens" else np.asarray(encoding.ids, np.int64)

    def _encode(self, texts: Sequence[str], *, named: bool = False):  # type: ignore[no-untyped-def]  # noqa: ANN202
        # encode_batch_fast leaves the names of tokens empty.
        encode = self._tokenizer.encode_batch if named else self._tokenizer.encode_batch_fast
        try:
            with no_panic("the tokenizer cannot read a text"):
                return encode(texts, add_special_tokens=self._special_tokens)
        except (TypeError, UnicodeEncodeError):
            check_texts(texts)
            raise

    def _truncated(
        self, items: Sequence[_Item], side: TruncationSide | None = None
    ) -> Sequence[_Item]:
        """Truncate the text's tokens; special tokens are kept."""
        if len(items) <= self.max_length:
            return items
        end = len(items) - self._suffix
        room = self.max_length - self._prefix - self._suffix
        start = end - room if (side or self._side) == "left" else self._prefix
        content = items[start : start + room]
        return [*items[: self._prefix], *content, *items[end:]]
