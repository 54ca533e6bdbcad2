"""Convert a model: source, layout, FP32 graph, quantized graph, measurement, receipt.

The whole is built in a folder beside the output and renamed when it is complete.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args

from edge_embed.errors import EdgeEmbedError, InputError, MissingExtraError
from edge_embed.files.atomic import atomic_folder
from edge_embed.model.config import PoolingMode
from edge_embed.model.file_hashes import file_hash
from edge_embed.model.kinds import is_pair_model
from edge_embed.model.receipt import (
    Receipt,
    SourceRecord,
    TextSetRecord,
    VariantReceipt,
    hash_files,
    write_receipt,
)
from edge_embed_conversion.build import Build
from edge_embed_conversion.calibration import TextSet, read_text_set, shipped_texts
from edge_embed_conversion.console import quiet_tools, say
from edge_embed_conversion.exits import stated_exits
from edge_embed_conversion.fidelity import EvaluationSet, loss
from edge_embed_conversion.int4_words import EmbeddingBits
from edge_embed_conversion.layout import write_layout
from edge_embed_conversion.pairs.conversion import PairBuild, write_pair_layout
from edge_embed_conversion.quantize import Int8Recipe
from edge_embed_conversion.sources import Source, SourceKind, resolve_source
from edge_embed_conversion.static_tables import convert_table, is_table_source
from edge_embed_conversion.weights import WeightsKind

__all__ = ["Precision", "convert"]

Precision = Literal["int8", "w8", "fp16", "fp32"]
TOOLS = ("edge-embed", "openvino", "nncf", "optimum-intel", "transformers", "torch")


def convert(
    source: str | Path,
    output: str | Path,
    *,
    precision: Precision = "int8",
    calibration: TextSet | str | Path | None = None,
    recipe: Int8Recipe | None = None,
    pooling: PoolingMode | None = None,
    revision: str | None = None,
    re_export: bool = False,
    with_fp32: bool = True,
    embedding_rank: int | None = None,
    frequencies: str | Path | None = None,
    embedding_bits: EmbeddingBits = 8,
    exits: Sequence[int] | None = None,
    max_loss: float | None = None,
    trust_remote_code: bool = False,
    route: str | None = None,
    force: bool = False,
) -> Receipt:
    """Convert ``source`` into the model folder ``output``.

    Args:
        source: a folder, an installed package that carries its model, or a hub id.
        output: the folder to write; it appears whole or not at all.
        precision: ``int8`` and ``w8`` write the FP32 graph beside the small one.
        calibration: texts like those that the model will embed, or a file of them; None for the set
            that ships. A source's own INT8 graph is used only if this is None.
        recipe: the choices of INT8 quantization; None for the defaults.
        pooling: the pooling mode, for a source that does not state one.
        revision: a branch, tag or commit, for a hub id.
        re_export: export again where the source holds an OpenVINO graph.
        with_fp32: False leaves the FP32 graph out of an ``int8`` or ``w8`` folder.
        embedding_rank: width to which the word table is factorised in the graph
            (:mod:`edge_embed_conversion.factorise`); None leaves it whole.
        frequencies: a file of texts in which the vocabulary's tokens are counted; frequent tokens
            weigh more in the factorisation. None for an English word list that ships.
        embedding_bits: 4 stores the word table of ``int8`` and ``w8`` in half of the space
            (:mod:`edge_embed_conversion.int4_words`).
        exits: numbers of layers for which an early exit is stored, by ending early or by skipping
            layers; None for those that the source states in ``exits.json``.
        max_loss: fail if a variant's loss is higher, in points: 100 x (1 - Spearman correlation of
            its pairwise similarities with the source's).
        trust_remote_code: run the code that comes with a model, where it names some.
        route: which path of a model with a Router is converted, such as ``query``.
        force: replace an existing folder.

    Returns:
        The receipt, as written to ``edge_embed.json``.

    Raises:
        ModelNotFoundError: there is no such source.
        ModelFormatError: the source lacks something, or is damaged.
        InputError: an option is wrong.
        EdgeEmbedError: the FP32 vectors differ from those of sentence-transformers, or a variant
            loses more than ``max_loss``.
        MissingExtraError: a tool that this conversion needs is not installed.
        OutputError: the folder exists, or cannot be written.
    """
    if precision not in get_args(Precision):
        raise InputError(f"unknown precision {precision!r}: choose int8, w8, fp16 or fp32")
    if calibration is not None and precision != "int8":
        raise InputError(f"calibration texts serve int8 alone; {precision} uses none")
    if max_loss is not None and not max_loss >= 0:
        raise InputError(f"the maximal loss is {max_loss}; it must not be negative")
    if frequencies is not None and embedding_rank is None:
        raise InputError("frequencies serve --embedding-rank alone; give both")
    if embedding_bits not in get_args(EmbeddingBits):
        raise InputError(f"a word table has 4 or 8 bits a value, not {embedding_bits}")
    if embedding_bits == 4 and precision not in ("int8", "w8"):
        raise InputError(f"a word table of 4 bits is for int8 and w8; {precision} has floats")
    output = Path(output)
    if is_table_source(source):
        options = (pooling, exits, embedding_rank, max_loss, route, calibration)
        if options != (None,) * 6 or embedding_bits != 8:
            raise InputError(
                f"{source} is a table of token vectors: --pooling, --exits, --embedding-rank, "
                "--embedding-bits, --max-loss, --route and --calibration are for transformers"
            )
        return convert_table(Path(source), output, precision=precision, force=force)
    texts = _calibration_texts(calibration) if precision == "int8" else None
    with (
        atomic_folder(output, force=force) as folder,
        TemporaryDirectory(prefix="edge-embed-") as staging,
        quiet_tools(),
    ):
        found = resolve_source(
            str(source),
            revision=revision,
            re_export=re_export,
            trust_remote_code=trust_remote_code,
            route=route,
            staging=Path(staging),
        )
        _refuse_overwriting(found, output)
        _require_tools(found, precision)
        say(f"source: {found.kind.value} {found.folder}")
        evaluation = EvaluationSet.shipped()
        build: Build | PairBuild
        if is_pair_model(found.weights_path.parent):
            if pooling is not None or exits is not None or max_loss is not None:
                raise InputError(
                    f"{source} reads pairs: --pooling, --exits and --max-loss are for encoders"
                )
            tokenizer = write_pair_layout(found.weights_path.parent, folder)
            build = PairBuild(found, folder, embedding_bits=embedding_bits)
        else:
            tokenizer = write_layout(found.folder, folder, pooling=pooling)
            build = Build(found, folder, embedding_bits=embedding_bits)
            build.compare_with_source()
        if embedding_rank is not None:
            build.factorise_words(embedding_rank, frequencies)
        if isinstance(build, Build) and (
            ends := stated_exits(found.folder) if exits is None else exits
        ):
            build.choose_exits(ends)
        build.embed_source(evaluation)
        if texts is not None:
            own = calibration or recipe or embedding_rank or embedding_bits == 4
            if found.weights.int8_file and not own:
                build.adopt_int8(found.weights.int8_file)
                texts = None
            else:
                build.write_int8(texts, recipe or Int8Recipe())
        elif precision == "w8":
            build.write_w8()
        elif precision == "fp16":
            build.write_fp16()
        if precision == "fp32" or (precision in ("int8", "w8") and with_fp32):
            build.write_fp32()
        variants = build.measured(evaluation)
        if max_loss is not None:
            _refuse_loss(variants, max_loss)
        build.clean_up()
        receipt = Receipt(
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            source=SourceRecord(
                name=_public_name(found),
                kind=found.kind.value,
                weights=found.weights.kind.value,
                weights_sha256=file_hash(_weights_data(found)).sha256,
                revision=found.revision,
                route=route,
            ),
            licence=found.licence,
            languages=found.languages,
            precision=precision,
            tokenizer=tokenizer,
            reference=build.reference_name,
            variants=variants,
            calibration=_record(texts) if texts is not None else None,
            evaluation=_record(evaluation.texts),
            tools=_tool_versions(),
            files=hash_files(folder),
        )
        write_receipt(folder, receipt)
    say(f"done: {output}")
    return receipt


def _calibration_texts(calibration: TextSet | str | Path | None) -> TextSet:
    if calibration is None:
        return shipped_texts("calibration")
    return calibration if isinstance(calibration, TextSet) else read_text_set(calibration)


def _refuse_loss(variants: Mapping[str, VariantReceipt], max_loss: float) -> None:
    for name, variant in variants.items():
        lost = loss(variant.fidelity) if variant.fidelity else 0.0
        if lost > max_loss:
            remedy = "--calibration FILE with texts like yours, or --precision w8"
            raise EdgeEmbedError(
                f"{name} loses {lost:.3f} points of 100 in the order of similarities, more than "
                f"{max_loss:g}: nothing was written; try {remedy if name == 'int8' else 'fp32'}"
            )


def _refuse_overwriting(source: Source, output: Path) -> None:
    folders = [source.folder]
    if source.kind is SourceKind.FOLDER:  # with a route, source.folder is a temporary folder
        folders.append(Path(source.name).expanduser())
    if any(folder.resolve().is_relative_to(output.resolve()) for folder in folders):
        raise InputError(f"the output {output} holds the source itself; give another folder")


def _require_tools(source: Source, precision: Precision) -> None:
    """Check that the tools this conversion needs are installed, before any work is done.

    Raises:
        MissingExtraError: a tool that this conversion needs is not installed.
    """
    needed: dict[str, tuple[str, ...]] = {}
    if source.weights.kind is WeightsKind.CHECKPOINT:
        needed["exporting a checkpoint"] = ("torch", "transformers", "optimum.intel")
    if precision in ("int8", "w8"):
        needed["quantization"] = ("nncf",)
    for feature, modules in needed.items():
        for module in modules:
            if not _installed(module):
                raise MissingExtraError(feature, "convert", module)


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the parent package of a submodule is missing
        return False


def _public_name(source: Source) -> str:
    """Return the source's name for the receipt: of a folder its name, not its local path."""
    return source.folder.resolve().name if source.kind is SourceKind.FOLDER else source.name


def _weights_data(source: Source) -> Path:
    path = source.weights_path
    return path.with_suffix(".bin") if source.weights.kind is WeightsKind.OPENVINO else path


def _record(texts: TextSet) -> TextSetRecord:
    return TextSetRecord(texts.name, len(texts.texts), texts.sha256)


def _tool_versions() -> dict[str, str]:
    versions = {}
    for tool in TOOLS:
        try:
            versions[tool] = metadata.version(tool)
        except metadata.PackageNotFoundError:
            continue
    return versions
