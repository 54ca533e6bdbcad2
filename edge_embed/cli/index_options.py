"""Shared by the commands of an index: its model, and the keys of search engines."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_embed.cli.options import ModelOptions
from edge_embed.embedder import Embedder

if TYPE_CHECKING:
    from edge_embed.integrations.search_engines.base import Collection
    from edge_embed.tasks import Index
    from edge_embed.tasks.index.facts import StoreFacts, VectorType

key_option = click.option(
    "--engine-key",
    envvar="EDGE_EMBED_ENGINE_KEY",
    show_envvar=True,
    help="The API key or token of a search engine's server.",
)


def facts_of(options: ModelOptions, model: Embedder, dtype: "VectorType") -> "StoreFacts":
    """Return the settings of an index for a loaded model."""
    from edge_embed.model.fingerprint import model_fingerprint
    from edge_embed.tasks.index.facts import StoreFacts

    model.config.require_cosine("an index")
    # The name is the default of -m for this index; a folder's path is made absolute.
    folder = options.model is not None and Path(options.model).is_dir()
    name = str(Path(str(options.model)).resolve()) if folder else options.model
    return StoreFacts(model.dim, dtype, model_fingerprint(model), name or model.config.folder.name)


def index_model(options: ModelOptions, place: str | Path, store: "Index | Collection") -> Embedder:
    """Load the model that made the vectors in ``place``, unless -m names another."""
    from edge_embed.model.fingerprint import model_fingerprint
    from edge_embed.tasks.index.facts import check_model

    facts = store.facts
    model = (options if options.model else replace(options, model=facts.model_name or None)).load()
    check_model(f"the index {place}", facts, model_fingerprint(model))
    return model


@contextmanager
def quiet_clients() -> Iterator[None]:
    """Disable logging within the block, since clients log what they also raise."""
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
