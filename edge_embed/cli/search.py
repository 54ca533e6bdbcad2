"""``edge-embed search``: search an index, or a collection that it was exported to."""

from typing import TYPE_CHECKING

import click

from edge_embed.cli.index_options import index_model, key_option, quiet_clients
from edge_embed.cli.options import ModelOptions, candidates_option, model_options
from edge_embed.cli.terminal import echo, echo_json, printable
from edge_embed.cli.where import where_condition, where_option
from edge_embed.errors import InputError
from edge_embed.integrations.search_engines.registry import ADDRESSES

if TYPE_CHECKING:
    from edge_embed.integrations.search_engines.base import Collection
    from edge_embed.tasks import Hit, Index
    from edge_embed.tasks.vectors import Vectors


@click.command(
    "search",
    help="Find the texts of an index that go best with TEXT, by meaning and by words (BM25) "
    f"together.\n\nINDEX is a file, or what an index was exported to: {ADDRESSES}; there, meaning "
    "alone ranks.",
)
@click.argument("index")
@click.argument("texts", nargs=-1, required=True)
@click.option("-k", type=click.IntRange(min=1), default=10, show_default=True, help="Hits.")
@click.option(
    "--hybrid/--dense",
    default=None,
    help="Rank by meaning and by words together, as an index in a file does by itself, or by "
    "meaning alone.",
)
@where_option
@click.option("--exact", is_flag=True, help="Compare with every text, however many there are.")
@click.option(
    "--rerank",
    metavar="MODEL",
    help="Order the hits by a model that reads both texts (a converted cross-encoder).",
)
@candidates_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@key_option
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
    hybrid: bool | None,
    exact: bool,
    as_json: bool,
) -> None:
    """Find the texts of an index that go best with TEXT."""
    from edge_embed.integrations.search_engines.export import is_collection, open_collection
    from edge_embed.tasks import Index

    for number, text in enumerate(texts, 1):
        if not text.strip():
            raise InputError(f"text {number} is empty: there is nothing to search for")
    condition = where_condition(where)
    scorer = None if rerank is None else options.load_scorer(rerank)

    def encoded(store: "Index | Collection") -> "Vectors":
        model = index_model(options.for_queries(), index, store)
        return model.encode_query(list(texts), normalize=True)

    if is_collection(index):
        if hybrid or exact:
            raise click.UsageError("--hybrid and --exact need an index in a file")
        with quiet_clients(), open_collection(index, key=engine_key) as collection:
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
                queries=texts,
                dense=hybrid is False,
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
            echo(f"{shown:7.4f}  {_place(hit)}{printable(hit.text)}")


def _place(hit: "Hit") -> str:
    """Return document and passage of a hit for display; "" for a whole text."""
    return "" if hit.passage is None else f"[{printable(hit.document)} {hit.passage}] "


def _as_json(hit: "Hit") -> dict[str, object]:
    facts: dict[str, object] = {
        "id": hit.id,
        "score": round(hit.score, 6),
        "text": hit.text,
        "metadata": hit.metadata,
    }
    if hit.passage is not None:
        facts |= {"document": hit.document, "passage": hit.passage}
    if hit.fused is not None:
        facts["fused"] = round(hit.fused, 6)
    if hit.reranked is not None:
        facts["reranked"] = round(hit.reranked, 6)
    return facts
