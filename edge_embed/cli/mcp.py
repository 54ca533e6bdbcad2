"""``edge-embed mcp``: an index as tools of the Model Context Protocol."""

import signal
from pathlib import Path

import click

from edge_embed.cli.index_options import index_model
from edge_embed.cli.options import ModelOptions, model_options


@click.command("mcp")
@click.argument("index", type=click.Path(path_type=Path))
@model_options
def mcp_command(options: ModelOptions, index: Path) -> None:
    """Offer INDEX to agents: tools to search, add, delete, deduplicate and compare.

    Speaks the Model Context Protocol on standard input and output.
    """
    from edge_embed.integrations.mcp import index_server
    from edge_embed.tasks import Index

    with Index(index, background=True) as store:
        model = index_model(options.for_queries(), str(index), store)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # an interrupt would wait for another line
        index_server(store, model).run("stdio")
