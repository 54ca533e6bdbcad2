"""``edge-embed ranges``: fit the ranges of int8 vectors once and store them with the model."""

import click

from edge_embed.cli.options import ModelOptions, input_options, model_options
from edge_embed.cli.terminal import echo
from edge_embed.errors import InputError
from edge_embed.files.readers import read_texts
from edge_embed.model.precision import Ranges


@click.command("ranges")
@input_options
@model_options
def ranges_command(
    options: ModelOptions, source: str | None, column: str | None, *, allow_empty: bool
) -> None:
    """Fit the ranges of int8 and uint8 vectors on representative texts."""
    if source is None:
        raise click.UsageError("give representative texts with -i FILE; a thousand are plenty")
    texts = list(read_texts(source, column=column, allow_empty=allow_empty))
    model = options.load()
    if model.derived is not None:
        raise InputError(
            "ranges are kept in the model's folder for its own variants, not for static vectors"
        )
    path = Ranges.fit(model.encode(texts, truncation="ignore")).save(model.config.folder)
    echo(f"fitted on {len(texts)} texts: {path}", err=True)
