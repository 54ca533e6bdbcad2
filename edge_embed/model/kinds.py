"""Recognise folders with another kind of model than a sentence encoder, and refuse them by name."""

from pathlib import Path
from typing import Any

from edge_embed.errors import ModelFormatError
from edge_embed.model.json_files import read_json

__all__ = ["is_pair_model", "refuse_other_kinds", "require_encoder"]

_CLASSIFIER = "ForSequenceClassification"
_LATE_INTERACTION = ("ColBERT", "HF_ColBERT")


def is_pair_model(folder: str | Path) -> bool:
    """Return whether the folder holds a sequence classifier (a cross-encoder)."""
    folder = Path(folder)
    if (folder / "modules.json").is_file() and _stated_kind(folder) != "CrossEncoder":
        return False
    return any(name.endswith(_CLASSIFIER) for name in _architectures(folder))


def require_encoder(folder: Path) -> None:
    """Raise if the folder holds another kind of model than a sentence encoder.

    Raises:
        ModelFormatError: it does, or it is the hub cache's folder around a model.
    """
    refuse_other_kinds(folder)
    if is_pair_model(folder):
        raise ModelFormatError(
            f"{folder} is a cross-encoder or classifier (architectures in config.json): it gives "
            "scores, of two texts read together, and no vectors of sentences; PairScorer, "
            "'edge-embed pairs --pair-model' and 'search --rerank' take it once it is converted"
        )


def refuse_other_kinds(folder: Path) -> None:
    """Raise if the folder holds neither a sentence encoder nor a cross-encoder.

    Raises:
        ModelFormatError: it does not, or it is the hub cache's folder around a model.
    """
    if snapshot := _snapshot(folder):
        raise ModelFormatError(
            f"{folder} is a repository's folder in the hub's cache: give the snapshot in it, "
            f"{snapshot}"
        )
    kind = _stated_kind(folder)
    if kind == "SparseEncoder":
        raise ModelFormatError(
            f"{folder} is a sparse encoder (model_type in config_sentence_transformers.json), "
            "which gives weights of words and no vectors: take a dense encoder; "
            "sentence-transformers' SparseEncoder runs this one"
        )
    if kind == "MultiVectorEncoder" or any(n in _LATE_INTERACTION for n in _architectures(folder)):
        raise ModelFormatError(
            f"{folder} is a model for late interaction, which gives a vector for each token: take "
            "an encoder with a vector for each text; sentence-transformers' MultiVectorEncoder or "
            "PyLate runs this one"
        )
    if kind == "CrossEncoder" and not is_pair_model(folder):
        raise ModelFormatError(
            f"{folder} is a reranker that asks a language model for its next word: take a "
            f"cross-encoder that is a sequence classifier (…{_CLASSIFIER} in config.json), such "
            "as cross-encoder/ms-marco-MiniLM-L6-v2"
        )


def _stated_kind(folder: Path) -> str | None:
    """Return the class of sentence-transformers that saved the folder; None if it is not stated."""
    extra = read_json(folder / "config_sentence_transformers.json", optional=True)
    kind = extra.get("model_type")
    return kind if isinstance(kind, str) else None


def _architectures(folder: Path) -> list[str]:
    names: Any = read_json(folder / "config.json", optional=True).get("architectures")
    return [str(name) for name in names] if isinstance(names, list) else []


def _snapshot(folder: Path) -> Path | None:
    """Return the snapshot to use of a repository's folder in the hub's cache; None for others."""
    snapshots = folder / "snapshots"
    if not snapshots.is_dir() or (folder / "config.json").is_file():
        return None
    main = folder / "refs" / "main"
    if main.is_file():
        return snapshots / main.read_text(encoding="utf-8", errors="replace").strip()
    return max(snapshots.iterdir(), default=None)
