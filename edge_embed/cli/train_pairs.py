"""``edge-embed train-pairs``: train a pair model from an encoder and labelled pairs."""

import click

from edge_embed.cli.corpus_embedding import StoppedError
from edge_embed.cli.extras import conversion_errors
from edge_embed.cli.paths import claim_paths


@click.command("train-pairs")
@click.option(
    "--init",
    metavar="SOURCE",
    required=True,
    help="The encoder to start from: a folder, an installed package, or a hub id.",
)
@click.option(
    "--pairs",
    metavar="FILE",
    multiple=True,
    required=True,
    help="A .tsv of label, sentence1, sentence2; labels from 0 (something else) to 1 (the same); "
    "give it again for more files.",
)
@click.option("-o", "--output", metavar="DIR", required=True, help="The checkpoint to write.")
@click.option("--steps", type=int, default=3000, show_default=True, help="Optimizer steps.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--learning-rate", type=float, default=1.5e-4, show_default=True)
@click.option("--max-length", type=int, default=128, show_default=True, help="Tokens of a pair.")
@click.option("--embedding-rank", type=int, help="Factorise the word table.  [default: whole]")
@click.option(
    "--dev",
    metavar="FILE",
    multiple=True,
    help="Labelled 0 or 1: measured as it trains, never trained on; the best is kept.",
)
@click.option(
    "--training-precision",
    type=click.Choice(["bf16", "fp32"]),
    default="bf16",
    show_default=True,
    help="Arithmetic of the training.",
)
@click.option(
    "--work-dir",
    metavar="DIR",
    help="Checkpoints; a stopped run goes on from there.  [default: DIR.work]",
)
@click.option("--force", is_flag=True, help="Replace an existing folder.")
def train_pairs_command(
    init: str,
    pairs: tuple[str, ...],
    output: str,
    steps: int,
    seed: int,
    learning_rate: float,
    max_length: int,
    embedding_rank: int | None,
    dev: tuple[str, ...],
    training_precision: str,
    work_dir: str | None,
    *,
    force: bool,
) -> None:
    """Train a model that reads two sentences together; ``convert`` then makes it small."""
    work = work_dir or f"{output.rstrip('/')}.work"
    claim_paths(
        reads={
            "--init": init,
            **{f"--pairs {file}": file for file in pairs},
            **{f"--dev {file}": file for file in dev},
        },
        folders={"-o": output},
        work={"--work-dir": work},
    )
    with conversion_errors():
        from edge_embed_conversion.pairs.recipe import PairRecipe
        from edge_embed_conversion.pairs.train import train_pairs

        try:
            train_pairs(
                init,
                pairs,
                output,
                recipe=PairRecipe(
                    steps=steps, seed=seed, learning_rate=learning_rate, max_length=max_length
                ),
                development=dev,
                rank=embedding_rank,
                work_dir=work,
                bf16=training_precision == "bf16",
                force=force,
            )
        except KeyboardInterrupt:
            raise StoppedError(
                "interrupted; the same command goes on from the last checkpoint"
            ) from None
