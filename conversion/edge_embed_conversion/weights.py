"""Which weights of a model's folder or repository a conversion uses, and which files it reads.

The first of these that is there: an OpenVINO graph (copied as it is), a checkpoint (exported), an
ONNX file (converted).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath
from typing import NoReturn

from edge_embed.errors import ModelFormatError

__all__ = [
    "CHECKPOINT_FILES",
    "IR_FILES",
    "ONNX_FILES",
    "Weights",
    "WeightsKind",
    "choose_weights",
    "refuse_without_weights",
    "wanted_files",
]

IR_FILES = ("openvino/openvino_model.xml", "openvino_model.xml")
INT8_FILES = (
    "openvino/openvino_model_qint8_quantized.xml",
    "openvino_model_qint8_quantized.xml",
)
CHECKPOINT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
ONNX_FILES = ("onnx/model.onnx", "model.onnx")
# Formats of weights that cannot be converted, by the ending of the file's name.
_OTHER_WEIGHTS = {
    "tf_model.h5": "TensorFlow",
    "flax_model.msgpack": "Flax",
    "rust_model.ot": "Rust",
    ".gguf": "llama.cpp",
    ".ckpt": "a training in progress",
}


# Weights of modules besides the transformer: numbered, or named after their path in a Router.
_MODULE_WEIGHTS = re.compile(
    r"(\d+_(?!Transformer)|\w+_\d+_)\w+/(model\.safetensors|pytorch_model\.bin)$"
)


class WeightsKind(str, Enum):
    """The form in which the source holds its weights."""

    OPENVINO = "openvino"
    CHECKPOINT = "checkpoint"
    ONNX = "onnx"


@dataclass(frozen=True)
class Weights:
    """The weights chosen from a source; paths are relative to its folder, with ``/``."""

    kind: WeightsKind
    file: str
    int8_file: str | None = None


def choose_weights(
    files: Collection[str], *, re_export: bool = False, transformer: str | None = None
) -> Weights | None:
    """Choose the weights to convert from a listing of relative paths, or None.

    Args:
        files: the listing.
        re_export: ignore an OpenVINO graph.
        transformer: the transformer's folder as modules.json states it. None if unknown: then
            subfolders such as ``0_Transformer``, as in old repositories, are looked through too.
    """
    names = set(files)
    if transformer is None:
        places = ["", *sorted({PurePosixPath(f).parts[0] for f in names if f[:2] == "0_"})]
    else:
        places = list(dict.fromkeys(("" if transformer == "." else transformer, "")))
    for kind, candidates in (
        (WeightsKind.OPENVINO, () if re_export else IR_FILES),
        (WeightsKind.CHECKPOINT, CHECKPOINT_FILES),
        (WeightsKind.ONNX, ONNX_FILES),
    ):
        for place in places:
            prefix = f"{place}/" if place else ""
            for file in (prefix + name for name in candidates):
                if file in names:
                    int8 = next((prefix + f for f in INT8_FILES if prefix + f in names), None)
                    return Weights(kind, file, int8 if kind is WeightsKind.OPENVINO else None)
    return None


def refuse_without_weights(name: str, files: Collection[str], *, re_export: bool) -> NoReturn:
    """Raise an error that says what the model holds instead of convertible weights, and a remedy.

    Args:
        name: the model as the user named it.
        files: its listing.
        re_export: whether OpenVINO graphs are ignored.

    Raises:
        ModelFormatError: always.
    """
    paths = [PurePosixPath(file) for file in sorted(files)]
    if "adapter_config.json" in files:
        raise ModelFormatError(
            f"{name} is an adapter of another model (adapter_config.json): merge the two first "
            "(merge_and_unload of the library peft), and convert what that saves"
        )
    for ending, library in _OTHER_WEIGHTS.items():
        if other := next((path for path in paths if path.name.endswith(ending)), None):
            raise ModelFormatError(
                f"{name} holds weights of {library} alone ({other}): take a copy of the model with "
                "model.safetensors, or save it so with the library that wrote it"
            )
    asked = "checkpoint or ONNX file to export" if re_export else "weights"
    rest = ", ".join(_expected(re_export=re_export))
    graph = next((path for path in paths if path.suffix == ".onnx"), None)
    if graph is not None:
        rest += f"; {graph} is not taken, as it may be quantized or cut already"
    inner = [path.parent for path in paths if path.name == "config.json" and len(path.parts) > 1]
    inner = [place for place in inner if not re.match(r"\d+_|onnx|openvino", str(place))]
    if inner:
        rest += f"; its folder {inner[0]} may be the model: give that"
    raise ModelFormatError(f"{name} holds no {asked}: expected {rest}")


def _expected(*, re_export: bool) -> tuple[str, ...]:
    shared = (CHECKPOINT_FILES[0], CHECKPOINT_FILES[2], ONNX_FILES[0])
    return shared if re_export else (IR_FILES[0], *shared)


def wanted_files(
    files: Collection[str], *, re_export: bool, transformer: str | None = None
) -> list[str]:
    """Name the files of a hub repository that a conversion reads, and no others.

    Args:
        files: the repository's listing.
        re_export: ignore an OpenVINO graph.
        transformer: the transformer's folder, once modules.json has been read.
    """
    weights = choose_weights(files, re_export=re_export, transformer=transformer)
    wanted = [
        file
        for file in files
        if PurePosixPath(file).suffix in {".json", ".txt", ".model"}
        and len(PurePosixPath(file).parts) <= 2
        and not file.startswith(("onnx/", "openvino/"))
    ]
    wanted += [f for f in files if re.match(r"(README\.md|LICEN[CS]E.*|NOTICE.*)$", f)]
    for file in files:
        if re.match(_MODULE_WEIGHTS, file):
            newer = file.replace("pytorch_model.bin", "model.safetensors")
            wanted.append(newer if newer in files else file)
    if weights is None:
        return wanted
    chosen = {weights.file, *([weights.int8_file] if weights.int8_file else [])}
    for file in sorted(chosen):
        stem = PurePosixPath(file)
        if weights.kind is WeightsKind.OPENVINO:
            wanted += [file, str(stem.with_suffix(".bin"))]
        elif file.endswith(".index.json"):
            shards = re.compile(re.escape(file.split(".")[0]) + r"-\d+-of-\d+\.")
            wanted += [file, *(f for f in files if shards.match(f))]
        else:
            # An ONNX file above 2 GB keeps its data beside it.
            wanted += [file, *(f for f in files if f in (f"{file}_data", f"{file}.data"))]
    return sorted(set(wanted) & set(files))
