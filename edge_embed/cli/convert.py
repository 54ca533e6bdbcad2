"""``edge-embed convert``: a checkpoint, ONNX file or OpenVINO graph to a model folder."""

from typing import get_args

import click

from edge_embed.cli.extras import conversion_errors
from edge_embed.cli.paths import claim_paths
from edge_embed.files.formats import READABLE
from edge_embed.model.config import PoolingMode


def layer_numbers(text: str) -> list[int]:
    """Read ``2,3`` as numbers of layers."""
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise click.UsageError(f"{text!r} is no list of numbers of layers such as 2,3") from None


@click.command("convert")
@click.argument("source")
@click.option("-o", "--output", metavar="DIR", required=True, help="The folder to write.")
@click.option(
    "--precision",
    type=click.Choice(["int8", "w8", "fp16", "fp32"]),
    default="int8",
    show_default=True,
    help="int8: weights and arithmetic; w8: weights alone.",
)
@click.option(
    "--calibration",
    metavar="FILE",
    help=f"Texts like yours, for int8: {', '.join(READABLE)}. Else a set that ships.",
)
@click.option("--column", help="The column of the calibration texts.")
@click.option(
    "--pooling",
    type=click.Choice(get_args(PoolingMode)),
    help="State the pooling of a source that does not.",
)
@click.option("--revision", help="Branch, tag or commit of a hub id.")
@click.option(
    "--re-export", is_flag=True, help="Export again where the source holds an OpenVINO graph."
)
@click.option("--without-fp32", is_flag=True, help="Leave the FP32 graph out: the smallest folder.")
@click.option(
    "--embedding-rank",
    type=click.IntRange(min=1),
    metavar="R",
    help="Factorise the word table to R dimensions: in small models it is most of the file.",
)
@click.option(
    "--frequencies",
    metavar="FILE",
    help="Texts in which pieces are counted for --embedding-rank. Else English words that ship.",
)
@click.option(
    "--embedding-bits",
    type=click.Choice(["4", "8"]),
    default="8",
    show_default=True,
    help="Bits of the word table in int8 and w8: 4 makes it half as large.",
)
@click.option(
    "--exits",
    metavar="N,…",
    help="Numbers of layers with which it can run as well: 3,4. Else what the source states.",
)
@click.option(
    "--max-loss",
    type=click.FloatRange(min=0),
    metavar="POINTS",
    help="Write nothing if similarities change their order by more: 100 x (1 - Spearman).",
)
@click.option(
    "--trust-remote-code", is_flag=True, help="Run code that comes with the model, if it has some."
)
@click.option("--route", metavar="NAME", help="Which path of a model with a Router, such as query.")
@click.option("--force", is_flag=True, help="Replace an existing folder.")
def convert_command(
    source: str,
    output: str,
    precision: str,
    calibration: str | None,
    column: str | None,
    pooling: PoolingMode | None,
    revision: str | None,
    embedding_rank: int | None,
    frequencies: str | None,
    embedding_bits: str,
    exits: str | None,
    max_loss: float | None,
    route: str | None,
    *,
    re_export: bool,
    without_fp32: bool,
    trust_remote_code: bool,
    force: bool,
) -> None:
    """Convert SOURCE: a folder, an installed package with a model in it, or a hub id."""
    if column is not None and calibration is None:
        raise click.UsageError("--column names a column of --calibration FILE")
    if without_fp32 and precision in ("fp16", "fp32"):
        raise click.UsageError(f"--without-fp32 leaves nothing of a {precision} folder")
    if frequencies is not None and embedding_rank is None:
        raise click.UsageError("--frequencies serves --embedding-rank R")
    claim_paths(
        reads={"SOURCE": source, "--calibration": calibration, "--frequencies": frequencies},
        folders={"-o": output},
    )
    with conversion_errors():
        from edge_embed_conversion.calibration import read_text_set
        from edge_embed_conversion.convert import convert

        convert(
            source,
            output,
            precision=precision,  # type: ignore[arg-type]  # click has checked it
            calibration=read_text_set(calibration, column=column) if calibration else None,
            pooling=pooling,
            revision=revision,
            re_export=re_export,
            with_fp32=not without_fp32,
            embedding_rank=embedding_rank,
            frequencies=frequencies,
            embedding_bits=int(embedding_bits),  # type: ignore[arg-type]  # as above
            exits=layer_numbers(exits) if exits else None,
            max_loss=max_loss,
            trust_remote_code=trust_remote_code,
            route=route,
            force=force,
        )
