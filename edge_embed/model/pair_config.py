"""The configuration of a pair model's folder (a cross-encoder), read from its files."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edge_embed.errors import ModelFormatError
from edge_embed.files.typed_json import typed
from edge_embed.model.config import ModelConfig, lower_cased, max_seq_length
from edge_embed.model.json_files import malformed, number_of, read_json
from edge_embed.model.kinds import is_pair_model
from edge_embed.model.positions import first_position

__all__ = ["COSINE_FILE", "Activation", "CosineShare", "PairConfig"]

COSINE_FILE = "cosine.json"

Activation = Literal["identity", "sigmoid", "softmax"]

_ACTIVATIONS: Mapping[str, Activation] = {
    "Identity": "identity",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
}


Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class CosineShare:
    """An encoder's part in a pair's score.

    The logit is ``share * output + weight * cosine + intercept``. The cross-encoder is better at
    small changes of meaning, such as a negation; the cosine of two embeddings is better where the
    texts say something in quite other words. So ``share`` follows from how many of their distinct
    tokens both texts have: ``least`` up to the first of ``overlap``, 1 from the second on, and
    linear between.
    """

    encoder: str
    """The encoder's name or folder; in the file, a folder is relative to the pair model's."""
    weight: float
    intercept: float
    overlap: tuple[float, float] = (0.0, 1.0)
    least: float = 1.0

    def combined(
        self, outputs: Floats, cosines: Floats, overlaps: Floats
    ) -> npt.NDArray[np.float32]:
        """Return the logits, float32 (pairs, labels).

        Args:
            outputs: What the cross-encoder gives, float32 (pairs, labels).
            cosines: The cosine of each pair, float (pairs,).
            overlaps: The share of their distinct tokens that both texts have, float (pairs,).
        """
        low, high = self.overlap
        shares = self.least + (1 - self.least) * np.clip((overlaps - low) / (high - low), 0, 1)
        added = self.weight * cosines + self.intercept
        return np.asarray(outputs * shares[:, None] + added[:, None], np.float32)


@dataclass(frozen=True, kw_only=True)
class PairConfig(ModelConfig):
    """A folder in the layout of sentence-transformers' CrossEncoder, as its files describe it.

    For the engine it is an encoder with ``cls`` pooling whose vectors have one dimension a label.
    """

    labels: tuple[str, ...]
    """Names of the outputs, in order."""
    activation: Activation
    """The function from logits to scores."""
    threshold: float | None
    """Score from which a pair counts as a paraphrase; None if the folder states none."""
    cosine: "CosineShare | None" = None
    """An encoder's part in the score; None if the folder states none."""

    @property
    def dim(self) -> int:
        """Number of outputs of a pair."""
        return len(self.labels)

    @classmethod
    def from_folder(cls, folder: str | Path) -> "PairConfig":
        """Read the configuration of a pair model's folder.

        Raises:
            ModelFormatError: a file is missing or damaged, or it is not a pair model's folder.
        """
        with malformed(Path(folder)):
            return cls._read(Path(folder))

    @classmethod
    def _read(cls, folder: Path) -> "PairConfig":
        config = read_json(folder / "config.json")
        if not is_pair_model(folder):
            raise ModelFormatError(
                f"{folder} is no model of pairs: its config.json names no "
                "…ForSequenceClassification; give a cross-encoder"
            )
        hidden = number_of(config, "hidden_size", "dim")
        if hidden is None:
            raise ModelFormatError(f"{folder / 'config.json'} does not say its hidden_size")
        transformer = read_json(folder / "sentence_bert_config.json", optional=True)
        labels = _labels(config)
        threshold = read_json(folder / "pair_threshold.json", optional=True).get("threshold")
        return cls(
            folder=folder,
            model_type=typed(str, config.get("model_type", "unknown"), "model_type"),
            hidden_size=hidden,
            pooling=("cls",),
            include_prompt=True,
            head=(),
            max_seq_length=max_seq_length(folder, transformer, config),
            first_position=first_position(config),
            position_table=number_of(config, "max_position_embeddings"),
            pad_token_id=number_of(config, "pad_token_id") or 0,
            lowercase=lower_cased(transformer),
            labels=labels,
            activation=_activation(folder, config, len(labels)),
            threshold=float(threshold) if isinstance(threshold, (int, float)) else None,
            cosine=_cosine_share(folder),
        )


def _cosine_share(folder: Path) -> CosineShare | None:
    file = folder / COSINE_FILE
    if not file.is_file():
        return None
    try:
        share = typed(CosineShare, read_json(file), "it")
        if not (0 <= share.overlap[0] < share.overlap[1] <= 1 and 0 <= share.least <= 1):
            raise ModelFormatError(
                f"{file} is damaged: its overlap {share.overlap} is no range within 0 and 1, or "
                f"its least {share.least} no share; copy it again"
            )
        beside = folder / share.encoder
        return replace(share, encoder=str(beside)) if beside.is_dir() else share
    except (ValueError, OSError):  # OSError: a name that no file can have
        raise ModelFormatError(
            f"{file} is damaged: it does not state its encoder, weight and intercept; copy it again"
        ) from None


def _labels(config: dict[str, Any]) -> tuple[str, ...]:
    """Return the outputs' names; without any, two as in transformers."""
    names = config.get("id2label")
    if isinstance(names, dict) and names:
        return tuple(str(names[key]) for key in sorted(names, key=int))
    return tuple(f"LABEL_{i}" for i in range(int(config.get("num_labels", 2))))


def _activation(folder: Path, config: dict[str, Any], outputs: int) -> Activation:
    """Return the activation that CrossEncoder would apply: as stated, else by the outputs."""
    extra = read_json(folder / "config_sentence_transformers.json", optional=True)
    stated = (
        extra.get("activation_fn")
        or (config.get("sentence_transformers") or {}).get("activation_fn")
        or config.get("sbert_ce_default_activation_function")
    )
    if stated is None:
        return "sigmoid" if outputs == 1 else "identity"
    name = str(stated).rsplit(".", 1)[-1]
    if name not in _ACTIVATIONS:
        raise ModelFormatError(
            f"{folder / 'config.json'} states the activation {stated}, which edge_embed does not "
            f"run; it runs {', '.join(_ACTIVATIONS)}"
        )
    return _ACTIVATIONS[name]
