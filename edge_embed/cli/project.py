"""``edge-embed project``: a model with fewer dimensions, fitted on your text."""

import warnings
from pathlib import Path

import click

from edge_embed.cli.paths import claim_paths
from edge_embed.cli.terminal import echo
from edge_embed.embedder import Embedder
from edge_embed.files.atomic import check_folder
from edge_embed.files.readers import read_texts

# With fewer texts for each dimension, the components are unreliable.
_TEXTS_A_DIMENSION = 10


@click.command("project")
@click.argument("model")
@click.option("--dim", type=click.IntRange(min=1), required=True, help="Dimensions to keep.")
@click.option(
    "--fit", metavar="FILE", required=True, help="Texts like yours: thousands, one a line."
)
@click.option("--column", help="The column of the texts, where the file has several.")
@click.option("-o", "--output", metavar="DIR", required=True, help="The folder to write.")
@click.option("--center", is_flag=True, help="Subtract the mean vector first.")
@click.option("--whiten", is_flag=True, help="Scale every dimension to the same spread.")
@click.option("--variant", help="Which weights embed the texts; INT8 if there.")
@click.option("--force", is_flag=True, help="Replace an existing folder.")
def project_command(
    model: str,
    dim: int,
    fit: str,
    column: str | None,
    output: str,
    variant: str | None,
    *,
    center: bool,
    whiten: bool,
    force: bool,
) -> None:
    """Write a copy of MODEL whose vectors are projected to fewer dimensions.

    The projection is a principal component analysis of the texts in --fit; its components are
    ordered, so vectors may be cut further with --dim.
    """
    from edge_embed.projection import (
        FittedProjection,
        Projection,
        project_model,
        sample_vectors,
    )

    claim_paths(reads={"MODEL": model, "--fit": fit}, folders={"-o": output})
    check_folder(Path(output), force=force)
    embedder = Embedder(model, variant=variant)
    sample = sample_vectors(embedder, read_texts(fit, column=column), name=Path(fit).name)
    if sample.fitted < _TEXTS_A_DIMENSION * embedder.dim:
        warnings.warn(
            f"fitted on {sample.fitted} texts; {_TEXTS_A_DIMENSION * embedder.dim} or more "
            f"({_TEXTS_A_DIMENSION} for each of {embedder.dim} dimensions) give a steadier result",
            stacklevel=2,
        )
    projection = Projection.fit(sample, dim, center=center, whiten=whiten)
    fitted = FittedProjection(projection, sample, embedder.variant)
    project_model(embedder.config.folder, Path(output), fitted, force=force)
    kept = projection.kept(sample)
    if kept:
        echo(f"kept of {embedder.dim} dimensions, on {len(sample.held_out)} held-out texts:")
        echo("  dim  squared length  Spearman  same nearest texts")
        for row in kept:
            echo(
                f"{row.dim:5}  {100 * row.share:12.2f} %  {row.spearman:8.4f}  "
                f"{100 * row.neighbours:16.1f} %"
            )
