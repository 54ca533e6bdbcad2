"""The vectors of several teachers, weighted and concatenated.

A teacher's unit vectors are scaled by the square root of its weight, so the inner product of two
joined vectors is the weighted mean of the teachers' cosines. They are computed by this project's
own runtime, a shard of texts at a time, and stored on disk, so that each is computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed import Embedder
from edge_embed.errors import InputError
from edge_embed.files.atomic import atomic_file
from edge_embed_conversion.console import say
from edge_embed_conversion.convert import convert

__all__ = ["SHARD", "Ensemble", "WeightedTeacher"]

SHARD = 20_000
"""Texts of one file of teacher vectors."""


@dataclass(frozen=True)
class WeightedTeacher:
    """A teacher model, and the weight of its similarities."""

    source: str
    weight: float

    @classmethod
    def parse(cls, text: str) -> "WeightedTeacher":
        """Read ``SOURCE`` or ``SOURCE=WEIGHT``.

        Raises:
            InputError: the weight is no number above 0.
        """
        source, sign, weight = text.rpartition("=")
        if not sign:
            return cls(text, 1.0)
        try:
            value = float(weight)
        except ValueError:
            value = 0.0
        if not 0 < value < 1e6:
            raise InputError(f"{text!r}: the weight of a teacher is a number above 0")
        return cls(source, value)


class Ensemble:
    """Teachers and a corpus; ``shard(i)`` gives the joined vectors of the i-th shard's texts."""

    def __init__(
        self, teachers: Sequence[WeightedTeacher], texts: Sequence[str], work: Path
    ) -> None:
        total = sum(teacher.weight for teacher in teachers)
        self._weights = [teacher.weight / total for teacher in teachers]
        self._models = [
            Embedder(_converted(teacher.source, work / f"teacher-{number}"), variant="int8")
            for number, teacher in enumerate(teachers)
        ]
        self._texts = texts
        self._folder = work / "targets"
        self._folder.mkdir(parents=True, exist_ok=True)
        self.first_dim = self._models[0].dim
        """Number of dimensions of the first teacher."""
        self.shards = -(-len(texts) // SHARD)

    def first(self, joined: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the first teacher's unit vectors, float32 (texts, first_dim), of joined ones."""
        vectors: npt.NDArray[np.float32] = joined[:, : self.first_dim] / np.float32(
            np.sqrt(self._weights[0])
        )
        return vectors

    def texts(self, number: int) -> Sequence[str]:
        """Return the texts of a shard."""
        return self._texts[number * SHARD : (number + 1) * SHARD]

    def shard(self, number: int) -> npt.NDArray[np.float16]:
        """Return the joined vectors of a shard, float16 (texts, dim), computing them once."""
        file = self._folder / f"{number:05}.npy"
        if not file.is_file():
            say(f"teachers: texts {number * SHARD} to {number * SHARD + len(self.texts(number))}")
            parts = [
                np.sqrt(weight)
                * model.encode(self.texts(number), normalize=True, truncation="ignore")
                for model, weight in zip(self._models, self._weights, strict=True)
            ]
            with atomic_file(file) as path, path.open("wb") as stream:
                np.save(stream, np.concatenate(parts, axis=1).astype(np.float16))
        vectors: npt.NDArray[np.float16] = np.load(file, allow_pickle=False)
        return vectors


def _converted(source: str, folder: Path) -> Path:
    """Return a teacher as a model folder of this project, converted once."""
    if (Path(source) / "openvino").is_dir():
        return Path(source)
    if not (folder / "edge_embed.json").is_file():
        convert(source, folder, precision="int8", with_fp32=False, force=True)
    return folder
