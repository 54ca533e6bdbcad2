"""``edge-embed index``: a store of texts that ``edge-embed search`` looks through by meaning."""

import warnings
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_embed.cli.corpus_embedding import StoppedError
from edge_embed.cli.index_options import facts_of, index_model, key_option, quiet_clients
from edge_embed.cli.options import ModelOptions, input_options, model_options
from edge_embed.cli.paths import claim_paths
from edge_embed.cli.terminal import echo, echo_json, printable, progress_bar
from edge_embed.embedder import Embedder
from edge_embed.encoding import TruncationWarning, truncation_message
from edge_embed.errors import InputError
from edge_embed.files.json_values import json_value
from edge_embed.files.readers import Row, read_rows
from edge_embed.integrations.search_engines.registry import ADDRESSES

if TYPE_CHECKING:
    from edge_embed.tasks import Index

# Texts embedded and stored at a time; each such part is on the disk before the next begins.
_CHUNK = 2048


@click.group("index")
def index_command() -> None:
    """Keep texts in a durable index: create, add, delete, info, export, reembed.

    'edge-embed search' finds them.
    """


@index_command.command("create")
@click.argument("index", type=click.Path(path_type=Path))
@click.option(
    "--dtype",
    type=click.Choice(["float32", "int8"]),
    default="float32",
    show_default=True,
    help="How vectors are stored; int8 takes a quarter of the room.",
)
@model_options
def create_command(options: ModelOptions, index: Path, dtype: Any) -> None:  # noqa: ANN401
    """Create an empty index for the vectors of one model."""
    from edge_embed.tasks import Index

    claim_paths(files={"INDEX": index})
    facts = facts_of(options, options.load(), dtype)
    Index.create(
        index, dim=facts.dim, model=facts.model, model_name=facts.model_name, dtype=facts.dtype
    ).close()
    echo(f"created {index}: {facts.dim} dimensions, {dtype}", err=True)


@index_command.command("add")
@click.argument("index", type=click.Path(path_type=Path))
@input_options
@click.option("--id-column", help="The column of the ids; else they are made of the texts.")
@model_options
def add_command(
    options: ModelOptions,
    index: Path,
    source: str | None,
    column: str | None,
    id_column: str | None,
    *,
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
        model = index_model(options, index, store)
        before, read, cut = len(store), 0, 0
        try:
            with progress_bar(None, "added") as bar:
                chunk = first
                while chunk:
                    read += len(chunk)
                    if id_column is not None:
                        chunk = list({_id(row, id_column): row for row in chunk}.values())
                    cut += _add(store, model, chunk, id_column)
                    bar.update(len(chunk))
                    chunk = list(islice(rows, _CHUNK))
            _refresh(store)
        except KeyboardInterrupt:
            raise StoppedError(
                f"interrupted; {index} holds {len(store)} texts: the same command adds the rest"
            ) from None
        if cut:
            warnings.warn(
                truncation_message(cut, read, model.max_seq_length), TruncationWarning, stacklevel=1
            )
        replaced = read - (len(store) - before)
        echo(
            f"{index} holds {len(store)} texts; {read} rows were read"
            + (f", {replaced} of them in the place of others with their id" if replaced else ""),
            err=True,
        )


def _add(store: "Index", model: Embedder, rows: Sequence[Row], id_column: str | None) -> int:
    """Embed and store rows of different ids; return how many of their texts were cut."""
    texts = [row.text for row in rows]
    store.add(
        texts,
        model.encode_document(texts, normalize=True, truncation="ignore"),
        ids=None if id_column is None else [_id(row, id_column) for row in rows],
        metadata=[_metadata(row, id_column) for row in rows],
    )
    return int((model.count_tokens(texts) > model.max_seq_length).sum())


@index_command.command("delete")
@click.argument("index", type=click.Path(path_type=Path))
@click.argument("ids", nargs=-1, required=True)
def delete_command(index: Path, ids: tuple[str, ...]) -> None:
    """Delete texts by their ids."""
    from edge_embed.tasks import Index

    with Index(index) as store:
        deleted = store.delete(ids)
    echo(f"deleted {deleted} of {len(ids)}", err=True)


@index_command.command("reembed")
@click.argument("index", type=click.Path(path_type=Path))
@click.option(
    "--dtype",
    type=click.Choice(["float32", "int8"]),
    help="How vectors are stored from now on; else as before.",
)
@model_options
def reembed_command(options: ModelOptions, index: Path, dtype: Any) -> None:  # noqa: ANN401
    """Move an index to another model (-m): same texts, new vectors.

    The index is searched and written meanwhile; it is replaced at the end. An interrupted run goes
    on where it was. A server that has it attached takes it after a restart.
    """
    from edge_embed.tasks import Index
    from edge_embed.tasks.index.reembed import reembed

    if options.model is None:
        raise click.UsageError("say which model the index moves to: -m MODEL")
    with Index(index) as store:
        total, before = len(store), store.facts
    model = options.load()
    facts = facts_of(options, model, dtype or before.dtype)
    try:
        with progress_bar(total, "reembedded") as bar:

            def progress(count: int) -> None:
                bar.update(count)

            count = reembed(
                index,
                facts,
                lambda texts: model.encode_document(texts, normalize=True),
                progress=progress,
            )
    except KeyboardInterrupt:
        raise StoppedError(
            f"interrupted; {index} is as it was: the same command goes on where this one stopped"
        ) from None
    with Index(index) as store:
        _refresh(store)
    echo(f"{index} holds {count} texts, now of {facts.model_name}", err=True)


@index_command.command("info")
@click.argument("index", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def info_command(index: Path, *, as_json: bool) -> None:
    """Say what an index holds."""
    from edge_embed.tasks import Index

    with Index(index) as store:
        facts = vars(store.info())
    if as_json:
        echo_json(facts)
        return
    for name, value in facts.items():
        echo(f"{name.replace('_', ' '):<16} {printable(str(value))}")


@index_command.command("export")
@click.argument("index", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "address",
    required=True,
    metavar="ADDRESS",
    help=ADDRESSES,
)
@key_option
def export_command(index: Path, address: str, engine_key: str | None) -> None:
    """Bring a collection of a search engine to what an index holds.

    Only differences are written: what is new or changed in the index, and what was deleted from it.
    What has been exported stays if the run is interrupted; a second run goes on.
    """
    from edge_embed.integrations.search_engines.export import export
    from edge_embed.tasks import Index

    with Index(index) as store:
        total = len(store)
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        bar.update(count)

    try:
        with quiet_clients(), progress_bar(total, "exported") as bar:
            result = export(index, address, key=engine_key, progress=progress)
    except KeyboardInterrupt:
        raise StoppedError(
            f"interrupted; {done} texts are in {address}: the same command exports the rest"
        ) from None
    echo(
        f"{address}: {result.written} written, {result.deleted} deleted, "
        f"{result.unchanged} were there",
        err=True,
    )


def _refresh(store: "Index") -> None:
    with progress_bar(len(store), "neighbours") as bar:

        def progress(count: int) -> None:
            bar.update(count)

        store.refresh(progress=progress)


def _id(row: Row, column: str) -> str:
    value = row.values.get(column)
    if value is None or not str(value):
        raise InputError(f"{row.place}: there is no id in the column {column!r}")
    return str(value)


def _metadata(row: Row, id_column: str | None) -> dict[str, object]:
    """Return the columns besides text and id as JSON holds them."""
    return {
        name: json_value(value)
        for name, value in row.values.items()
        if name not in (row.column, id_column)
    }
