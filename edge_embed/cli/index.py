"""``edge-embed index``: a durable store of texts that ``edge-embed search`` searches."""

from pathlib import Path
from typing import Any

import click

from edge_embed.cli.corpus_embedding import StoppedError
from edge_embed.cli.index_add import add_command
from edge_embed.cli.index_folder import add_folder_command
from edge_embed.cli.index_options import facts_of, key_option, quiet_clients
from edge_embed.cli.index_texts import refresh_neighbours
from edge_embed.cli.options import ModelOptions, model_options
from edge_embed.cli.paths import claim_paths
from edge_embed.cli.terminal import counting, echo, echo_json, printable, progress_bar
from edge_embed.cli.where import where_condition, where_option
from edge_embed.integrations.search_engines.registry import ADDRESSES


@click.group("index")
def index_command() -> None:
    """Keep texts in a durable index: create, add, add-folder, delete, info, export, reembed.

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


@index_command.command("delete")
@click.argument("index", type=click.Path(path_type=Path))
@click.argument("ids", nargs=-1)
@where_option
def delete_command(index: Path, ids: tuple[str, ...], where: tuple[str, ...]) -> None:
    """Delete texts by their ids, with their passages, or by their metadata."""
    from edge_embed.tasks import Index

    condition = where_condition(where)
    if bool(ids) == bool(condition):
        raise click.UsageError("say what to delete: IDS, or --where NAME=VALUE")
    with Index(index) as store:
        chosen = ids if condition is None else tuple(store.store.ids(condition).values())
        deleted = store.delete(chosen)
    echo(f"deleted {deleted} of {len(chosen)}", err=True)


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
    model = options.for_files().load()
    facts = facts_of(options, model, dtype or before.dtype)
    try:
        with counting(total, "reembedded") as progress:
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
        refresh_neighbours(store)
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


index_command.add_command(add_command)
index_command.add_command(add_folder_command)
