"""``edge-embed distill``: a teacher and sentences of your own to a small INT8 model."""

from typing import Any

import click

from edge_embed.cli.convert import layer_numbers
from edge_embed.cli.corpus_embedding import StoppedError
from edge_embed.cli.extras import conversion_errors
from edge_embed.cli.paths import claim_paths
from edge_embed.files.formats import READABLE


@click.command("distill")
@click.option(
    "--teacher",
    metavar="SOURCE[=WEIGHT]",
    required=True,
    multiple=True,
    help="The model to learn from: a folder, an installed package, or a hub id. With --init again "
    "for more, each with a weight.",
)
@click.option(
    "--init",
    metavar="SOURCE",
    help="Start from the layers of this BERT, instead of training an ALBERT from nothing.",
)
@click.option("--rank", type=int, help="With --init: width of the word table.  [default: 128]")
@click.option(
    "--exits", metavar="N,…", help="With --init: layers after which the student may end as well."
)
@click.option(
    "--corpus",
    metavar="FILE",
    multiple=True,
    required=True,
    help=f"Texts to learn on: {', '.join(READABLE)}; give it again for more files.",
)
@click.option("-o", "--output", metavar="DIR", required=True, help="The folder to write.")
@click.option("--column", help="The corpus column that holds the texts.")
@click.option("--steps", type=int, default=3000, show_default=True, help="Optimizer steps.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--hidden-size", type=int, help="Of an ALBERT.  [default: 768]")
@click.option("--embedding-size", type=int, help="Of an ALBERT.  [default: 128]")
@click.option(
    "--layers",
    type=int,
    help="Passes of an ALBERT's one layer [6]; with --init, layers kept, those that matter most "
    "[all].",
)
@click.option("--heads", type=int, help="Of an ALBERT.  [default: 12]")
@click.option(
    "--ffn-size",
    type=int,
    help="Of an ALBERT [3072]; with --init, neurons kept: those that matter most [all].",
)
@click.option("--vocab-size", type=int, help="Of an ALBERT.  [default: 30000]")
@click.option("--max-length", type=int, help="Tokens of a text.  [default: 128, with --init 256]")
@click.option("--tokenizer", metavar="FOLDER", help="Use its tokenizer.json; else one is trained.")
@click.option(
    "--dev",
    metavar="FILE",
    multiple=True,
    help="score, sentence1, sentence2: measured as it trains, never trained on. With --init again "
    "for more, retrieval folders too; the step with the best mean is kept.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option(
    "--training-precision",
    type=click.Choice(["bf16", "fp32"]),
    default="bf16",
    show_default=True,
    help="Arithmetic of the training.",
)
@click.option(
    "--precision",
    type=click.Choice(["int8", "w8", "fp16", "fp32"]),
    default="int8",
    show_default=True,
    help="Of the model that is written.",
)
@click.option(
    "--work-dir",
    metavar="DIR",
    help="Checkpoints and teacher vectors; a stopped run goes on from there.  [default: DIR.work]",
)
@click.option("--force", is_flag=True, help="Replace an existing folder.")
def distill_command(
    teacher: tuple[str, ...],
    corpus: tuple[str, ...],
    output: str,
    column: str | None,
    dev: tuple[str, ...],
    work_dir: str | None,
    *,
    force: bool,
    **options: Any,  # noqa: ANN401 - what only one of the two ways takes
) -> None:
    """Train a small encoder to embed as the teachers do, and convert it."""
    _refuse_mixed(options, teacher, dev)
    with conversion_errors():
        from edge_embed_conversion.distillation import work_folder

        work = work_folder(output, work_dir)
        read = {f"--corpus {file}": file for file in corpus}
        read |= {f"--teacher {name}": name for name in teacher}
        claim_paths(
            reads={
                **read,
                **{f"--dev {file}": file for file in dev},
                "--init": options["init"],
                "--tokenizer": options.get("tokenizer"),
            },
            folders={"-o": output},
            work={"--work-dir": work},
        )
        common = {"work_dir": work, "column": column, "force": force}
        try:
            if options["init"]:
                _from_model(teacher, corpus, output, dev=dev, options=options, common=common)
            else:
                _albert(teacher[0], corpus, output, dev=dev, options=options, common=common)
        except KeyboardInterrupt:
            if not work.is_dir():
                raise
            raise StoppedError(
                f"interrupted; the work so far is in {work}: the same command goes on from there"
            ) from None


_ALBERT_SIZES = ("hidden_size", "embedding_size", "heads", "vocab_size", "tokenizer")


def _refuse_mixed(options: dict[str, Any], teacher: tuple[str, ...], dev: tuple[str, ...]) -> None:
    """Refuse options that do not apply with --init, or without it."""
    if options["init"]:
        given = [name for name in _ALBERT_SIZES if options[name] is not None]
        why = "--init gives the student its sizes and tokenizer"
        given += ["device"] if options["device"] != "cpu" else []
        given += ["precision"] if options["precision"] != "int8" else []
    else:
        given = [name for name in ("rank", "exits") if options[name] is not None]
        why = "it goes with --init"
        if len(teacher) > 1 or len(dev) > 1:
            raise click.UsageError("several --teacher or --dev go with --init")
    if given:
        raise click.UsageError(f"--{given[0].replace('_', '-')}: {why}")


def _from_model(
    teachers: tuple[str, ...],
    corpus: tuple[str, ...],
    output: str,
    *,
    dev: tuple[str, ...],
    options: dict[str, Any],
    common: dict[str, Any],
) -> None:
    from edge_embed_conversion.distillation import (
        InitialModel,
        RefinementRecipe,
        WeightedTeacher,
        distill_from,
    )

    distill_from(
        InitialModel(
            source=options["init"],
            rank=options["rank"] or 128,
            layers=options["layers"],
            inner=options["ffn_size"],
            exits=tuple(layer_numbers(options["exits"])) if options["exits"] else (),
            max_length=options["max_length"] or 256,
        ),
        [WeightedTeacher.parse(teacher) for teacher in teachers],
        corpus,
        output,
        recipe=RefinementRecipe(steps=options["steps"], seed=options["seed"]),
        development=dev,
        **common,
    )


def _albert(
    teacher: str,
    corpus: tuple[str, ...],
    output: str,
    *,
    dev: tuple[str, ...],
    options: dict[str, Any],
    common: dict[str, Any],
) -> None:
    from edge_embed_conversion.distillation import Recipe, StudentShape, distill

    sizes = ("hidden_size", "embedding_size", "layers", "heads", "ffn_size", "vocab_size")
    given = {name: options[name] for name in (*sizes, "max_length") if options[name] is not None}
    distill(
        teacher,
        corpus,
        output,
        recipe=Recipe(steps=options["steps"], seed=options["seed"]),
        shape=StudentShape(**given, positions=max(512, given.get("max_length", 0))),
        tokenizer=options["tokenizer"],
        development=dev[0] if dev else None,
        device=options["device"],
        training_precision=options["training_precision"],
        precision=options["precision"],
        **common,
    )
