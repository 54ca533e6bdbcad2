"""Architectures that the conversion has to name: where transformers' AutoModel is not the encoder.

Every other architecture is loaded by AutoModel and needs no entry. The positions of a RoBERTa-like
architecture are named in :mod:`edge_embed.model.positions`.
"""

from collections.abc import Mapping

__all__ = ["ENCODER_CLASSES"]

ENCODER_CLASSES: Mapping[str, str] = {
    "longt5": "LongT5EncoderModel",
    "mt5": "MT5EncoderModel",
    "t5": "T5EncoderModel",
    "umt5": "UMT5EncoderModel",
}
"""``model_type`` in config.json to the class of transformers that loads the encoder alone."""
