"""``edge-embed distill``: a teacher and sentences of your own to a small INT8 model."""

import click

from edge_embed.cli.corpus_embedding import StoppedError
from edge_embed.cli.extras import conversion_errors
from edge_embed.cli.paths import claim_paths


@click.command("distill")
@click.option(
    "--teacher",
    metavar="SOURCE",
    required=True,
    help="The model to learn from: a folder, an installed package, or a hub id.",
)
@click.option(
    "--corpus",
    metavar="FILE",
    multiple=True,
    required=True,
    help="Texts to learn on: .txt, .jsonl, .csv, .tsv, .parquet; give it again for more files.",
)
@click.option("-o", "--output", metavar="DIR", required=True, help="The folder to write.")
@click.option("--column", help="The corpus column that holds the texts.")
@click.option("--steps", type=int, default=3000, show_default=True, help="Optimizer steps.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--hidden-size", type=int, default=768, show_default=True)
@click.option("--embedding-size", type=int, default=128, show_default=True)
@click.option("--layers", type=int, default=6, show_default=True, help="Passes of the one layer.")
@click.option("--heads", type=int, default=12, show_default=True)
@click.option("--ffn-size", type=int, default=3072, show_default=True)
@click.option("--vocab-size", type=int, default=30000, show_default=True)
@click.option("--max-length", type=int, default=128, show_default=True, help="Tokens of a text.")
@click.option("--tokenizer", metavar="FOLDER", help="Use its tokenizer.json; else one is trained.")
@click.option(
    "--dev",
    metavar="FILE",
    help="score, sentence1, sentence2: measured as it trains, never trained on.",
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
    teacher: str,
    corpus: tuple[str, ...],
    output: str,
    column: str | None,
    steps: int,
    seed: int,
    hidden_size: int,
    embedding_size: int,
    layers: int,
    heads: int,
    ffn_size: int,
    vocab_size: int,
    max_length: int,
    tokenizer: str | None,
    dev: str | None,
    device: str,
    training_precision: str,
    precision: str,
    work_dir: str | None,
    *,
    force: bool,
) -> None:
    """Train a small ALBERT to embed as the teacher does, and convert it."""
    with conversion_errors():
        from edge_embed_conversion.distillation import Recipe, StudentShape, distill, work_folder

        work = work_folder(output, work_dir)
        read = {f"--corpus {file}": file for file in corpus}
        claim_paths(
            reads={**read, "--teacher": teacher, "--dev": dev, "--tokenizer": tokenizer},
            folders={"-o": output},
            work={"--work-dir": work},
        )
        try:
            distill(
                teacher,
                corpus,
                output,
                recipe=Recipe(steps=steps, seed=seed),
                shape=StudentShape(
                    hidden_size=hidden_size,
                    embedding_size=embedding_size,
                    layers=layers,
                    heads=heads,
                    ffn_size=ffn_size,
                    vocab_size=vocab_size,
                    max_length=max_length,
                    positions=max(512, max_length),
                ),
                work_dir=work,
                tokenizer=tokenizer,
                development=dev,
                device=device,
                training_precision=training_precision,  # type: ignore[arg-type]  # click has checked it
                precision=precision,  # type: ignore[arg-type]
                column=column,
                force=force,
            )
        except KeyboardInterrupt:
            if not work.is_dir():
                raise
            raise StoppedError(
                f"interrupted; the work so far is in {work}: the same command goes on from there"
            ) from None
