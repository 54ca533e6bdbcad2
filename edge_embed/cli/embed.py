"""``edge-embed embed``: texts to vectors, streamed."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import click

from edge_embed.cli.options import ModelOptions, input_options, model_options
from edge_embed.cli.paths import claim_paths
from edge_embed.cli.terminal import progress_bar
from edge_embed.embedder import Embedder
from edge_embed.encoding import Truncation, TruncationWarning, truncation_message
from edge_embed.errors import InputError, TextError
from edge_embed.files.formats import WRITABLE_VECTORS
from edge_embed.files.readers import read_rows, read_texts
from edge_embed.files.vector_writers import check_output, open_writer
from edge_embed.model.precision import Precision

# Texts embedded and written at a time.
_CHUNK = 8192


@click.command("embed")
@click.argument("texts", nargs=-1)
@input_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help=f"Vectors: {', '.join(WRITABLE_VECTORS)}. Else JSON on stdout.",
)
@click.option("--dim", type=click.IntRange(min=1), help="Keep the first so many dimensions.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "int8", "uint8", "binary", "ubinary"]),
    default="float32",
    show_default=True,
    help="Type of the vectors.",
)
@click.option("--normalize", is_flag=True, help="Scale vectors to unit length.")
@click.option("--prompt-name", help="One of the model's prompts, put before each text.")
@click.option(
    "--truncation",
    type=click.Choice(["warn", "error"]),
    default="warn",
    show_default=True,
    help="What to do about texts over the token limit.",
)
@model_options
def embed_command(
    options: ModelOptions,
    texts: tuple[str, ...],
    source: str | None,
    column: str | None,
    output: str | None,
    dim: int | None,
    precision: Precision,
    prompt_name: str | None,
    truncation: Truncation,
    *,
    allow_empty: bool,
    normalize: bool,
) -> None:
    """Embed texts: arguments, a file, or standard input (-i -)."""
    if bool(texts) == (source is not None):
        raise click.UsageError("give texts, or -i FILE ('-i -' reads standard input), not both")
    if output is not None:
        check_output(output)
    claim_paths(reads={"-i": source}, files={"-o": output})
    stream = (
        _arguments(texts, allow_empty=allow_empty)
        if source is None
        else read_texts(source, column=column, allow_empty=allow_empty)
    )
    first = list(islice(stream, _CHUNK))  # a bad input is reported before the model loads
    model = (options if source is None else options.for_files()).load()
    if precision in ("int8", "uint8") and model.ranges is None:
        raise InputError(
            f"the model has no stored ranges for {precision} vectors: fit them once with "
            f"'edge-embed ranges -m {model.config.folder} -i FILE'"
        )
    prompt = model.prompt(name=prompt_name)
    cut = total = 0
    with open_writer(output) as writer, progress_bar(None, "embedded") as bar:
        chunk = first
        while chunk:
            with _named_by_place(source, column, first=total):
                encoded = model.encode_detailed(
                    chunk,
                    prompt=prompt,
                    precision=precision,
                    normalize=normalize,
                    dim=dim,
                    # Cut texts are warned of once, at the end.
                    truncation="error" if truncation == "error" else "ignore",
                )
            writer.write(chunk, encoded.vectors)
            cut += len(encoded.truncated)
            total += len(chunk)
            bar.update(len(chunk))
            chunk = list(islice(stream, _CHUNK))
    if cut:
        _warn(model, cut, total)


def _arguments(texts: tuple[str, ...], *, allow_empty: bool) -> Iterator[str]:
    for number, text in enumerate(texts, 1):
        if not allow_empty and not text.strip():
            raise InputError(f"text {number} is empty; give --allow-empty to embed it all the same")
        yield text


def _warn(model: Embedder, cut: int, total: int) -> None:
    import warnings

    message = truncation_message(cut, total, model.max_seq_length)
    warnings.warn(message, TruncationWarning, stacklevel=2)


@contextmanager
def _named_by_place(source: str | None, column: str | None, *, first: int) -> Iterator[None]:
    """Give errors about a text its line or row, which is looked up only then."""
    try:
        yield
    except TextError as error:
        raise error.at(_place(source, column, first + error.index)) from None


def _place(source: str | None, column: str | None, number: int) -> str:
    if source is None:
        return f"argument {number + 1}"
    if source == "-":
        return f"standard input, line {number + 1}"
    rows = read_rows(source, column=column, allow_empty=True)
    row = next(islice(rows, number, None))
    return f"{source}, {row.place}"
