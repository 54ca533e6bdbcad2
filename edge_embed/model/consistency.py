"""Files of a model folder that must agree with one another, each pair looked at once.

A graph reads any row of a table that it is given, and does not report a missing one; so a tokenizer
or a configuration of another model would give wrong vectors in silence. Called when a model is
loaded and when one is converted. What concerns a single file, and the widths of the modules, is
refused where the file is read (:mod:`edge_embed.model.config`, :mod:`edge_embed.model.dense`,
:mod:`edge_embed.model.precision`, :mod:`edge_embed.runtime.graph`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_embed.errors import ModelFormatError
from edge_embed.model.file_hashes import known_sha256
from edge_embed.model.json_files import read_json
from edge_embed.model.receipt import RECEIPT

if TYPE_CHECKING:
    from edge_embed.model.config import ModelConfig

__all__ = ["EmbeddingTables", "as_converted", "check_consistency"]


@dataclass(frozen=True)
class EmbeddingTables:
    """Rows of the tables that a graph reads; None where it has none that can be told."""

    words: int | None = None
    positions: int | None = None


def check_consistency(
    config: "ModelConfig",
    tables: EmbeddingTables,
    *,
    graph: Path,
    highest_id: Callable[[], int],
    pad_id: int | None,
) -> None:
    """Refuse a folder whose tokenizer, configuration and graph are not of one model.

    Args:
        config: What the folder's JSON files say.
        tables: Of the graph.
        graph: Its .xml.
        highest_id: Finds the highest token id that the tokenizer can give, which is slow; not asked
            where tokenizer and graph are the very files of a conversion, which has asked.
        pad_id: The id of the tokenizer's padding token, where it names one.

    Raises:
        ModelFormatError: two files contradict each other; the message names both.
    """
    folder = config.folder
    tokenizer = as_converted(folder, folder / "tokenizer.json")
    known = tokenizer and as_converted(folder, graph)
    if tables.words is not None and not known and (highest := highest_id()) >= tables.words:
        raise ModelFormatError(
            f"{folder}: tokenizer.json has ids up to {highest}, the model a row for each id up "
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
    # With fewer words than the model has rows it would fit by its numbers.
    if tokenizer is False:
        raise ModelFormatError(
            f"{folder}: tokenizer.json is not the one that the model was converted with "
            f"({RECEIPT} has another hash): copy that, or convert again"
        )
    # Only where positions are counted by it does another padding id change a vector.
    if config.first_position and pad_id is not None and pad_id != config.pad_token_id:
        raise ModelFormatError(
            f"{folder}: config.json says pad_token_id {config.pad_token_id}, the tokenizer's "
            f"padding token has the id {pad_id}: they are of two models; take both from one source"
        )


def as_converted(folder: Path, file: Path) -> bool | None:
    """Return whether a file of a model folder is, byte for byte, that of its conversion.

    None where the receipt does not say.
    """
    files = read_json(folder / RECEIPT, optional=True).get("files")
    said = files.get(file.relative_to(folder).as_posix()) if isinstance(files, dict) else None
    digest = said.get("sha256") if isinstance(said, dict) else None
    return digest == known_sha256(file) if isinstance(digest, str) else None
