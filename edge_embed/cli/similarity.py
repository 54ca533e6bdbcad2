"""``edge-embed similarity``: the similarity of texts."""

import click

from edge_embed.cli.options import ModelOptions, model_options
from edge_embed.cli.terminal import echo, echo_json, printable
from edge_embed.errors import InputError


@click.command("similarity")
@click.argument("texts", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@model_options
def similarity_command(options: ModelOptions, texts: tuple[str, ...], *, as_json: bool) -> None:
    """Print the similarity of each pair of texts: the cosine, or what the model says."""
    if len(texts) < 2:
        raise click.UsageError("give at least two texts")
    for number, text in enumerate(texts, 1):
        if not text.strip():
            raise InputError(f"text {number} is empty: there is nothing to compare")
    model = options.load()
    vectors = model.encode(list(texts))
    matrix = model.similarity(vectors, vectors)
    if as_json:
        rows = [[round(float(value), 6) for value in row] for row in matrix]
        echo_json({"texts": list(texts), "similarity": rows})
        return
    pairs = [(float(matrix[i, j]), i, j) for i in range(len(texts)) for j in range(i)]
    for value, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1:])):
        echo(f"{value:7.4f}  {printable(texts[j], 60)}  |  {printable(texts[i], 60)}")
