"""Train a new ALBERT on a teacher's vectors and convert it: ``edge-embed distill``."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from edge_embed.errors import InputError
from edge_embed.files.atomic import atomic_folder
from edge_embed.files.lock import owned_folder
from edge_embed.model.receipt import Receipt
from edge_embed.runtime.config import InferencePrecision
from edge_embed_conversion.calibration import TextSet
from edge_embed_conversion.checkpoint import load_checkpoint
from edge_embed_conversion.console import quiet_tools, say
from edge_embed_conversion.convert import Precision, convert
from edge_embed_conversion.distillation.batches import TokenStore, tokenize
from edge_embed_conversion.distillation.checkpoints import claim
from edge_embed_conversion.distillation.corpus import read_corpus
from edge_embed_conversion.distillation.curve import draw_curve
from edge_embed_conversion.distillation.development import DevelopmentSet
from edge_embed_conversion.distillation.export import save_student
from edge_embed_conversion.distillation.initialisation import initialise
from edge_embed_conversion.distillation.schedule import Recipe
from edge_embed_conversion.distillation.student import Student, StudentShape
from edge_embed_conversion.distillation.targets import TargetCache
from edge_embed_conversion.distillation.teacher import Teacher
from edge_embed_conversion.distillation.training import Run, train
from edge_embed_conversion.distillation.vocabulary import (
    load_tokenizer,
    save_tokenizer,
    train_tokenizer,
)
from edge_embed_conversion.sources import Source, resolve_source
from edge_embed_conversion.weights import WeightsKind

__all__ = [
    "CALIBRATION_TEXTS",
    "CHECKPOINT_FOLDER",
    "TrainingPrecision",
    "distill",
    "text_digest",
    "work_folder",
]

TrainingPrecision = Literal["bf16", "fp32"]

CHECKPOINT_FOLDER = "checkpoint"
"""Folder below the output with the student's weights in torch's format."""

CALIBRATION_TEXTS = 300


def distill(
    teacher: str,
    corpus: Sequence[str | Path],
    output: str | Path,
    *,
    recipe: Recipe,
    shape: StudentShape | None = None,
    work_dir: str | Path | None = None,
    tokenizer: str | Path | None = None,
    development: str | Path | None = None,
    device: str = "cpu",
    training_precision: TrainingPrecision = "bf16",
    precision: Precision = "int8",
    column: str | None = None,
    force: bool = False,
) -> Receipt:
    """Train a student on ``corpus`` to embed as ``teacher`` does, and convert it.

    Args:
        teacher: what :func:`~edge_embed_conversion.convert.convert` takes as a source.
        corpus: files of texts, as the runtime reads them.
        output: the model folder to write; the student's checkpoint is in ``checkpoint/`` below it.
        recipe: the hyperparameters.
        shape: the student's sizes; None for the defaults. The vocabulary may become smaller, with
            a given tokenizer or a small corpus.
        work_dir: folder of checkpoints and teacher vectors, from which an interrupted run resumes.
            None for ``output`` with ``.work`` appended to its name.
        tokenizer: a folder whose tokenizer.json is used instead of training one.
        development: a table of score, sentence1, sentence2; measured for the log, not trained on.
        device: ``cpu`` or a CUDA device such as ``cuda``.
        training_precision: arithmetic of the passes; weights and losses are float32.
        precision: of the converted model.
        column: the corpus column, for tables.
        force: replace an existing output folder.

    Returns:
        The receipt of the converted student.

    Raises:
        InputError: an option or a corpus file is wrong, or ``work_dir`` holds another run.
        ModelNotFoundError: there is no such teacher.
        ModelFormatError: the teacher, the tokenizer or a checkpoint is damaged.
        OutputError: the output exists, or cannot be written.
    """
    shape = shape or StudentShape()
    shape.check()
    if training_precision not in get_args(TrainingPrecision):
        raise InputError(f"unknown training precision {training_precision!r}: choose bf16 or fp32")
    where = _device(device)
    output = Path(output)
    work = work_folder(output, work_dir)
    with owned_folder(work), atomic_folder(output, force=force) as folder, quiet_tools():
        source = resolve_source(teacher)
        texts = read_corpus(corpus, seed=recipe.seed, column=column)
        claim(
            work,
            {
                "teacher": teacher,
                "seed": recipe.seed,
                "corpus": text_digest(texts),
                "shape": asdict(shape),
                "training_precision": training_precision,
            },
        )
        pieces = _tokenizer(texts, shape, work / "tokenizer", given=tokenizer)
        shape = shape.with_vocabulary(pieces.get_vocab_size())
        store = tokenize(texts, pieces, max_length=shape.max_length)
        source_folder = _converted(teacher, work / "teacher")
        bf16 = training_precision == "bf16"
        arithmetic: InferencePrecision = "bf16" if bf16 else "f32"
        asked = Teacher(source_folder, sample=texts, precision=arithmetic)
        targets = TargetCache(work / "targets", teacher=asked, texts=texts)
        torch.manual_seed(recipe.seed)
        student = Student(shape, asked.dim)
        _initialise(student, source, pieces=pieces, store=store, seed=recipe.seed)
        measured = None
        if development is not None:
            measured = DevelopmentSet(
                Path(development), tokenizer=pieces, max_length=shape.max_length
            )
        log = train(
            student,
            store=store,
            targets=targets,
            recipe=recipe,
            run=Run(work, where, torch.bfloat16 if bf16 else torch.float32),
            development=measured,
        )
        checkpoint = work / CHECKPOINT_FOLDER
        save_student(student, pieces, checkpoint, card=_card(source, corpus))
        converted = folder / "converted"
        receipt = convert(
            checkpoint,
            converted,
            precision=precision,
            # The corpus is taken as a sample of the texts that the model will embed.
            calibration=(
                TextSet("the training corpus", tuple(texts[:CALIBRATION_TEXTS]))
                if precision == "int8"
                else None
            ),
        )
        shutil.copytree(converted, folder, dirs_exist_ok=True)
        shutil.rmtree(converted)
        shutil.copytree(checkpoint, folder / CHECKPOINT_FOLDER)
        shutil.copy(work / "log.csv", folder / "training.csv")
        draw_curve(log, folder / "training.png")
    say(f"done: {output}; {work} may be removed")
    return receipt


def work_folder(output: str | Path, work_dir: str | Path | None = None) -> Path:
    """Return ``work_dir``, or the default folder of checkpoints and teacher vectors."""
    output = Path(output)
    return Path(work_dir) if work_dir is not None else output.with_name(output.name + ".work")


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"unknown device {name!r}: give cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError("this torch has no CUDA device; leave --device out to train on the CPU")
    return device


def text_digest(texts: Sequence[str]) -> str:
    """Return a hash of ``texts`` in their order."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\n")
    return digest.hexdigest()


