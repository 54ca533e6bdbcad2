"""Dimensionality reduction: a principal-component projection fitted on the user's own texts.

It is stored as a Dense module in a copy of the model folder, so sentence-transformers can load the
result too, and becomes part of the graph when the model is loaded. Components are ordered by
variance, so truncating projected vectors (``--dim``) gives the projection to fewer dimensions.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed.embedder import Embedder
from edge_embed.errors import InputError
from edge_embed.evaluation.metrics import spearman
from edge_embed.evaluation.retrieval import search
from edge_embed.files.atomic import atomic_folder
from edge_embed.model.config import ModelConfig
from edge_embed.model.dense import save_dense
from edge_embed.model.file_names import PAIR_THRESHOLD, RANGES_FILE
from edge_embed.model.json_files import load_json
from edge_embed.model.receipt import (
    ProjectionRecord,
    TextSetRecord,
    hash_files,
    read_receipt,
    write_receipt,
)
from edge_embed.vectors import unit_length

__all__ = ["FittedProjection", "Kept", "Projection", "Sample", "project_model", "sample_vectors"]

Floats = npt.NDArray[np.float32]

_CHUNK = 4096
# Every tenth text is held out for measurement, up to this many.
_HELD_OUT = 1000
_NEIGHBOURS = 10


@dataclass(frozen=True)
class Sample:
    """Statistics of a model's vectors of some texts; each vector is scaled to unit length."""

    moment: npt.NDArray[np.float64]
    """Mean outer product, (dim, dim)."""
    mean: npt.NDArray[np.float64]
    """Mean vector, (dim,)."""
    fitted: int
    """Number of texts in ``moment`` and ``mean``."""
    held_out: Floats
    """Vectors of other texts, (n, dim), on which projections are measured."""
    texts: TextSetRecord
    """Name, number and hash of all texts, for the receipt."""


@dataclass(frozen=True)
class Kept:
    """How well a projection to ``dim`` dimensions preserves vectors, on held-out texts."""

    dim: int
    share: float
    """Share of the squared length of the (centred) vectors that is kept."""
    spearman: float
    """Rank correlation of all pairwise similarities with those of the full vectors."""
    neighbours: float
    """Share of each text's ten nearest neighbours that are still among them."""


@dataclass(frozen=True)
class Projection:
    """A linear map from a model's unit vectors to fewer dimensions."""

    weight: Floats
    """(new dim, dim); rows ordered from the most important component."""
    bias: Floats | None
    """(new dim,), where vectors are centred."""
    whitened: bool

    @classmethod
    def fit(
        cls, sample: Sample, dim: int, *, center: bool = False, whiten: bool = False
    ) -> "Projection":
        """Fit on a sample.

        Args:
            sample: From :func:`sample_vectors`.
            dim: Components to keep.
            center: Subtract the mean first, as principal component analysis does. Without, lengths
                and angles of the vectors are preserved best.
            whiten: Scale every component to unit variance.

        Raises:
            InputError: ``dim`` is not from 1 to the model's dimensions, or the texts are too few
                for it.
        """
        full = len(sample.mean)
        if not 1 <= dim <= full:
            raise InputError(f"cannot project to {dim} dimensions: choose from 1 to {full}")
        matrix = sample.moment
        if center:
            matrix = matrix - np.outer(sample.mean, sample.mean)
        values, vectors = np.linalg.eigh(matrix)
        values, vectors = values[::-1], vectors[:, ::-1]
        # A component without variance is harmless, but cannot be scaled to unit variance.
        rank = int(np.count_nonzero(values > 1e-9 * values[0])) if whiten else sample.fitted
        if dim > rank:
            raise InputError(
                f"{sample.fitted} texts span {rank} dimensions, fewer than {dim}: give more texts"
            )
        components = vectors[:, :dim].T
        # An eigenvector's sign is arbitrary; fix it, so that a fit is reproducible.
        rows = np.arange(dim)
        components *= np.sign(components[rows, np.abs(components).argmax(axis=1)])[:, None]
        if whiten:
            components = components / np.sqrt(values[:dim, None])
        bias = -components @ sample.mean if center else None
        return cls(
            components.astype(np.float32),
            None if bias is None else bias.astype(np.float32),
            whiten,
        )

    @property
    def dim(self) -> int:
        """Number of dimensions after projection."""
        return len(self.weight)

    def apply(self, vectors: Floats) -> Floats:
        """Project unit vectors, float32 (n, dim), to float32 (n, new dim)."""
        projected = vectors @ self.weight.T
        return np.asarray(projected if self.bias is None else projected + self.bias, np.float32)

    def kept(self, sample: Sample) -> list[Kept]:
        """Measure this projection, and its truncations to 1/2, 1/4, ... of its dimensions.

        Empty if there are too few held-out texts.
        """
        full = sample.held_out
        if len(full) <= _NEIGHBOURS:
            return []
        rows = np.triu_indices(len(full), k=1)
        order = search(full, full, depth=_NEIGHBOURS + 1)
        centred = full if self.bias is None else full - sample.mean.astype(np.float32)
        unscaled = self.weight / np.linalg.norm(self.weight, axis=1, keepdims=True)
        measured = []
        for dim in _halves(self.dim):
            cut = unit_length(self.apply(full)[:, :dim])
            similarity = spearman((cut @ cut.T)[rows], (full @ full.T)[rows])
            found = search(cut, cut, depth=_NEIGHBOURS + 1)
            same = [
                len(set(a) & set(b) - {row})
                for row, (a, b) in enumerate(zip(found.tolist(), order.tolist(), strict=True))
            ]
            share = np.sum((centred @ unscaled[:dim].T) ** 2) / np.sum(centred**2)
            ones = np.ones(len(rows[0]))
            measured.append(
                Kept(dim, float(share), similarity(ones), float(np.mean(same)) / _NEIGHBOURS)
            )
        return measured


