"""Check a converted folder against its receipt, and against the source that it was made from.

Vectors are compared with two references. The first is the source's own weights, embedded by
:mod:`edge_embed_conversion.reference` on many ordinary texts: mean and lowest cosine, and the rank
correlation of similarities. The second is sentence-transformers, on texts of every kind (ordinary,
empty, long, odd characters, with each prompt), since averages over ordinary texts hide a fault that
only one kind of text shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import tokenizers

from edge_embed.embedder import Embedder
from edge_embed.errors import EdgeEmbedError, InputError, ModelFormatError, ModelNotFoundError
from edge_embed.model.config import ModelConfig
from edge_embed.model.file_names import RECEIPT
from edge_embed.model.kinds import is_pair_model
from edge_embed.model.modules import HeadStep
from edge_embed.model.receipt import Fidelity, Receipt, check_files, read_receipt
from edge_embed.runtime.tokenizer import Tokenizer
from edge_embed.runtime.tokenizer_files import lower_case
from edge_embed_conversion import reference
from edge_embed_conversion.calibration import shipped_texts
from edge_embed_conversion.console import quiet_tools, say
from edge_embed_conversion.fidelity import EvaluationSet
from edge_embed_conversion.layout import write_layout
from edge_embed_conversion.parity import (
    COSINE_FLOOR,
    REPEATED_KIND,
    KindFigures,
    Truth,
    prompted_samples,
    samples_of,
)
from edge_embed_conversion.parity_texts import PARITY_TEXTS
from edge_embed_conversion.pipeline import Pipeline, why_no_pipeline
from edge_embed_conversion.sources import Source, resolve_source

__all__ = ["COSINE_FLOORS", "PIPELINE_FLOORS", "Check", "Verification", "verify"]

# The least mean cosine and the least lowest cosine to the FP32 source, over the evaluation texts.
# For floating point they allow rounding errors only; for INT8 they tell a broken model from a sound
# one, and the report has the figures.
COSINE_FLOORS: dict[str, tuple[float, float]] = {
    "fp32": (0.999999, 0.99999),
    "fp16": (0.99999, 0.9999),
    "w8": (0.99, 0.95),
    "int8": (0.98, 0.9),
}


# The least cosine to sentence-transformers on any text; INT8 rounds texts of odd characters most.
# Where weights are rounded, one word repeated to the limit is reported and not judged: of
# all-mpnet-base-v2, rounding the weights alone takes its cosine to 0.75.
PIPELINE_FLOORS: dict[str, float] = {
    "fp32": COSINE_FLOOR,
    "fp16": COSINE_FLOOR,
    "w8": 0.95,
    "int8": 0.8,
}

Status = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """The outcome of one check."""

    name: str
    status: Status
    detail: str
    fidelity: Fidelity | None = None
    """The measurement, for a variant's check."""
    kinds: Mapping[str, KindFigures] | None = None
    """Cosines to sentence-transformers' vectors by kind of text, for a pipeline's check."""


@dataclass(frozen=True)
class Verification:
    """The checks of a folder."""

    folder: Path
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(check.status != "failed" for check in self.checks)


