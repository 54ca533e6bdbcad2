"""Train a student that starts from an existing model, and convert it: ``distill --init``."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.files.atomic import atomic_folder
from edge_embed.files.lock import owned_folder
from edge_embed.model.receipt import Receipt
from edge_embed_conversion.calibration import TextSet
from edge_embed_conversion.checkpoint import load_checkpoint
from edge_embed_conversion.console import quiet_tools, say
from edge_embed_conversion.convert import convert
from edge_embed_conversion.distillation.checkpoints import claim
from edge_embed_conversion.distillation.corpus import read_corpus
from edge_embed_conversion.distillation.curve import draw_curve
from edge_embed_conversion.distillation.distill import (
    CALIBRATION_TEXTS,
    CHECKPOINT_FOLDER,
    text_digest,
    work_folder,
)
from edge_embed_conversion.distillation.encoder_student import EncoderStudent
from edge_embed_conversion.distillation.ensemble import Ensemble, WeightedTeacher
from edge_embed_conversion.distillation.neighbours import endless_batches
from edge_embed_conversion.distillation.pruning import keep_layers, sample_of, shrink_inner
from edge_embed_conversion.distillation.refinement import RefinementRecipe, refine
from edge_embed_conversion.distillation.suite import DevSuite
from edge_embed_conversion.sources import resolve_source
from edge_embed_conversion.weights import WeightsKind

__all__ = ["InitialModel", "distill_from"]

_MAX_CHARACTERS = 400
_PARAGRAPHS, _NOISE = 0.08, 0.05
# Texts on which neurons and layers are chosen for pruning.
_SAMPLE = 1500
_TEXTS_OF_LAYERS = 400


@dataclass(frozen=True, kw_only=True)
class InitialModel:
    """The model that the student starts from, and which parts of it the student keeps."""

    source: str
    """A BERT in sentence-transformers format: a folder, an installed package, or a hub id."""
    rank: int = 128
    """Width of the factorised word table."""
    layers: int | None = None
    """How many layers to keep (:func:`~.pruning.keep_layers` chooses them); None for all."""
    inner: int | None = None
    """Neurons to keep in each feed-forward layer; None for all."""
    exits: tuple[int, ...] = ()
    """Numbers of layers after which the student is trained to end early."""
    max_length: int = 256
    """Longest text in tokens."""


def distill_from(
    initial: InitialModel,
    teachers: Sequence[WeightedTeacher],
    corpus: Sequence[str | Path],
    output: str | Path,
    *,
    recipe: RefinementRecipe,
    development: Sequence[str | Path] = (),
    work_dir: str | Path | None = None,
    column: str | None = None,
    force: bool = False,
) -> Receipt:
    """Train a student that starts from ``initial``, convert it to INT8 and write it.

    Args:
        initial: the model whose layers the student starts with.
        teachers: the models whose similarities are learned, with weights. The student also learns
            the vectors of the first, which must have as many dimensions as the student.
        corpus: files of texts, as the runtime reads them.
        output: the model folder to write; the student's checkpoint is in ``checkpoint/`` below it.
        recipe: the hyperparameters.
        development: tables of scored pairs, and folders in BEIR's format. The step with the highest
            mean over them is kept; they are not trained on.
        work_dir: folder of checkpoints and teacher vectors, from which an interrupted run resumes.
        column: the corpus column, for tables.
        force: replace an existing output folder.

    Returns:
        The receipt of the converted student.

    Raises:
        InputError: an option or a file is wrong, or ``work_dir`` holds another run.
        ModelNotFoundError: there is no such model.
        ModelFormatError: a model is damaged, or the initial one is no BERT with a checkpoint.
        OutputError: the output exists, or cannot be written.
    """
    output = Path(output)
    work = work_folder(output, work_dir)
    with owned_folder(work), atomic_folder(output, force=force) as folder, quiet_tools():
        source = resolve_source(initial.source)
        if source.weights.kind is not WeightsKind.CHECKPOINT:
            raise ModelFormatError(f"{initial.source} holds no checkpoint to start from")
        home = source.weights_path.parent
        texts = read_corpus(
            corpus,
            seed=recipe.seed,
            column=column,
            max_characters=_MAX_CHARACTERS,
            paragraphs=_PARAGRAPHS,
            noise=_NOISE,
        )
        claim(
            work,
            {
                "initial": asdict(initial) | {"exits": list(initial.exits)},
                "teachers": [asdict(teacher) for teacher in teachers],
                "seed": recipe.seed,
                "corpus": text_digest(texts),
            },
        )
        tokenizer = Tokenizer.from_file(str(home / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(initial.max_length)
        student = _student(initial, home, texts, tokenizer)
        ensemble = Ensemble(teachers, texts, work)
        if ensemble.first_dim != student.hidden:
            raise InputError(
                f"the first teacher has {ensemble.first_dim} dimensions, the student "
                f"{student.hidden}: name a teacher of as many first"
            )
        log = refine(
            student,
            endless_batches(
                ensemble, tokenizer, batch_tokens=recipe.batch_tokens, seed=recipe.seed
            ),
            exits=initial.exits,
            recipe=recipe,
            work=work,
            suite=DevSuite(development, tokenizer) if development else None,
        )
        checkpoint = work / CHECKPOINT_FOLDER
        checkpoint.mkdir(exist_ok=True)
        student.save(checkpoint, source=home, exits=initial.exits)
        converted = folder / "converted"
        receipt = convert(
            checkpoint,
            converted,
            calibration=TextSet("the training corpus", tuple(texts[:CALIBRATION_TEXTS])),
            embedding_rank=initial.rank,
        )
        shutil.copytree(converted, folder, dirs_exist_ok=True)
        shutil.rmtree(converted)
        shutil.copytree(checkpoint, folder / CHECKPOINT_FOLDER)
        shutil.copy(work / "log.csv", folder / "training.csv")
        draw_curve(log, folder / "training.png")
    say(f"done: {output}; {work} may be removed")
    return receipt


def _student(
    initial: InitialModel, home: Path, texts: Sequence[str], tokenizer: Tokenizer
) -> EncoderStudent:
    model = load_checkpoint(home)
    there = int(model.config.num_hidden_layers)
    wanted = there if initial.layers is None else initial.layers
    if not 1 <= wanted <= there:
        raise InputError(f"layers is {wanted}; the model to start from has {there}")
    last = wanted - 1
    wrong = [layer for layer in initial.exits if not 1 <= layer <= last]
    if wrong:
        raise InputError(f"an exit after {wrong[0]} layers: the student has {wanted}")
    if initial.inner is not None and not 1 <= initial.inner <= model.config.intermediate_size:
        raise InputError(
            f"the feed-forward size is {initial.inner}; the model to start from has "
            f"{model.config.intermediate_size}"
        )
    counts = np.zeros(tokenizer.get_vocab_size(), np.float64)
    for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False):
        np.add.at(counts, encoding.ids, 1)
    torch.manual_seed(0)
    student = EncoderStudent.from_model(
        model, counts, rank=initial.rank, layers=range(there), limit=initial.max_length
    )
    sample = sample_of(texts[:_SAMPLE], tokenizer)
    if wanted < there:
        kept = keep_layers(student, wanted, sample_of(texts[:_TEXTS_OF_LAYERS], tokenizer))
        say(f"layers: {', '.join(str(layer + 1) for layer in kept)} of {there}")
    if initial.inner is not None:
        shrink_inner(student, initial.inner, sample)
        say(f"neurons: {initial.inner} of {model.config.intermediate_size} in each layer")
    return student
