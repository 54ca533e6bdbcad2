"""Train a pair model from an encoder and tables of pairs: ``edge-embed train-pairs``."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from edge_embed.errors import InputError
from edge_embed.files.atomic import atomic_folder
from edge_embed.files.lock import owned_folder
from edge_embed_conversion.console import quiet_tools, say
from edge_embed_conversion.distillation.checkpoints import claim
from edge_embed_conversion.distillation.curve import draw_curve
from edge_embed_conversion.pairs.batches import tokenize_pairs
from edge_embed_conversion.pairs.files import PairTable, read_pairs
from edge_embed_conversion.pairs.network import PairNetwork, load_network
from edge_embed_conversion.pairs.recipe import PairRecipe
from edge_embed_conversion.pairs.training import DevelopmentPairs, PairRun, train_network
from edge_embed_conversion.sources import resolve_source
from edge_embed_conversion.weights import WeightsKind

__all__ = ["train_pairs"]

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def train_pairs(
    init: str,
    pairs: Sequence[str | Path],
    output: str | Path,
    *,
    recipe: PairRecipe,
    development: Sequence[str | Path] = (),
    rank: int | None = None,
    work_dir: str | Path | None = None,
    bf16: bool = True,
    force: bool = False,
) -> None:
    """Train a cross-encoder on labelled pairs, starting from an encoder's layers.

    Args:
        init: an encoder as ``convert`` takes it: a folder, an installed package or a hub id.
        pairs: tables with label (0 to 1), sentence1 and sentence2.
        output: the checkpoint folder to write, for transformers and CrossEncoder.
        recipe: the hyperparameters.
        development: tables with labels 0 and 1, measured during training; the network with the
            highest mean average precision over them is kept.
        rank: width of the factorised word table; None keeps it whole.
        work_dir: folder of checkpoints, from which an interrupted run resumes. None for ``output``
            with ``.work`` appended to its name.
        bf16: compute the layers in bfloat16 instead of float32; weights and losses are float32.
        force: replace an existing output folder.

    Raises:
        InputError: an option or a table is wrong, or ``work_dir`` holds another run.
        ModelNotFoundError: there is no such encoder.
        ModelFormatError: the encoder or a checkpoint is damaged.
        OutputError: the output exists, or cannot be written.
    """
    output = Path(output)
    work = Path(work_dir) if work_dir is not None else output.with_name(output.name + ".work")
    with owned_folder(work), atomic_folder(output, force=force) as folder, quiet_tools():
        source = resolve_source(init)
        if source.weights.kind is not WeightsKind.CHECKPOINT:
            raise InputError(f"{init} has no checkpoint to train on, only a graph")
        encoder = source.weights_path.parent
        table = read_pairs(pairs)
        claim(work, _identity(init, table, recipe, rank))
        tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
        store = tokenize_pairs(
            table.first, table.second, tokenizer, max_length=recipe.max_length + 1
        )
        left_out = int((store.lengths() > recipe.max_length).sum())
        if left_out:
            say(f"pairs: {left_out} longer than {recipe.max_length} tokens are left out")
        say(f"pairs: {len(table)}, {int((table.labels > 0.5).sum())} of them say the same")
        torch.manual_seed(recipe.seed)
        network = load_network(encoder)
        if rank is not None:
            size = network.model.config.vocab_size
            counts = np.bincount(store.ids[0], minlength=size)
            network.factorise(torch.from_numpy(counts).float(), rank)
        log = train_network(
            network,
            store=store,
            labels=table.labels,
            recipe=recipe,
            run=PairRun(work, torch.bfloat16 if bf16 else torch.float32),
            development=[_development(file, tokenizer, recipe) for file in development],
        )
        _save(network, encoder, folder, recipe)
        shutil.copy(work / "log.csv", folder / "training.csv")
        draw_curve(log, folder / "training.png", score="mean", title="mean average precision x 100")
    say(f"done: {output}; {work} may be removed")


def _identity(
    init: str, table: PairTable, recipe: PairRecipe, rank: int | None
) -> dict[str, object]:
    """Return what must be the same when a run is resumed: everything but the number of steps."""
    numbers = {name: value for name, value in asdict(recipe).items() if name != "steps"}
    labels = float(table.labels.astype(np.float64).sum())
    return {"init": init, "pairs": len(table), "labels": labels, "rank": rank, **numbers}


def _development(file: str | Path, tokenizer: Tokenizer, recipe: PairRecipe) -> DevelopmentPairs:
    table = read_pairs([file], binary=True)
    if len(np.unique(table.labels)) < 2:
        raise InputError(f"{file} has pairs of one label only; a development set needs both")
    store = tokenize_pairs(table.first, table.second, tokenizer, max_length=recipe.max_length)
    return DevelopmentPairs(table.name, store, table.labels)


def _save(network: PairNetwork, encoder: Path, folder: Path, recipe: PairRecipe) -> None:
    config = network.model.config
    config.id2label, config.label2id = {0: "same"}, {"same": 0}
    config.sentence_transformers = {
        "activation_fn": "torch.nn.modules.activation.Sigmoid",
        "version": "5.0.0",
    }
    network.save(folder)
    for name in _TOKENIZER_FILES:
        if (encoder / name).is_file():
            shutil.copy(encoder / name, folder / name)
