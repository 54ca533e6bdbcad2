"""Which weights a model folder holds, by the names of the variants that run them."""

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
"""Variant name to file below the folder of a transformer, in order of preference. The main IR is
fp32 unless the folder's receipt says that its precision is fp16."""

TABLES: Mapping[str, str] = {"int8": "model_int8.safetensors", "fp32": "model.safetensors"}
"""The same for a folder whose model is a table of token vectors."""

STATIC = "static"
"""The variant that no folder holds: token vectors derived from the model's other weights."""


def variants_of(folder: Path, *, table: bool) -> dict[str, Path]:
    """Return the weights that are there: variant name to its .xml or table, the preferred first."""
    if table:
        files = {name: folder / file for name, file in TABLES.items()}
    else:
        receipt = read_json(folder / "edge_embed.json", optional=True)
        absent = "fp32" if receipt.get("precision") == "fp16" else "fp16"
        files = {name: folder / file for name, file in VARIANTS.items() if name != absent}
    return {name: file for name, file in files.items() if file.is_file()}


def choose_variant(folder: Path, variant: str | None, *, table: bool) -> tuple[str, Path]:
    """Return name and file of ``variant``, or of the preferred one.

    Of :data:`STATIC` it is the file that the vectors are derived from; a table is static itself.

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
    """Return where a variant's numbers are: beside its .xml, or in the table itself."""
    return file.with_suffix(".bin") if file.suffix == ".xml" else file
