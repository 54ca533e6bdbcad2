"""``edge-embed index add``: the texts of a file."""

import warnings
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_embed.cli.corpus_embedding import StoppedError
from edge_embed.cli.index_options import index_model
from edge_embed.cli.index_texts import (
    passage_splitter,
    refresh_neighbours,
    say_split,
)
from edge_embed.cli.options import ModelOptions, input_options, model_options
from edge_embed.cli.paths import claim_paths
from edge_embed.cli.terminal import echo, progress_bar
from edge_embed.embedder import Embedder
from edge_embed.encoding import TruncationWarning, truncation_message
from edge_embed.errors import InputError
from edge_embed.files.json_values import json_value
from edge_embed.files.readers import Row, read_rows

if TYPE_CHECKING:
    from edge_embed.tasks import Index
    from edge_embed.tasks.vectors import Vectors

__all__ = ["add_command"]

# Texts embedded and stored at a time; each such part is on the disk before the next begins.
_CHUNK = 2048


@click.command("add")
@click.argument("index", type=click.Path(path_type=Path))
@input_options
@click.option("--id-column", help="The column of the ids; else they are made of the texts.")
@click.option(
    "--split/--no-split",
    default=True,
    show_default=True,
    help="Split texts over the model's limit into passages at sentence ends, or cut them.",
)
@model_options
def add_command(
    options: ModelOptions,
    index: Path,
    source: str | None,
    column: str | None,
    id_column: str | None,
    *,
    split: bool,
    allow_empty: bool,
) -> None:
    """Add the texts of a file, other columns as metadata; known ids are replaced.

    Of rows with the same id, or without ids the same text, the last one stays, however far apart.
    What has been added stays if the run is interrupted; a second run replaces it by itself.
    """
    from edge_embed.tasks import Index

    if source is None:
        raise click.UsageError("give the texts with -i FILE ('-i -' reads standard input)")
    claim_paths(reads={"-i": source}, updates={"INDEX": index})
    rows = read_rows(source, column=column, allow_empty=allow_empty)
    first = list(islice(rows, _CHUNK))  # a bad input is reported before the model loads
    with Index(index) as store:
        model = index_model(options.for_files(), index, store)
        added = _Added(store, model, split=split)
        try:
            with progress_bar(None, "added") as bar:
                chunk = first
                while chunk:
                    added.add(chunk, id_column)
                    bar.update(len(chunk))
                    chunk = list(islice(rows, _CHUNK))
            refresh_neighbours(store)
        except KeyboardInterrupt:
            raise StoppedError(
                f"interrupted; {index} holds {len(store)} texts: the same command adds the rest"
            ) from None
        if added.cut:
            warnings.warn(
                truncation_message(added.cut, added.read, model.max_seq_length),
                TruncationWarning,
                stacklevel=1,
            )
        if added.split:
            say_split(added.split, added.read, added.passages, model)
        echo(
            f"{index} holds {len(store)} texts; {added.read} rows were read"
            + (
                f", {added.replaced} of them in the place of others with their id"
                if added.replaced
                else ""
            ),
            err=True,
        )


class _Added:
    """Adds rows, chunk by chunk, and counts."""

    def __init__(self, store: "Index", model: Embedder, *, split: bool) -> None:
        self._store, self._model = store, model
        self._split = passage_splitter(model) if split else None
        self.read = self.replaced = self.cut = self.split = self.passages = 0
        self._copies: Counter[str] = Counter()

    def add(self, rows: Sequence[Row], id_column: str | None) -> None:
        """Embed and store rows; of those with the same id, the last."""
        from edge_embed.tasks.index.documents import Document, add_documents
        from edge_embed.tasks.index.passages import text_id

        documents = {}
        for row in rows:
            id_ = text_id(row.text) if id_column is None else _id(row, id_column)
            # Counted for every row, so that the counts do not depend on where chunks end.
            documents[id_] = row, self._passages(row.text)
        self._copies = Counter(row.text for row in rows)
        self.read += len(rows)
        self.replaced += len(rows) - len(documents)
        self.replaced += add_documents(
            self._store,
            [
                Document(id_, passages, _metadata(row, id_column))
                for id_, (row, passages) in documents.items()
            ],
            self._embed,
        )

    def _passages(self, text: str) -> Sequence[str]:
        if self._split is None:
            return [text]
        passages = self._split(text)
        if len(passages) > 1:
            self.split += 1
            self.passages += len(passages)
        return passages

    def _embed(self, texts: Sequence[str]) -> "Vectors":
        encoded = self._model.encode_detailed(
            texts, prompt=self._model.document_prompt, normalize=True
        )
        self.cut += sum(self._copies.get(texts[row], 1) for row in encoded.truncated)
        return encoded.vectors


def _id(row: Row, column: str) -> str:
    value = row.values.get(column)
    if value is None or not str(value):
        raise InputError(f"{row.place}: there is no id in the column {column!r}")
    return str(value)


def _metadata(row: Row, id_column: str | None) -> dict[str, object]:
    """Return the columns other than text and id as JSON values."""
    return {
        name: json_value(value)
        for name, value in row.values.items()
        if name not in (row.column, id_column)
    }
