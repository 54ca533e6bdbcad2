"""Make the FP32 graph: export a checkpoint, convert an ONNX file, or read an OpenVINO graph.

All three give a graph with the same interface: inputs ``input_ids``, ``attention_mask`` and, where
the model has them, ``token_type_ids``, each int64 (batch, tokens) with both dimensions dynamic; one
output ``last_hidden_state``, (batch, tokens, hidden).
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import openvino as ov

from edge_embed.errors import ModelFormatError, OutputError
from edge_embed_conversion.console import quiet_transformers
from edge_embed_conversion.trace import trace_checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = [
    "copy_graph",
    "export_checkpoint",
    "read_graph",
    "read_onnx",
    "refuse_full_disk",
    "save_graph",
    "stored_in_half",
]

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "last_hidden_state"


def export_checkpoint(model: "PreTrainedModel", path: Path) -> Literal["exported", "traced"]:
    """Export a transformers encoder to ``path`` (.xml, with its .bin beside it) in FP32.

    optimum-intel exports the architectures that it knows as encoders. If it knows none, or its
    graph has inputs that an encoder does not take, the loaded model is traced and the graph's
    outputs are compared with torch's (:mod:`edge_embed_conversion.trace`).

    Args:
        model: a torch module as :func:`~edge_embed_conversion.checkpoint.load_checkpoint` gives.
        path: the .xml file to write.

    Returns:
        ``exported`` by optimum-intel, or ``traced``.

    Raises:
        ModelFormatError: neither way can export this architecture.
        OutputError: the disk is full.
    """
    try:
        _export_with_optimum(model, path)
        read_graph(path)
    except Exception as error:  # noqa: BLE001 - whatever the exporter raises, tracing is tried
        refuse_full_disk(error, path)
        save_graph(trace_checkpoint(model), path)
        read_graph(path)
        return "traced"
    return "exported"


def _export_with_optimum(model: "PreTrainedModel", path: Path) -> None:
    import optimum.exporters.openvino
    from optimum.exporters.tasks import TasksManager

    make_config = TasksManager.get_exporter_config_constructor(
        model=model,
        exporter="openvino",
        task="feature-extraction",
        library_name="transformers",
    )
    with quiet_transformers():
        optimum.exporters.openvino.export(
            model, make_config(model.config), output=path, stateful=False
        )


def read_onnx(path: Path) -> ov.Model:
    """Convert an ONNX encoder in memory, with OpenVINO alone.

    Raises:
        ModelFormatError: the file is damaged, or does not have the interface described above.
    """
    try:
        model = ov.convert_model(path)
    except Exception as error:
        raise ModelFormatError(
            f"OpenVINO cannot read {path}: {str(error).strip().splitlines()[-1]}"
        ) from error
    return _as_encoder(model, path)


def read_graph(path: Path) -> ov.Model:
    """Read an OpenVINO graph, and check that it has the interface described above.

    Raises:
        ModelFormatError: the graph is damaged, incomplete, or not an encoder.
    """
    if not path.with_suffix(".bin").is_file():
        raise ModelFormatError(f"{path} has no weights beside it: {path.stem}.bin is missing")
    try:
        model = ov.Core().read_model(path)
    except RuntimeError as error:
        raise ModelFormatError(
            f"{path} or its .bin is damaged: {str(error).strip().splitlines()[-1]}"
        ) from error
    return _as_encoder(model, path)


def save_graph(model: ov.Model, path: Path, *, fp16: bool = False) -> None:
    """Write ``model`` to ``path``; with ``fp16`` its FP32 weights are stored in half precision.

    Raises:
        OutputError: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        ov.save_model(model, path, compress_to_fp16=fp16)
    except RuntimeError as error:
        refuse_full_disk(error, path)
        raise


def copy_graph(xml: Path, target: Path) -> None:
    """Copy a graph, its .xml and its .bin."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".xml", ".bin"):
        shutil.copyfile(xml.with_suffix(suffix), target.with_suffix(suffix))


def stored_in_half(model: ov.Model) -> bool:
    """Return whether any constant of ``model`` is stored in FP16."""
    constants = (node for node in model.get_ops() if node.get_type_name() == "Constant")
    return any(node.get_element_type() == ov.Type.f16 for node in constants)


def refuse_full_disk(error: Exception, path: Path) -> None:
    """Raise an OutputError if ``error`` is OpenVINO's for a file that it could not write."""
    if "iostream error" in str(error):
        raise OutputError(
            f"cannot write {path.name}: the disk is full, or files may not grow that large; "
            "free some space and run again"
        ) from error


def _as_encoder(model: ov.Model, path: Path) -> ov.Model:
    """Check the inputs of ``model`` and return it with ``last_hidden_state`` as its only output.

    An encoder exported elsewhere may have more outputs (a pooler's, a pooled embedding).
    """
    names = [next(iter(port.get_names()), "") for port in model.inputs]
    unknown = [name for name in names if name not in INPUTS]
    if unknown or "input_ids" not in names or "attention_mask" not in names:
        raise ModelFormatError(
            f"{path} takes the inputs {', '.join(names)}; an encoder takes {', '.join(INPUTS)}"
        )
    for port in model.inputs:
        if port.get_partial_shape().rank.get_length() != 2 or port.get_partial_shape().is_static:
            raise ModelFormatError(
                f"{path} has the fixed input shape {port.get_partial_shape()}; export it with "
                "open batch and sequence dimensions"
            )
    states = [port for port in model.outputs if OUTPUT in port.get_names()] or [
        port for port in model.outputs if port.get_partial_shape().rank.get_length() == 3
    ]
    if len(states) != 1:
        raise ModelFormatError(f"{path} has no single output of token states ({OUTPUT})")
    states[0].get_tensor().set_names({OUTPUT})
    if len(model.outputs) == 1:
        return model
    return ov.Model([states[0].get_node()], model.get_parameters(), model.get_friendly_name())
