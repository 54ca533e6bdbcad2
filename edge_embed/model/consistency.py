"""Files of a model folder that must agree with one another, each pair looked at once.

A graph reads any row of a table that it is given, and does not report a missing one; so a tokenizer
or a configuration of another model would give wrong vectors in silence. Called when a model is
loaded and when one is converted. What concerns a single file, and the widths of the modules, is
refused where the file is read (:mod:`edge_embed.model.config`, :mod:`edge_embed.model.dense`,
:mod:`edge_embed.model.precision`, :mod:`edge_embed.runtime.graph`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_embed.errors import ModelFormatError
from edge_embed.model.json_files import read_json

if TYPE_CHECKING:
    from edge_embed.model.config import ModelConfig

__all__ = ["EmbeddingTables", "check_consistency"]


@dataclass(frozen=True)
class EmbeddingTables:
    """Rows of the tables that a graph reads; None where it has none that can be told."""

    words: int | None = None
    positions: int | None = None


def check_consistency(
    config: "ModelConfig", tables: EmbeddingTables, *, highest_id: int, pad_id: int | None
) -> None:
    """Refuse a folder whose tokenizer, configuration and graph are not of one model.

    Args:
        config: What the folder's JSON files say.
        tables: Of the graph.
        highest_id: The highest token id that the tokenizer can give.
        pad_id: The id of the tokenizer's padding token, where it names one.

    Raises:
        ModelFormatError: two files contradict each other; the message names both.
    """
    folder = config.folder
    if tables.words is not None and highest_id >= tables.words:
        raise ModelFormatError(
            f"{folder}: tokenizer.json has ids up to {highest_id}, the model a row for each id up "
            f"to {tables.words - 1}: they are of two models, or words were added without resizing "
            "the model; take both from one source, and convert again"
        )
    said = read_json(config.transformer_folder / "config.json")
    vocabulary, hidden = said.get("vocab_size"), said.get("hidden_size")
    if tables.words is not None and isinstance(vocabulary, int) and vocabulary != tables.words:
        raise ModelFormatError(
            f"{folder}: config.json says vocab_size {vocabulary}, the model has {tables.words} "
            "rows of words: they are of two models; take both from one source"
        )
    if isinstance(hidden, int) and hidden != config.hidden_size:
        raise ModelFormatError(
            f"{folder}: config.json says hidden_size {hidden}, the pooling configuration "
            f"{config.hidden_size}: they are of two models; take both from one source"
        )
    needed = config.max_seq_length + config.first_position
    if tables.positions is not None and needed > tables.positions:
        raise ModelFormatError(
            f"{folder}: texts of {config.max_seq_length} tokens need {needed} rows of positions, "
            f"the model has {tables.positions}: lower max_seq_length in sentence_bert_config.json"
        )
    _check_receipt(config)
    # Only where positions are counted by it does another padding id change a vector.
    if config.first_position and pad_id is not None and pad_id != config.pad_token_id:
        raise ModelFormatError(
            f"{folder}: config.json says pad_token_id {config.pad_token_id}, the tokenizer's "
            f"padding token has the id {pad_id}: they are of two models; take both from one source"
        )


def _check_receipt(config: "ModelConfig") -> None:
    """Refuse a tokenizer that the graph was not converted with, by its size, which costs nothing.

    One with fewer words than the model has rows fits by its numbers and is wrong all the same.
    """
    files = read_json(config.folder / "edge_embed.json", optional=True).get("files")
    said = files.get("tokenizer.json") if isinstance(files, dict) else None
    size = said.get("size") if isinstance(said, dict) else None
    there = (config.folder / "tokenizer.json").stat().st_size
    if isinstance(size, int) and size != there:
        raise ModelFormatError(
            f"{config.folder}: tokenizer.json has {there} bytes, edge_embed.json says {size}: it "
            "is not the one that the model was converted with; copy that, or convert again"
        )
