"""The cosine that a pair model adds to its output: its encoder, and the texts of the pairs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed.embedder import Embedder
from edge_embed.encoding import distinct
from edge_embed.errors import ModelFormatError, ModelNotFoundError
from edge_embed.files.fork_lock import ForkLock
from edge_embed.model.config import ModelConfig
from edge_embed.model.fingerprint import folder_fingerprint, model_fingerprint
from edge_embed.model.locate import resolve_model
from edge_embed.model.pair_config import COSINE_FILE, CosineShare

__all__ = ["CosineEncoder", "PairTexts"]

Floats = npt.NDArray[np.float32]


class CosineEncoder:
    """The encoder that a pair model names: located at once, loaded at first use.

    A program with the same encoder in memory (same :attr:`fingerprint`) can use that one instead.
    """

    def __init__(
        self,
        folder: Path,
        share: CosineShare,
        load: Callable[[Path], Embedder],
        *,
        loaded: Embedder | None = None,
    ) -> None:
        """Find the encoder.

        Args:
            folder: The pair model's folder, for errors.
            share: The pair model's settings of the cosine.
            load: Loads an encoder from its folder.
            loaded: A loaded encoder, which is used if it is the same.

        Raises:
            ModelNotFoundError: there is no such encoder.
            ModelFormatError: its folder is incomplete, or is not that of an encoder.
        """
        self.share = share
        try:
            self.config = ModelConfig.from_folder(resolve_model(share.encoder))
            self.variant, _ = self.config.variant_file()
        except (ModelFormatError, ModelNotFoundError) as error:
            raise type(error)(
                f"{folder / COSINE_FILE} names an encoder that cannot be loaded: {error}"
            ) from error
        self._load, self._loading = load, ForkLock()
        same = loaded is not None and model_fingerprint(loaded) == self.fingerprint
        self._embedder = loaded if same else None

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the encoder's files as they are now."""
        return folder_fingerprint(self.config, self.variant)

    @property
    def loaded(self) -> bool:
        """Whether it is in memory."""
        return self._embedder is not None

    @property
    def embedder(self) -> Embedder:
        """The encoder, loaded at first use.

        Raises:
            ModelFormatError: its files are damaged.
        """
        with self._loading:
            if self._embedder is None:
                self._embedder = self._load(self.config.folder)
            return self._embedder

    def cosines(self, pairs: Sequence[Sequence[str]]) -> Floats:
        """Return the cosine of each pair, float32 (pairs,).

        Raises:
            InputError: an item is not a string.
        """
        texts = PairTexts.of(pairs)
        vectors = self.embedder.encode(texts.texts, normalize=True, truncation="ignore")
        return texts.cosines(vectors)


@dataclass(frozen=True)
class PairTexts:
    """The distinct texts of pairs, so that a query that is part of all pairs is embedded once."""

    texts: list[str]
    rows: npt.NDArray[np.int64]
    """Indices of the two texts of each pair, (pairs, 2)."""

    @classmethod
    def of(cls, pairs: Sequence[Sequence[str]]) -> "PairTexts":
        """Collect the distinct texts of ``pairs``.

        Raises:
            InputError: an item is not a string.
        """
        numbers = distinct([text for pair in pairs for text in pair])
        rows = [[numbers[text] for text in pair] for pair in pairs]
        return cls(list(numbers), np.array(rows, np.int64).reshape(-1, 2))

    def cosines(self, vectors: Floats) -> Floats:
        """Return the cosine of each pair, float32 (pairs,).

        Args:
            vectors: The vectors of :attr:`texts`, of unit length, float32 (texts, dim).
        """
        first, second = vectors[self.rows[:, 0]], vectors[self.rows[:, 1]]
        return np.asarray(np.einsum("ij,ij->i", first, second), np.float32)
