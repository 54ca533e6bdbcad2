"""Check that the files of a model folder agree with one another.

OpenVINO does not report a token id or a position beyond the last row of a table, so the tokenizer
or the configuration of another model would silently give wrong vectors. The check runs when a model
is loaded or converted. Faults of a single file, and widths of modules that do not fit, are refused
where the file is read (:mod:`edge_embed.model.config`, :mod:`edge_embed.model.dense`,
:mod:`edge_embed.model.precision`, :mod:`edge_embed.runtime.graph`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_embed.errors import ModelFormatError
from edge_embed.model.file_hashes import known_sha256
from edge_embed.model.file_names import RECEIPT
from edge_embed.model.json_files import read_json

if TYPE_CHECKING:
    from edge_embed.model.config import ModelConfig

__all__ = [
    "EmbeddingTables",
    "as_converted",
    "check_consistency",
    "check_fitted_on",
    "has_receipt",
    "source_weights",
]


@dataclass(frozen=True)
class EmbeddingTables:
    """Number of rows of a graph's embedding tables; None for a table that was not found."""

    words: int | None = None
    positions: int | None = None
    types: int | None = None


class TokenIds(Protocol):
    """The facts of a tokenizer, as of :class:`edge_embed.runtime.tokenizer.Tokenizer`."""

    @property
    def vocabulary_size(self) -> int:
        """The highest id plus one; slow to determine."""

    @property
    def pad_id(self) -> int | None:
        """The id of the padding token; None if it has none."""

    @property
    def types(self) -> int:
        """The number of token types (segment ids)."""


def check_consistency(
    config: "ModelConfig",
    tables: EmbeddingTables,
    *,
    graph: Path,
    tokenizer: TokenIds,
) -> None:
    """Refuse a folder whose tokenizer, configuration and graph are not of one model.

    Args:
        config: The folder's configuration.
        tables: The sizes of the graph's embedding tables.
        graph: The graph's .xml file.
        tokenizer: The folder's tokenizer. Its ``vocabulary_size`` is slow, and not checked if the
            files of tokenizer and graph are unchanged since the conversion, which has checked it.

    Raises:
        ModelFormatError: two files contradict each other; the message names both.
    """
    folder = config.folder
    own_tokenizer = as_converted(folder, folder / "tokenizer.json")
    own_graph = as_converted(folder, graph)
    known = own_tokenizer and own_graph
    if tables.words is not None and not known and tokenizer.vocabulary_size > tables.words:
        highest = tokenizer.vocabulary_size - 1
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
    # A tokenizer with a smaller vocabulary passes the checks above: compare its hash.
    if own_tokenizer is False:
        raise ModelFormatError(
            f"{folder}: tokenizer.json is not the one that the model was converted with "
            f"({RECEIPT} has another hash): copy that, or convert again"
        )
    if own_graph is False:
        raise ModelFormatError(
            f"{folder}: {graph.name} is not the one that {RECEIPT} describes: copy the whole "
            f"folder again, convert again, or remove {RECEIPT} to take the files as they are"
        )
    if tables.types is not None and tokenizer.types > tables.types:
        raise ModelFormatError(
            f"{folder}: tokenizer.json has types of tokens up to {tokenizer.types - 1}, the model "
            f"a row for each up to {tables.types - 1}: they are of two models; take both from one "
            "source"
        )
    # The padding id changes vectors only of models whose positions start after it.
    pad_id = tokenizer.pad_id
    if config.first_position and pad_id is not None and pad_id != config.pad_token_id:
        raise ModelFormatError(
            f"{folder}: config.json says pad_token_id {config.pad_token_id}, the tokenizer's "
            f"padding token has the id {pad_id}: they are of two models; take both from one source"
        )


def has_receipt(folder: Path) -> bool:
    """Return whether a folder's receipt has hashes of its files."""
    return isinstance(read_json(folder / RECEIPT, optional=True).get("files"), dict)


def source_weights(folder: Path) -> str | None:
    """Return the SHA-256 of the weights that a folder was converted from; None if it has none."""
    source = read_json(folder / RECEIPT, optional=True).get("source")
    digest = source.get("weights_sha256") if isinstance(source, dict) else None
    return digest if isinstance(digest, str) else None


def check_fitted_on(path: Path, weights: object, *, command: str) -> None:
    """Refuse a file of a model folder that was fitted on vectors of another model.

    Args:
        path: The file.
        weights: What :func:`source_weights` returned when it was fitted; None is not compared.
        command: The command that fits it, for the message.

    Raises:
        ModelFormatError: the folder was converted from other weights.
    """
    own = source_weights(path.parent)
    if weights is not None and own is not None and weights != own:
        raise ModelFormatError(f"{path} was fitted on another model: run '{command}'")


def as_converted(folder: Path, file: Path) -> bool | None:
    """Return whether a file of a model folder is unchanged since the conversion.

    None if the receipt has no hash of it.
    """
    files = read_json(folder / RECEIPT, optional=True).get("files")
    said = files.get(file.relative_to(folder).as_posix()) if isinstance(files, dict) else None
    digest = said.get("sha256") if isinstance(said, dict) else None
    return digest == known_sha256(file) if isinstance(digest, str) else None
