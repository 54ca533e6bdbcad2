"""Shared by the commands that add to an index: splitting into passages, and the HNSW file."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from edge_embed.cli.terminal import counting, echo
from edge_embed.embedder import Embedder
from edge_embed.errors import MissingExtraError

if TYPE_CHECKING:
    from edge_embed.tasks import Index

__all__ = ["passage_splitter", "refresh_neighbours", "say_split"]


def passage_splitter(model: Embedder) -> Callable[[str], list[str]]:
    """Return a function that splits a text into passages within the model's token limit."""
    from edge_embed.tasks.index.passages import split_text

    prompt, limit = model.document_prompt, model.max_seq_length
    return lambda text: split_text(text, model.count_tokens, limit, prompt=prompt)


def say_split(split: int, texts: int, passages: int, model: Embedder, what: str = "texts") -> None:
    """Print how many texts were split."""
    echo(
        f"{split} of {texts} {what} are longer than {model.max_seq_length} tokens and were split "
        f"into {passages} passages",
        err=True,
    )


def refresh_neighbours(store: "Index") -> None:
    """Bring the HNSW file up to date, with a progress bar; say so if it needs another package."""
    try:
        with counting(len(store), "neighbours") as progress:
            store.refresh(progress=progress)
    except MissingExtraError as error:
        warnings.warn(f"{error}; searches compare every text", stacklevel=2)