def verify(
    folder: str | Path,
    *,
    against: str | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> Verification:
    """Verify a model folder.

    Args:
        folder: the converted folder.
        against: the source, to compare tokenizer and vectors with as well.
        revision: a branch, tag or commit, where ``against`` is a hub id.
        trust_remote_code: run the code that comes with the source, where it names some.

    Raises:
        ModelNotFoundError: the folder or the source does not exist.
        ModelFormatError: one of the two is damaged beyond comparison.
        InputError: the folder reads pairs, and a source was given to compare vectors with.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ModelNotFoundError(f"there is no folder {folder}")
    checks = [_check_receipt(folder)]
    if is_pair_model(folder):
        if against is not None:
            raise InputError(
                f"{folder} reads pairs, and --against compares encoders: its receipt says how far "
                "its outputs agree with the source's"
            )
        return Verification(folder, tuple(checks))
    config = ModelConfig.from_folder(folder)
    if not config.variants:
        raise ModelFormatError(f"{folder} holds no OpenVINO graph; convert the model first")
    if against is not None:
        with quiet_tools(), TemporaryDirectory(prefix="edge-embed-") as staging:
            receipt = read_receipt(folder)
            source = resolve_source(
                against,
                revision=revision,
                trust_remote_code=trust_remote_code,
                route=receipt.source.route if receipt is not None else None,
                staging=Path(staging) / "route",
            )
            say(f"source: {source.kind.value} {source.folder}")
            layout = Path(staging) / "published"
            layout.mkdir()
            published = _published(source, layout, config)
            checks.append(_check_tokenizer(config, published))
            projection: tuple[HeadStep, ...] = ()
            if receipt is not None and receipt.projection is not None:
                # The projection was added after conversion: apply it to the source's vectors too.
                projection = config.head[len(published.head) :]
                published = replace(published, head=config.head)
            variants = _Variants(config, receipt)
            checks += _check_variants(variants, source, published)
            checks += _check_pipeline(variants, source, projection)
    return Verification(folder, tuple(checks))


def _check_receipt(folder: Path) -> Check:
    receipt = read_receipt(folder)
    if receipt is None:
        return Check("files", "skipped", f"no {RECEIPT} to hold the files against")
    problems = check_files(folder, receipt)
    if problems:
        return Check("files", "failed", "; ".join(problems))
    return Check("files", "passed", f"{len(receipt.files)} files match their sha256")


def _published(source: Source, staging: Path, config: ModelConfig) -> ModelConfig:
    """Lay the source's own files out in ``staging`` and return their configuration."""
    stated = (source.folder / "modules.json").exists()
    write_layout(source.folder, staging, pooling=None if stated else config.pooling[0])
    return ModelConfig.from_folder(staging)


def _check_tokenizer(ours: ModelConfig, published: ModelConfig) -> Check:
    """Compare token ids with those of the published file, read by the tokenizers library."""
    tokenizer = tokenizers.Tokenizer.from_file(str(published.folder / "tokenizer.json"))
    tokenizer.no_padding()
    if published.lowercase:
        lower_case(tokenizer)
    tokenizer.enable_truncation(published.max_seq_length)
    texts = [*PARITY_TEXTS, *shipped_texts("evaluation").texts]
    theirs = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    different = [
        text
        for text, ids, truth in zip(texts, Tokenizer(ours)(texts).ids, theirs, strict=True)
        if ids.tolist() != truth
    ]
    if different:
        return Check(
            "tokenizer",
            "failed",
            f"{len(different)} of {len(texts)} texts differ, such as {different[0]!r:.60}",
        )
    files = [config.folder / "tokenizer.json" for config in (ours, published)]
    same = files[0].read_bytes() == files[1].read_bytes()
    how = "same file" if same else "another file"
    return Check("tokenizer", "passed", f"{len(texts)} texts, same token ids ({how})")


class _Variants:
    """The variants of a folder, each loaded once; one that cannot be loaded is a failed check."""

    def __init__(self, config: ModelConfig, receipt: Receipt | None) -> None:
        self.config = config
        made = receipt.variants if receipt is not None else {}
        smaller = {"embedding_rank", "embedding_bits"}
        self._small_words = {name for name, how in made.items() if smaller & set(how.recipe)}
        self.loaded: dict[str, Embedder] = {}
        self.failed: list[Check] = []
        for name in config.variants:
            try:
                self.loaded[name] = Embedder(config.folder, variant=name, cache=False)
            except ModelFormatError as error:  # its files contradict each other
                self.failed.append(Check(name, "failed", str(error)))

    def floors_of(self, name: str) -> str:
        """Return the variant whose floors apply to ``name``.

        A word table of a lower rank or of four bits is an approximation, so such a variant has the
        floors of ``int8``.
        """
        return "int8" if name in self._small_words else name


def _check_variants(variants: _Variants, source: Source, published: ModelConfig) -> list[Check]:
    """Compare each variant with the source's own weights, embedded by :func:`reference.embed`."""
    evaluation = EvaluationSet.shipped()
    texts = evaluation.all_texts
    truth = reference.embed(reference.source_states(source), published, texts)
    checks = list(variants.failed)
    for name, embedder in variants.loaded.items():
        vectors = embedder.encode_detailed(texts).vectors
        if vectors.shape != truth.shape:
            detail = f"{vectors.shape[1]} dimensions, the source has {truth.shape[1]}"
            checks.append(Check(name, "failed", detail))
            continue
        result = evaluation.compare(np.asarray(vectors), truth)
        mean, lowest = COSINE_FLOORS[variants.floors_of(name)]
        good = result.cosine_mean >= mean and result.cosine_min >= lowest
        detail = (
            f"cosine mean {result.cosine_mean:.6f} (at least {mean}), lowest "
            f"{result.cosine_min:.6f} (at least {lowest}), Spearman of similarities "
            f"{result.spearman:.5f}"
        )
        checks.append(Check(name, "passed" if good else "failed", detail, result))
    return checks


def _check_pipeline(
    variants: _Variants, source: Source, projection: tuple[HeadStep, ...]
) -> list[Check]:
    """Compare each variant, run by :class:`Embedder`, with sentence-transformers."""
    if why_not := why_no_pipeline(source):
        return [Check("pipeline", "skipped", why_not)]
    samples = [*samples_of(variants.config), *prompted_samples(variants.config)]
    try:
        pipeline = Pipeline.open(source)
        truth = Truth.of(pipeline, variants.config, samples)
    except EdgeEmbedError as error:
        return [Check("pipeline", "failed", str(error))]
    truth = replace(truth, vectors=reference.apply_head(truth.vectors, projection))
    checks = []
    for name, embedder in variants.loaded.items():
        floor = PIPELINE_FLOORS[variants.floors_of(name)]
        checks.append(_check_texts(name, embedder, truth, floor=floor, by=pipeline.library))
    return checks


def _check_texts(name: str, embedder: Embedder, truth: Truth, *, floor: float, by: str) -> Check:
    vectors = [
        embedder.encode_detailed([sample.text], prompt=sample.prompt).vectors
        for sample in truth.samples
    ]
    try:
        found = truth.compare(np.concatenate(vectors))
    except EdgeEmbedError as error:
        return Check(f"{name} texts", "failed", str(error))
    judged = {
        kind: figures.cosine_min
        for kind, figures in found.kinds.items()
        if floor >= COSINE_FLOOR or kind != REPEATED_KIND
    }
    worst = min(judged, key=judged.__getitem__)
    kinds = (
        f"{kind} {figures.cosine_min:.6f}{'' if kind in judged else ' (not judged)'}"
        for kind, figures in found.kinds.items()
    )
    detail = (
        f"{found.texts} texts as in {by}: lowest cosine {judged[worst]:.6f} on {worst} (at "
        f"least {floor}); {', '.join(kinds)}"
    )
    if found.tokenized_otherwise:
        detail += (
            f"; transformers makes other tokens than tokenizer.json, which is followed, of "
            f"{', '.join(found.tokenized_otherwise)}"
        )
    status: Status = "passed" if judged[worst] >= floor else "failed"
    return Check(f"{name} texts", status, detail, kinds=found.kinds)
