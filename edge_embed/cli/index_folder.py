"""``edge-embed index add-folder``: synchronise an index with a folder of documents."""

import warnings
from pathlib import Path

import click

from edge_embed.cli.corpus_embedding import StoppedError
from edge_embed.cli.index_options import index_model
from edge_embed.cli.index_texts import (
    passage_splitter,
    refresh_neighbours,
    say_split,
)
from edge_embed.cli.options import ModelOptions, model_options
from edge_embed.cli.paths import claim_paths
from edge_embed.cli.terminal import counting, echo

__all__ = ["add_folder_command"]

_NAMED = 5  # files that are named of those that were left out


@click.command("add-folder")
@click.argument("index", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="What the folder is called in the index; else its path.")
@model_options
def add_folder_command(options: ModelOptions, index: Path, folder: Path, name: str | None) -> None:
    """Bring INDEX to what the .txt, .md and .html files of FOLDER hold.

    New and changed files are added, in passages that the model reads whole, and files that are
    gone leave; whatever else is in the index stays. So the same command again does only what
    changed. Links and hidden files are passed over. Hits name file and passage, and --where finds
    them by folder=NAME and file=FILE.
    """
    from edge_embed.tasks import Index
    from edge_embed.tasks.index.folder import update_from_folder

    claim_paths(reads={"FOLDER": folder}, updates={"INDEX": index})
    if name is not None and not name.strip():
        raise click.UsageError("--name is empty: give the folder a name, or leave it out")
    with Index(index) as store:
        model = index_model(options.for_files(), index, store)
        prompt = model.document_prompt
        try:
            with counting(None, "files") as progress:
                update = update_from_folder(
                    store,
                    folder,
                    passage_splitter(model),
                    lambda texts: model.encode(list(texts), prompt=prompt, normalize=True),
                    name=name,
                    progress=progress,
                )
            refresh_neighbours(store)
        except KeyboardInterrupt:
            raise StoppedError(
                f"interrupted; {index} holds {len(store)} texts: the same command adds the rest"
            ) from None
        for reason in update.left_out[:_NAMED]:
            warnings.warn(f"left out: {reason}", stacklevel=1)
        if len(update.left_out) > _NAMED:
            more = len(update.left_out) - _NAMED
            warnings.warn(f"left out: {more} more files", stacklevel=1)
        if update.split:
            files = update.added + update.changed
            say_split(update.split, files, update.split_passages, model, "files")
        echo(
            f"{folder}: {update.added} files added, {update.changed} changed, {update.removed} "
            f"removed, {update.unchanged} as before; {index} holds {len(store)} texts",
            err=True,
        )