@dataclass(frozen=True)
class FittedProjection:
    """A projection with the sample it was fitted on."""

    projection: Projection
    sample: Sample
    variant: str
    """The variant of the model that embedded the texts."""


def sample_vectors(model: Embedder, texts: Iterable[str], *, name: str) -> Sample:
    """Embed texts chunk by chunk and gather the statistics that a projection needs.

    Memory does not grow with the number of texts.

    Args:
        model: The model to project.
        texts: Representative texts, best at least ten times the model's dimensions.
        name: The name of the texts in the receipt.

    Raises:
        InputError: there are fewer than two texts.
    """
    moment = np.zeros((model.dim, model.dim))
    total = np.zeros(model.dim)
    held_out: list[Floats] = []
    digest = hashlib.sha256()
    count = fitted = 0
    stream = iter(texts)
    while chunk := list(islice(stream, _CHUNK)):
        digest.update("".join(f"{text}\n" for text in chunk).encode())
        vectors = unit_length(model.encode(chunk))
        numbers = np.arange(count, count + len(chunk))
        out = (numbers % 10 == 9) & (numbers // 10 < _HELD_OUT)
        held_out.append(vectors[out])
        used = vectors[~out].astype(np.float64)
        moment += used.T @ used
        total += used.sum(axis=0)
        count += len(chunk)
        fitted += len(used)
    if fitted < 2:
        raise InputError(f"{name} holds {count} texts; a projection needs hundreds")
    record = TextSetRecord(name, count, digest.hexdigest())
    return Sample(moment / fitted, total / fitted, fitted, np.concatenate(held_out), record)


def project_model(
    folder: Path, output: Path, fitted: FittedProjection, *, force: bool = False
) -> None:
    """Write a copy of the model in ``folder`` whose vectors are projected.

    Stored int8 ranges, the pair threshold and the card are left out, as they hold for the old
    dimensions.

    Args:
        folder: The model.
        output: The folder to write.
        fitted: The projection.
        force: Replace an existing folder.

    Raises:
        InputError: the output contains the model, or the model truncates its vectors.
        OutputError: the output exists, or cannot be written.
    """
    if folder.resolve().is_relative_to(output.resolve()):
        raise InputError(f"the output {output} holds the model itself; give another folder")
    config = ModelConfig.from_folder(folder)
    if config.truncate_dim is not None:
        raise InputError(
            f"{folder} keeps {config.dim} dimensions (truncate_dim in "
            "config_sentence_transformers.json): remove that to fit a projection instead"
        )
    projection = fitted.projection
    listed = load_json(folder / "modules.json")
    modules = list(listed) if isinstance(listed, list) else []
    added = ["Dense"]
    if projection.bias is not None and not config.normalize:
        added.insert(0, "Normalize")  # the mean is that of unit vectors
    if config.normalize:
        added.append("Normalize")
    with atomic_folder(output, force=force) as target:
        shutil.copytree(folder, target, dirs_exist_ok=True, ignore=_not_of(folder))
        for kind in added:
            number = len(modules)
            path = f"{number}_{kind}"
            modules.append(
                {
                    "idx": number,
                    "name": str(number),
                    "path": path,
                    "type": f"sentence_transformers.models.{kind}",
                }
            )
            (target / path).mkdir(exist_ok=True)
            if kind == "Dense":
                save_dense(target / path, projection.weight, projection.bias)
        text = json.dumps(modules, indent=2)
        (target / "modules.json").write_text(text + "\n", encoding="utf-8")
        receipt = read_receipt(folder)
        if receipt is not None:
            record = ProjectionRecord(
                from_dim=config.dim,
                dim=projection.dim,
                centered=projection.bias is not None,
                whitened=projection.whitened,
                variant=fitted.variant,
                texts=fitted.sample.texts,
            )
            files = hash_files(target)
            write_receipt(target, replace(receipt, projection=record, files=files))


def _not_of(folder: Path) -> Callable[[str, list[str]], set[str]]:
    """Return the ``ignore`` of shutil.copytree: files of the old vectors, and torch's weights."""
    left_out = {RANGES_FILE, PAIR_THRESHOLD, "README.md", "training.png", "model.safetensors"}

    def ignored(directory: str, names: list[str]) -> set[str]:
        return left_out.intersection(names) if Path(directory) == folder else set()

    return ignored


def _halves(dim: int, *, least: int = 16) -> Sequence[int]:
    sizes = [dim]
    while sizes[-1] // 2 >= least:
        sizes.append(sizes[-1] // 2)
    return sizes
