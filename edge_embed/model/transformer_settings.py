"""Settings of a Transformer module, and which of them are supported.

Newer versions of sentence-transformers store more in ``sentence_bert_config.json`` than a token
limit: which output is used, limits for queries and documents, a chat template. Settings that are
not supported here and would change vectors are refused.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_embed.errors import ModelFormatError

__all__ = ["check_settings"]

# Options of a tokenizer's call that do not change token ids.
_HARMLESS = frozenset({"padding", "return_tensors", "truncation"})


def check_settings(settings: Mapping[str, Any], file: Path) -> None:
    """Refuse settings of a Transformer module that would change vectors and are not supported.

    Args:
        settings: The content of ``sentence_bert_config.json``.
        file: Its path, for the error.

    Raises:
        ModelFormatError: there is such a setting.
    """
    for name, value in _unsupported(settings):
        raise ModelFormatError(
            f"{file} sets {name} to {value!r:.60}, which edge_embed does not follow: it takes the "
            "states of each token of a feature-extraction model, of plain texts; choose another "
            "model"
        )


def _unsupported(settings: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name, usual in (
        ("transformer_task", "feature-extraction"),
        ("module_output_name", "token_embeddings"),
        ("query_length", None),
        ("document_length", None),
        ("query_expansion", None),
    ):
        if settings.get(name) not in (None, usual):
            yield name, settings[name]
    modalities = settings.get("modality_config")
    if modalities:
        text = modalities.get("text")
        if text is None:
            yield "modality_config", modalities
        elif text.get("method_output_name") not in (None, "last_hidden_state"):
            yield "method_output_name", text["method_output_name"]
    processing = settings.get("processing_kwargs") or {}
    for part in ("common", "text"):
        for name, value in (processing.get(part) or {}).items():
            if name not in _HARMLESS:
                yield f"processing_kwargs.{part}.{name}", value
