"""The Dense module of a model folder: a linear layer after pooling, such as a projection.

Read and written in sentence-transformers' format (``config.json`` and ``model.safetensors`` in the
module's folder), without torch. The safetensors format is eight bytes of header length, a JSON
header and the raw arrays: https://huggingface.co/docs/safetensors.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_embed.errors import ModelFormatError
from edge_embed.files.json_text import parse_json
from edge_embed.files.typed_json import typed
from edge_embed.model.activations import ACTIVATIONS, activation_name
from edge_embed.model.json_files import number_of, read_json

__all__ = ["WEIGHTS", "DenseLayer", "DenseWeights", "read_safetensors", "save_dense", "table_width"]

Floats = npt.NDArray[np.float32]

WEIGHTS = "model.safetensors"
"""The file of a module's arrays, in its folder."""

# Bytes of a header; that of a model with thousands of arrays has a few hundred thousand.
_LONGEST_HEADER = 1 << 24
# bfloat16, which numpy lacks, is the upper half of float32 and is read as integers.
_DTYPES: Mapping[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I8": "i1",
    "I32": "<i4",
    "I64": "<i8",
}


class DenseWeights(NamedTuple):
    """The arrays of a Dense module, float32."""

    weight: Floats
    """(out_features, in_features)"""
    bias: Floats | None
    """(out_features,)"""
    residual: Floats | None
    """(out_features, in_features): projects the input before it is added; None without that."""


@dataclass(frozen=True)
class DenseLayer:
    """A Dense module as its config.json describes it; the weights are read by :meth:`weights`."""

    folder: Path
    in_features: int
    out_features: int
    bias: bool
    activation: str
    """The name of torch's class, one of :data:`edge_embed.model.activations.ACTIVATIONS`."""
    residual: bool = False
    """Whether the input is added to the activation's output."""

    @classmethod
    def from_folder(cls, folder: Path) -> "DenseLayer":
        """Read ``config.json`` of a Dense module.

        Raises:
            ModelFormatError: the file is missing or damaged, or states a setting that is not
                supported.
        """
        path = folder / "config.json"
        config = read_json(path)
        width, out = number_of(config, "in_features"), number_of(config, "out_features")
        if width is None or out is None or min(width, out) < 1:
            raise ModelFormatError(f"{path} does not say its in_features and out_features")
        activation = config.get("activation_function", "torch.nn.modules.activation.Tanh")
        for end in ("input", "output"):
            other = config.get(f"module_{end}_name")
            if other not in (None, "sentence_embedding"):
                raise ModelFormatError(
                    f"{path} has the {end} {other!r:.40}; a Dense module is run on the sentence "
                    "embedding alone"
                )
        return cls(
            folder,
            width,
            out,
            bias=typed(bool, config.get("bias", True), "bias"),
            activation=activation_name(str(activation), str(path)),
            residual=typed(bool, config.get("use_residual", False), "use_residual"),
        )

    def weights(self) -> DenseWeights:
        """Read the arrays.

        Raises:
            ModelFormatError: the file is missing or damaged, or does not fit config.json.
        """
        path = self.folder / WEIGHTS
        arrays = read_safetensors(path)
        shape = (self.out_features, self.in_features)
        shapes: dict[str, tuple[int, ...]] = {"linear.weight": shape}
        if self.bias:
            shapes["linear.bias"] = (self.out_features,)
        if self.residual and self.in_features != self.out_features:
            shapes["residual.weight"] = shape
        for name, wanted in shapes.items():
            if name not in arrays or arrays[name].shape != wanted:
                raise ModelFormatError(f"{path} holds no {name} of shape {wanted}")
        found = {name: arrays[name] for name in shapes}
        return DenseWeights(
            found["linear.weight"], found.get("linear.bias"), found.get("residual.weight")
        )

    def apply(self, vectors: Floats) -> Floats:
        """Return the layer's output, float32 (n, out_features), for float32 (n, in_features)."""
        weight, bias, residual = self.weights()
        wide = vectors.astype(np.float64)
        output = ACTIVATIONS[self.activation](wide @ weight.T + (0 if bias is None else bias))
        if self.residual:
            output = output + (wide if residual is None else wide @ residual.T)
        return np.asarray(output, np.float32)


def save_dense(
    folder: Path, weight: Floats, bias: Floats | None, *, activation: str = "Identity"
) -> None:
    """Write a Dense module into the existing folder ``folder``.

    Args:
        folder: Where ``config.json`` and ``model.safetensors`` go.
        weight: Float32 (out_features, in_features).
        bias: Float32 (out_features,), or None.
        activation: One of :data:`edge_embed.model.activations.ACTIVATIONS`.
    """
    module = "linear" if activation == "Identity" else "activation"
    config = {
        "in_features": weight.shape[1],
        "out_features": weight.shape[0],
        "bias": bias is not None,
        "activation_function": f"torch.nn.modules.{module}.{activation}",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    arrays = {"linear.weight": weight} | ({} if bias is None else {"linear.bias": bias})
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, array in arrays.items():
        content = np.ascontiguousarray(array, "<f4").tobytes()
        offsets = [len(data), len(data) + len(content)]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": offsets}
        data += content
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text + data)


def read_safetensors(path: Path) -> dict[str, Floats]:
    """Read every array of a safetensors file as float32.

    Raises:
        ModelFormatError: the file is missing or damaged, or has an unsupported data type.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelFormatError(
            f"{path.parent} is not a complete module: {path.name} is missing"
        ) from None
    except OSError as error:
        raise ModelFormatError(f"cannot read {path}: {error.strerror}") from error
    try:
        size = int.from_bytes(content[:8], "little")
        header = parse_json(bytes(content[8 : 8 + size]))
        data = memoryview(content)[8 + size :]
        return {
            name: _array(entry, data) for name, entry in header.items() if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ModelFormatError(f"{path} is damaged ({error}); copy it again") from error


def table_width(path: Path) -> int:
    """Return the number of columns of a table of token vectors; reads only the file's header.

    Raises:
        ModelFormatError: the file is missing or damaged, or holds no such table.
    """
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = parse_json(file.read(min(size, _LONGEST_HEADER)))
        entry = header.get("embedding.weight", header.get("embeddings"))
        _, width = entry["shape"]
        return typed(int, width, "shape")
    except FileNotFoundError:
        raise ModelFormatError(
            f"{path.parent} is not a complete model: {path.name} is missing"
        ) from None
    except OSError as error:
        raise ModelFormatError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise ModelFormatError(f"{path} holds no table of token vectors") from None


def _array(entry: Mapping[str, Any], data: memoryview) -> Floats:
    dtype = entry["dtype"]
    if dtype not in _DTYPES:
        raise ValueError(f"the type {dtype} is not supported")
    start, stop = entry["data_offsets"]
    raw = np.frombuffer(data[start:stop], _DTYPES[dtype]).reshape(entry["shape"])
    if dtype == "BF16":
        raw = (raw.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(raw, np.float32)
