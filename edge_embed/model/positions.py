"""Where the positions of a text start in the model's position table."""

from typing import Any

from edge_embed.model.json_files import number_of

__all__ = ["OFFSET_POSITIONS", "first_position"]

OFFSET_POSITIONS = frozenset(
    {
        "camembert",
        "data2vec-text",
        "ibert",
        "longformer",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    }
)
"""Architectures (``model_type`` in config.json) whose first position is ``pad_token_id + 1``."""


def first_position(config: dict[str, Any]) -> int:
    """Return the row of the position table that a text's first token reads.

    Args:
        config: The content of the transformer's config.json.
    """
    if config.get("model_type") not in OFFSET_POSITIONS:
        return 0
    # MPNet's code takes 1 as the padding id, whatever its configuration says.
    padding = 1 if config["model_type"] == "mpnet" else number_of(config, "pad_token_id") or 0
    return padding + 1
