"""Texts to ragged token ids, exactly as the model's own tokenizer.json says.

Second in the flow. Padding and truncation settings stored in the file are ignored: the batch
planner pads, and the limit is the model's (:attr:`ModelConfig.max_seq_length`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as FastTokenizer

from edge_embed.config import ModelConfig
from edge_embed.errors import InputError, ModelFormatError
from edge_embed.json_files import read_json

__all__ = ["TokenIds", "TokenizedTexts", "Tokenizer"]

TokenIds = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of some texts, special tokens included, cut at the model's limit."""

    ids: list[TokenIds]
    """One int64 array a text, shape (tokens,)."""
    lengths: npt.NDArray[np.int64]
    """Tokens kept of each text, shape (texts,)."""
    full_lengths: npt.NDArray[np.int64]
    """Tokens that each text had before it was cut, shape (texts,)."""
    unknown: npt.NDArray[np.int64]
    """Tokens of each text, among those kept, that stand for something unknown, shape (texts,)."""
    special: int
    """Tokens that the template adds to each text."""

    @property
    def content_lengths(self) -> npt.NDArray[np.int64]:
        """Tokens kept of each text, without special ones, shape (texts,)."""
        return np.maximum(self.lengths - self.special, 0)

    @property
    def truncated(self) -> npt.NDArray[np.int64]:
        """Indices of the texts that were cut."""
        return np.flatnonzero(self.full_lengths > self.lengths)


class Tokenizer:
    """The tokenizer of a model folder. Safe to share between threads."""

    def __init__(self, config: ModelConfig) -> None:
        """Load ``tokenizer.json``.

        Raises:
            ModelFormatError: the file is missing or damaged.
        """
        path = config.folder / "tokenizer.json"
        self._tokenizer = _load(path)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._lowercase = config.lowercase
        self.max_length = config.max_seq_length
        side = read_json(config.folder / "tokenizer_config.json", optional=True)
        self._cut_left = side.get("truncation_side") == "left"
        # Published files differ in which of the two names it; -1 is no token.
        names = read_json(config.folder / "special_tokens_map.json", optional=True) | side
        name = names.get("unk_token")
        name = name.get("content") if isinstance(name, dict) else name
        unknown_id = self._tokenizer.token_to_id(name) if isinstance(name, str) else None
        self._unknown_id = -1 if unknown_id is None else unknown_id
        # How many special tokens the template puts before and after a text.
        mask = self._tokenizer.encode("a").special_tokens_mask
        first = mask.index(0) if 0 in mask else len(mask)
        self._prefix = first
        self._suffix = mask[::-1].index(0) if 0 in mask else 0
        if self.max_length <= self._prefix + self._suffix:
            raise ModelFormatError(
                f"{config.folder}: a token limit of {self.max_length} leaves no room for text "
                f"beside {self._prefix + self._suffix} special tokens"
            )

    def __call__(self, texts: Sequence[str], *, prompt: str = "") -> TokenizedTexts:
        """Tokenize ``texts``, each with ``prompt`` put before it.

        Raises:
            InputError: an item is not a string, or cannot be written as UTF-8.
        """
        encodings = self._encode(self._prepare(texts, prompt))
        full = np.fromiter((len(e) for e in encodings), np.int64, len(encodings))
        ids = [np.asarray(self._cut(e.ids), np.int64) for e in encodings]
        unknown = np.fromiter((np.count_nonzero(i == self._unknown_id) for i in ids), np.int64)
        kept = np.minimum(full, self.max_length)
        return TokenizedTexts(ids, kept, full, unknown, self._prefix + self._suffix)

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each text, special tokens included, cut at the limit."""
        return [self._cut(e.tokens) for e in self._encode(self._prepare(texts, ""))]

    def count(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return how many tokens each whole text has, special tokens included, before any cut."""
        encodings = self._encode(self._prepare(texts, ""))
        return np.fromiter((len(e) for e in encodings), np.int64, len(encodings))

    def prompt_length(self, prompt: str) -> int:
        """Return how many leading tokens belong to ``prompt``, as sentence-transformers counts."""
        if not prompt:
            return 0
        return len(self._encode(self._prepare([prompt], ""))[0]) - self._suffix

    def _prepare(self, texts: Sequence[str], prompt: str) -> Sequence[str]:
        if prompt:
            texts = [prompt + text for text in texts]
        if self._lowercase:
            texts = [text.lower() for text in texts]
        return texts

    def _encode(self, texts: Sequence[str]):  # type: ignore[no-untyped-def]  # noqa: ANN202
        # The tokenizer would take a tuple for a pair of texts, so types are checked beforehand.
        if not all(isinstance(text, str) for text in texts):
            check_texts(texts)
        try:
            return self._tokenizer.encode_batch_fast(texts)
        except (TypeError, UnicodeEncodeError):
            check_texts(texts)
            raise

    def _cut(self, items: list) -> list:  # type: ignore[type-arg]
        """Cut content, never the template's special tokens."""
        if len(items) <= self.max_length:
            return items
        end = len(items) - self._suffix
        room = self.max_length - self._prefix - self._suffix
        content = items[end - room : end] if self._cut_left else items[self._prefix :][:room]
        return items[: self._prefix] + content + items[end:]


def check_texts(texts: Sequence[object]) -> None:
    """Raise an InputError that names the first item that is no text.

    Raises:
        InputError: an item is not a string, or holds a lone surrogate.
    """
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"text {index} is not a string but {type(text).__name__}")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            code = ord(text[error.start])
            raise InputError(
                f"text {index} holds a lone surrogate (U+{code:04X} at character {error.start}), "
                "which no UTF-8 text can: repair the text where it was decoded"
            ) from None


def _load(path: Path) -> FastTokenizer:
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ModelFormatError(
            f"{path.parent} is not a complete model: tokenizer.json is missing"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFormatError(f"cannot read {path}: {error}") from error
    try:
        return FastTokenizer.from_str(content)
    except Exception as error:  # tokenizers raises plain Exception for a bad file
        raise ModelFormatError(
            f"{path} is damaged ({error}); copy it again from the model's source"
        ) from error
