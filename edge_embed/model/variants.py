"""The variants of a model (int8, fp32, ...) and the files of their weights."""

from collections.abc import Mapping
from pathlib import Path

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.model.json_files import read_json

__all__ = ["STATIC", "TABLES", "VARIANTS", "choose_variant", "variants_of", "weights_of"]

VARIANTS: Mapping[str, str] = {
    "int8": "openvino/openvino_model_qint8_quantized.xml",
    "w8": "openvino/openvino_model_w8.xml",
    "fp16": "openvino/openvino_model.xml",
    "fp32": "openvino/openvino_model.xml",
}
"""Variant name to file below the model folder, in order of preference. ``openvino_model.xml`` is
fp32 unless the folder's receipt states the precision fp16."""

TABLES: Mapping[str, str] = {"int8": "model_int8.safetensors", "fp32": "model.safetensors"}
"""The same for a folder whose model is a table of token vectors."""

STATIC = "static"
"""The variant that is derived when a model is loaded: a vector for each token."""


def variants_of(folder: Path, *, table: bool) -> dict[str, Path]:
    """Return the weights in the folder: variant name to .xml file or table, the preferred first.

    ``table`` tells that the model is a table of token vectors, without a transformer.
    """
    if table:
        files = {name: folder / file for name, file in TABLES.items()}
    else:
        receipt = read_json(folder / "edge_embed.json", optional=True)
        absent = "fp32" if receipt.get("precision") == "fp16" else "fp16"
        files = {name: folder / file for name, file in VARIANTS.items() if name != absent}
    return {name: file for name, file in files.items() if file.is_file()}


def choose_variant(folder: Path, variant: str | None, *, table: bool) -> tuple[str, Path]:
    """Return name and file of ``variant``, or of the preferred one.

    For :data:`STATIC` it is the file that the vectors are derived from; a model that is a table
    already keeps its variant's name.

    Raises:
        InputError: the name is unknown.
        ModelFormatError: the folder does not hold it.
    """
    there = variants_of(folder, table=table)
    if variant is None or variant == STATIC:
        if not there:
            raise ModelFormatError(
                f"{folder} holds no OpenVINO model (such as {VARIANTS['int8']}): "
                f"run 'edge-embed convert {folder} -o DIR' first"
            )
        preferred = next(iter(there))
        return (preferred if table or variant is None else STATIC), there[preferred]
    if variant not in VARIANTS:
        known = ", ".join((*VARIANTS, STATIC))
        raise InputError(f"unknown variant {variant!r}: choose one of {known}")
    if variant not in there:
        names = ", ".join(there) or "none"
        file = (TABLES if table else VARIANTS).get(variant, "a transformer's")
        raise ModelFormatError(f"{folder} has no variant {variant!r} ({file}); it has: {names}")
    return variant, there[variant]


def weights_of(file: Path) -> Path:
    """Return the file with the weights: the .bin beside an .xml, or the table itself."""
    return file.with_suffix(".bin") if file.suffix == ".xml" else file
