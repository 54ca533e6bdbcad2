"""The cosine that a pair model weighs in: which encoder it is of, and whose texts."""

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
    """The encoder that a pair model names: found at once, loaded when it is first asked for.

    Whoever has the same encoder already (:attr:`fingerprint`) need not load a second copy.
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
            folder: The pair model's.
            share: What it says of the cosine.
            load: Loads the encoder of a folder.
            loaded: An encoder that is loaded already; it is taken if it is the same.

        Raises:
            ModelNotFoundError: there is no such encoder.
            ModelFormatError: its folder is incomplete, or no encoder's.
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
        """What tells it from other models, as its files are now."""
        return folder_fingerprint(self.config, self.variant)

    @property
    def loaded(self) -> bool:
        """Whether it is in memory."""
        return self._embedder is not None

    @property
    def embedder(self) -> Embedder:
        """The encoder, loaded.

        Raises:
            ModelFormatError: its files are damaged.
        """
        with self._loading:
            if self._embedder is None:
                self._embedder = self._load(self.config.folder)
            return self._embedder

    def added(self, pairs: Sequence[Sequence[str]]) -> Floats:
        """Return what the cosine of each pair adds to its output, float32 (n, 1).

        Raises:
            InputError: an item is no text.
        """
        texts = PairTexts.of(pairs)
        vectors = self.embedder.encode(texts.texts, normalize=True, truncation="ignore")
        return self.share.added(texts.cosines(vectors))


@dataclass(frozen=True)
class PairTexts:
    """The texts of some pairs, each once: a query that stands in each pair is embedded once."""

    texts: list[str]
    rows: npt.NDArray[np.int64]
    """(pairs, 2): which of the texts a pair has."""

    @classmethod
    def of(cls, pairs: Sequence[Sequence[str]]) -> "PairTexts":
        """Collect them.

        Raises:
            InputError: an item is no text.
        """
        numbers = distinct([text for pair in pairs for text in pair])
        rows = [[numbers[text] for text in pair] for pair in pairs]
        return cls(list(numbers), np.array(rows, np.int64).reshape(-1, 2))

    def cosines(self, vectors: Floats) -> Floats:
        """Return the cosine of each pair, float32 (pairs,), of vectors (texts, dim) of length 1."""
        first, second = vectors[self.rows[:, 0]], vectors[self.rows[:, 1]]
        return np.asarray(np.einsum("ij,ij->i", first, second), np.float32)
