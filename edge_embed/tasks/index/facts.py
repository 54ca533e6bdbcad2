"""The settings of an index, which its file keeps."""

from dataclasses import dataclass
from typing import Literal

from edge_embed.errors import InputError

__all__ = ["StoreFacts", "VectorType", "check_model"]

VectorType = Literal["float32", "int8"]


@dataclass(frozen=True)
class StoreFacts:
    """The settings of a store."""

    dim: int
    dtype: VectorType
    model: str
    """The fingerprint of the model that makes the vectors; empty if none was given."""
    model_name: str
    identity: str = ""
    """Drawn at random when the store is created."""


def check_model(place: str, facts: StoreFacts, model: str) -> None:
    """Check that a model, by its fingerprint, made the vectors in ``place``.

    An empty fingerprint on either side means that the model is not known.

    Raises:
        InputError: another model made them.
    """
    if facts.model and model and model != facts.model:
        raise InputError(
            f"{place} was made with the model {facts.model_name or 'of another name'} "
            f"({facts.model[:12]}), not with this one ({model[:12]}): their vectors cannot be "
            "compared; choose that model with -m, or create a new index"
        )