def _tokenizer(
    texts: list[str], shape: StudentShape, folder: Path, *, given: str | Path | None
) -> Tokenizer:
    if given is not None:
        return load_tokenizer(Path(given))
    if not (folder / "special_tokens_map.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        trained = train_tokenizer(texts, vocab_size=shape.vocab_size)
        save_tokenizer(trained, folder, max_length=shape.max_length)
    return load_tokenizer(folder)


def _converted(teacher: str, folder: Path) -> Path:
    """Return the teacher as a model folder of this project, converted once."""
    if not (folder / "edge_embed.json").is_file():
        convert(teacher, folder, precision="fp32", force=True)
    return folder


def _initialise(
    student: Student, source: Source, *, pieces: Tokenizer, store: TokenStore, seed: int
) -> None:
    if source.weights.kind is not WeightsKind.CHECKPOINT:
        say(f"student: random start, as {source.name} has no checkpoint, only a graph")
        return
    folder = source.weights_path.parent
    vocabulary = pieces.get_vocab()
    counts = np.bincount(store.ids, minlength=len(vocabulary))
    initialise(
        student,
        load_checkpoint(folder),
        pieces=sorted(vocabulary, key=lambda piece: vocabulary[piece]),
        tokenizer=AutoTokenizer.from_pretrained(folder, local_files_only=True),
        counts=torch.from_numpy(counts),
        seed=seed,
    )


def _card(source: Source, corpus: Sequence[str | Path]) -> str:
    names = ", ".join(Path(file).name for file in corpus)
    licence = source.licence or "unknown"
    return (
        "---\nlibrary_name: sentence-transformers\npipeline_tag: sentence-similarity\n---\n\n"
        f"# A student of {source.name}\n\n"
        f"Distilled by `edge-embed distill` from {source.name} (licence: {licence}) on {names}.\n"
        "Its licence follows from theirs: state it here.\n"
    )
