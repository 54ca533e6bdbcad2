"""How a model reads the texts that are added to an index: its prompt, whole or in passages."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edge_embed.cli.terminal import echo, progress_bar
from edge_embed.embedder import Embedder

if TYPE_CHECKING:
    from edge_embed.tasks import Index

__all__ = ["document_prompt", "passage_splitter", "refresh_neighbours", "say_split"]


def document_prompt(model: Embedder) -> str:
    """Return what is put before a text that is to be found."""
    return model.prompt(name=model.role_prompt("document", "passage", "corpus"))


def passage_splitter(model: Embedder) -> Callable[[str], list[str]]:
    """Return what splits a text into passages that the model reads whole, its prompt included."""
    from edge_embed.tasks.index.passages import split_text

    prompt = document_prompt(model)

    def count(texts: Sequence[str]) -> list[int]:
        lengths: list[int] = model.count_tokens([prompt + text for text in texts]).tolist()
        return lengths

    return lambda text: split_text(text, count, model.max_seq_length)


def say_split(split: int, texts: int, passages: int, model: Embedder, what: str = "texts") -> None:
    """Say that texts were split."""
    echo(
        f"{split} of {texts} {what} are longer than {model.max_seq_length} tokens and were split "
        f"into {passages} passages",
        err=True,
    )


def refresh_neighbours(store: "Index") -> None:
    """Bring the neighbour file up to date, with a bar."""
    with progress_bar(len(store), "neighbours") as bar:

        def progress(count: int) -> None:
            bar.update(count)

        store.refresh(progress=progress)
