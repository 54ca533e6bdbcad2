"""``edge-embed index`` and ``edge-embed search``: a store of texts that is searched by meaning."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_embed.cli.corpus_embedding import StoppedError
from edge_embed.cli.options import ModelOptions, input_options, model_options
from edge_embed.cli.paths import claim_paths
from edge_embed.cli.terminal import echo, echo_json, printable, progress_bar
from edge_embed.embedder import Embedder
from edge_embed.encoding import TruncationWarning, truncation_message
from edge_embed.errors import InputError
from edge_embed.files.json_values import json_value, parse_line
from edge_embed.files.readers import Row, read_rows
from edge_embed.integrations.search_engines.registry import ADDRESSES

if TYPE_CHECKING:
    from edge_embed.integrations.search_engines.base import Collection
    from edge_embed.tasks import Hit, Index
    from edge_embed.tasks.index.store import StoreFacts, VectorType
    from edge_embed.tasks.vectors import Vectors

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
    facts = _facts_of(options, options.load(), dtype)
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
    facts = _facts_of(options, model, dtype or before.dtype)
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


_key_option = click.option(
    "--engine-key",
    envvar="EDGE_EMBED_ENGINE_KEY",
    show_envvar=True,
    help="The API key or token of a search engine's server.",
)


@index_command.command("export")
@click.argument("index", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "address",
    required=True,
    metavar="ADDRESS",
    help=ADDRESSES,
)
@_key_option
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
        with _quiet_clients(), progress_bar(total, "exported") as bar:
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


@click.command(
    "search",
    help="Find the texts of an index that are nearest to TEXT in meaning.\n\nINDEX is a file, or "
    f"what an index was exported to: {ADDRESSES}.",
)
@click.argument("index")
@click.argument("texts", nargs=-1, required=True)
@click.option("-k", type=click.IntRange(min=1), default=10, show_default=True, help="Hits.")
@click.option("--hybrid", is_flag=True, help="Rank by meaning and by words (BM25) together.")
@click.option(
    "--where",
    multiple=True,
    metavar="NAME=VALUE",
    help="Only texts with this metadata; VALUE is JSON or a plain text. May be repeated.",
)
@click.option("--exact", is_flag=True, help="Compare with every text, however many there are.")
@click.option(
    "--rerank",
    metavar="MODEL",
    help="Order the hits by a model that reads both texts (a converted cross-encoder).",
)
@click.option(
    "--candidates",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="With --rerank: how many hits it reads of each query.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@_key_option
@model_options
def search_command(
    options: ModelOptions,
    index: str,
    texts: tuple[str, ...],
    k: int,
    where: tuple[str, ...],
    rerank: str | None,
    candidates: int,
    engine_key: str | None,
    *,
    hybrid: bool,
    exact: bool,
    as_json: bool,
) -> None:
    """Find the texts of an index that are nearest to TEXT in meaning."""
    from edge_embed.integrations.search_engines.export import is_collection, open_collection
    from edge_embed.tasks import Index

    for number, text in enumerate(texts, 1):
        if not text.strip():
            raise InputError(f"text {number} is empty: there is nothing to search for")
    condition = dict(_condition(part) for part in where) or None
    scorer = None if rerank is None else options.load_scorer(rerank)

    def encoded(store: "Index | Collection") -> "Vectors":
        model = index_model(options.with_engine(hint="latency"), index, store)
        return model.encode_query(list(texts), normalize=True)

    if is_collection(index):
        if hybrid or exact:
            raise click.UsageError("--hybrid and --exact need an index in a file")
        with _quiet_clients(), open_collection(index, key=engine_key) as collection:
            depth = k if scorer is None else max(k, candidates)
            found = collection.search(encoded(collection), k=depth, where=condition)
        if scorer is not None:
            from edge_embed.tasks.index.ranking import reranked

            found = reranked(texts, found, scorer.predict, k)
    else:
        with Index(index) as store:
            found = store.search(
                encoded(store),
                k=k,
                where=condition,
                queries=texts if hybrid or scorer is not None else None,
                exact=exact,
                rerank=None if scorer is None else scorer.predict,
                candidates=candidates,
            )
    if as_json:
        document = [
            {"query": text, "hits": [_as_json(hit) for hit in hits]}
            for text, hits in zip(texts, found, strict=True)
        ]
        echo_json(document)
        return
    for text, hits in zip(texts, found, strict=True):
        if len(texts) > 1:
            echo(f"# {printable(text)}")
        for hit in hits:
            shown = hit.score if hit.reranked is None else hit.reranked
            echo(f"{shown:7.4f}  {printable(hit.text)}")


def _facts_of(options: ModelOptions, model: Embedder, dtype: "VectorType") -> "StoreFacts":
    """Return what an index of a loaded model is for."""
    from edge_embed.model.fingerprint import model_fingerprint
    from edge_embed.tasks.index.store import StoreFacts

    model.config.require_cosine("an index")
    # The name is what -m defaults to from now on; a folder is found from anywhere.
    folder = options.model is not None and Path(options.model).is_dir()
    name = str(Path(str(options.model)).resolve()) if folder else options.model
    return StoreFacts(model.dim, dtype, model_fingerprint(model), name or model.config.folder.name)


def index_model(options: ModelOptions, place: str | Path, store: "Index | Collection") -> Embedder:
    """Load the model that made the vectors in ``place``, unless -m names another."""
    from edge_embed.model.fingerprint import model_fingerprint
    from edge_embed.tasks.index.store import check_model

    facts = store.facts
    model = (options if options.model else replace(options, model=facts.model_name or None)).load()
    check_model(f"the index {place}", facts, model_fingerprint(model))
    return model


@contextmanager
def _quiet_clients() -> Iterator[None]:
    """Keep the clients' logs off the terminal: what fails is raised as well, and said once."""
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


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


def _condition(part: str) -> tuple[str, object]:
    name, equals, value = part.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--where takes NAME=VALUE, not {part!r}")
    try:
        return name, parse_line(value, "")
    except InputError:  # no JSON, so it is the text itself
        return name, value


def _as_json(hit: "Hit") -> dict[str, object]:
    facts: dict[str, object] = {
        "id": hit.id,
        "score": round(hit.score, 6),
        "text": hit.text,
        "metadata": hit.metadata,
    }
    if hit.fused is not None:
        facts["fused"] = round(hit.fused, 6)
    if hit.reranked is not None:
        facts["reranked"] = round(hit.reranked, 6)
    return facts
