"""The model graph: read the IR, pack, pool and normalise, so that it outputs embeddings.

The files stay as they are on disk, so any other runtime can open them; what is changed here exists
in memory only. A row holds one text (``attention_mask`` says how long it is) or, where the graph
allows it, several side by side (:mod:`edge_embed.runtime.packing`). Either way a matrix of ones and
zeros says which tokens belong to which text, and pooling is written once, on that matrix. It
follows sentence-transformers' Pooling module, mode by mode.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.utils import replace_node

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.model.config import EXITS_FILE, ModelConfig
from edge_embed.model.consistency import EmbeddingTables
from edge_embed.model.dense import DenseLayer
from edge_embed.runtime.attention_masks import keep_each_token_visible
from edge_embed.runtime.batch import POOLING_MASK, TOKENS_A_SLOT
from edge_embed.runtime.packing import CannotPackError, pack
from edge_embed.runtime.pooling import pool

__all__ = [
    "Graph",
    "GraphBuilder",
    "build_graph",
    "build_token_graph",
    "check_inputs",
    "embedding_tables",
    "keep_tables_compressed",
    "packed_inputs",
    "padded_inputs",
    "read_ir",
]


@dataclass(frozen=True)
class Graph:
    """A model that outputs ``sentence_embedding``, float32 (rows, texts a row, dim)."""

    model: ov.Model
    packed: bool
    """Whether a row holds several texts. Inputs are then ``input_ids``, ``segment_ids`` and
    ``position_ids``; otherwise ``input_ids`` and ``attention_mask``, and ``pooling_mask`` for
    models whose prompt does not take part in pooling."""
    why_not_packed: str = ""
    tables: EmbeddingTables = field(default_factory=EmbeddingTables)


class GraphBuilder(Protocol):
    """Makes the graph that runs of a transformer's."""

    def __call__(
        self,
        model: ov.Model,
        config: ModelConfig,
        *,
        packed: bool = True,
        layers: int | None = None,
    ) -> Graph:
        """Take over ``model``; see :func:`build_graph`."""


def read_ir(core: ov.Core, file: Path) -> ov.Model:
    """Read an OpenVINO IR.

    Raises:
        ModelFormatError: the .xml or its .bin is missing or damaged.
    """
    weights = file.with_suffix(".bin")
    for part in (file, weights):
        if not part.is_file():
            raise ModelFormatError(f"{part.parent} is not a complete model: {part.name} is missing")
    try:
        return core.read_model(file, weights)
    except RuntimeError as error:
        raise ModelFormatError(
            f"{file} or its .bin is damaged: copy the model again ('edge-embed verify' names the "
            f"file); the engine says: {_last_line(error)}"
        ) from error


def embedding_tables(model: ov.Model) -> EmbeddingTables:
    """Return how many rows the tables of words and of positions have, in a graph as it was read."""
    named = {name: port.get_node() for port in model.inputs for name in port.get_names()}
    words = [gather for gather in _reads_of("input_ids", named) if _table_shape(gather)]
    if not words:
        return EmbeddingTables()
    rows, width = _table_shape(words[0]) or (0, 0)
    known = {gather.get_friendly_name() for gather in (*words, *_reads_of("token_type_ids", named))}
    # What else is as wide and read by row, but for the few rows of types, is of positions.
    positions = [
        shape[0]
        for gather in model.get_ordered_ops()
        if gather.get_type_name() == "Gather" and gather.get_friendly_name() not in known
        if (shape := _table_shape(gather)) is not None and shape[1] == width and shape[0] > 2
    ]
    return EmbeddingTables(rows, max(positions, default=None))


def _reads_of(name: str, inputs: dict[str, ov.Node]) -> list[ov.Node]:
    """Return the nodes that read rows of a table by the ids of an input."""
    found: list[ov.Node] = []
    waiting = [inputs[name]] if name in inputs else []
    while waiting:
        for port in waiting.pop().output(0).get_target_inputs():
            node = port.get_node()
            if node.get_type_name() == "Convert":
                waiting.append(node)
            elif node.get_type_name() == "Gather" and port.get_index() == 1:
                found.append(node)
    return found


def _table_shape(gather: ov.Node) -> tuple[int, int] | None:
    """Return rows and width of the table that is read, where both are known."""
    shape = gather.input_value(0).get_partial_shape()
    if shape.rank.is_dynamic or shape.rank.get_length() != 2 or shape.is_dynamic:
        return None
    return shape[0].get_length(), shape[1].get_length()


def build_graph(
    model: ov.Model, config: ModelConfig, *, packed: bool = True, layers: int | None = None
) -> Graph:
    """Turn a transformer into a model that outputs embeddings.

    Args:
        model: A transformer whose output is token states, float (rows, width, hidden). It is
            taken over and changed.
        config: What the folder says of pooling and normalise.
        packed: Pack where the graph allows it.
        layers: End after so many layers, at an exit that the folder names; None for all.

    Raises:
        InputError: the folder names no such exit.
        ModelFormatError: the graph does not fit the folder's configuration.
    """
    check_inputs(model, config)
    tables = embedding_tables(model)
    # A result, since packing may replace the node that it reads.
    end = _token_states(model, config) if layers is None else _exit(model, config, layers)
    input_ids = model.input("input_ids").get_node()
    _drop_token_types(model, input_ids)
    why_not = "" if packed else "padded rows were asked for"
    if packed:
        try:
            parameters, members, positions = packed_inputs(model, config)
        except CannotPackError as error:
            why_not = str(error)
    if why_not:
        parameters, members, positions = padded_inputs(model, config)
    states = ops.convert(end.input_value(0), np.float32)
    if why_not:
        # What a graph makes of padding may be anything, also no number, which no product removes.
        of_text = ops.unsqueeze(ops.greater(parameters[0], np.int64(0)), np.int64(2))
        states = ops.select(of_text, states, np.float32(0))
    pooled = [pool(mode, states, members, positions) for mode in config.pooling]
    embedding = pooled[0] if len(pooled) == 1 else ops.concat(pooled, axis=2)
    for step in config.head:
        embedding = _unit_length(embedding) if step == "normalize" else _dense(embedding, step)
    if config.truncate_dim is not None:
        embedding = _first_dimensions(embedding, config.truncate_dim)
    result = ops.result(embedding)
    result.output(0).set_names({"sentence_embedding"})
    model = ov.Model([result], [input_ids, *parameters], "sentence_embedding")
    keep_tables_compressed(model)
    return Graph(model, not why_not, why_not, tables)


def build_token_graph(
    model: ov.Model, config: ModelConfig, *, layers: int | None = None
) -> ov.Model:
    """Turn a transformer into a model that outputs each token's state, before any pooling.

    Inputs are ``input_ids`` and ``attention_mask``, one text a row; the output is float32
    (rows, width, hidden). ``layers`` is an exit, as for :func:`build_graph`.

    Raises:
        InputError: the folder names no such exit.
        ModelFormatError: the graph does not fit the folder's configuration.
    """
    check_inputs(model, config)
    end = _token_states(model, config) if layers is None else _exit(model, config, layers)
    states = end.input_value(0)
    keep_each_token_visible(model, config.max_seq_length)
    input_ids, mask = (model.input(n).get_node() for n in ("input_ids", "attention_mask"))
    _drop_token_types(model, input_ids)
    result = ops.result(ops.convert(states, np.float32))
    model = ov.Model([result], [input_ids, mask], "token_states")
    keep_tables_compressed(model)
    return model


# Values of a table that is worth it: below, one product more is dearer than the memory.
_LARGE_TABLE = 1 << 20


def keep_tables_compressed(model: ov.Model) -> None:
    """Scale what is read of an INT8 table, not the table, in place; the values are the same.

    The engine computes what depends on no input when it compiles, so it would keep a vocabulary's
    embeddings as float32: 47 instead of 12 MB in all-MiniLM-L6-v2.
    """
    for gather in model.get_ordered_ops():
        table = _compressed_table(gather)
        if table is None:
            continue
        codes, scales = table
        ids, axis = gather.input_value(1), gather.input_value(2)
        values = ops.convert(ops.gather(codes, ids, axis), scales.get_element_type().to_dtype())
        scaled = ops.multiply(values, ops.gather(scales, ids, axis))
        replace_node(gather, scaled)


def _compressed_table(gather: ov.Node) -> tuple[ov.Output, ov.Output] | None:
    """Return codes (rows, width) and scales (rows, 1) of the large table whose rows are read."""

    def source(node: ov.Node, number: int, kind: str) -> ov.Node | None:
        found = node.input_value(number).get_node()
        return found if found.get_type_name() == kind else None

    if gather.get_type_name() != "Gather":
        return None
    axis, product = source(gather, 2, "Constant"), source(gather, 0, "Multiply")
    if axis is None or product is None or axis.get_data().tolist() not in (0, [0]):
        return None
    converted = source(product, 0, "Convert")
    codes = converted and source(converted, 0, "Constant")
    if codes is None or len(codes.shape) != 2 or np.prod(codes.shape) < _LARGE_TABLE:
        return None
    scales = product.input_value(1)
    if list(scales.get_partial_shape()) != [codes.shape[0], 1]:
        return None
    return codes.output(0), scales


def _unit_length(embedding: ov.Node) -> ov.Node:
    axis = ops.constant(np.array([2], np.int64))
    return ops.normalize_l2(embedding, axis, eps=1e-24, eps_mode="max")


def _first_dimensions(embedding: ov.Node, count: int) -> ov.Node:
    start, stop, step, axis = (ops.constant(np.array([n], np.int64)) for n in (0, count, 1, 2))
    return ops.slice(embedding, start, stop, step, axis)


def _dense(embedding: ov.Node, layer: DenseLayer) -> ov.Node:
    """Apply a layer to (rows, slots, in_features)."""
    weight, bias = layer.weights()
    output = ops.matmul(embedding, ops.constant(weight), False, True)
    if bias is not None:
        output = ops.add(output, ops.constant(bias))
    return ops.tanh(output) if layer.activation == "Tanh" else output


def packed_inputs(model: ov.Model, config: ModelConfig) -> tuple[list[ov.Node], ov.Node, ov.Node]:
    """Return new parameters, membership (rows, slots, width) and positions (rows, width)."""
    if not config.include_prompt:
        raise CannotPackError("the prompt does not take part in pooling")
    segment_ids, position_ids = _parameter("segment_ids"), _parameter("position_ids")
    pack(model, config, segment_ids=segment_ids, position_ids=position_ids)
    width = ops.gather(ops.shape_of(segment_ids), np.int64(1), np.int64(0))
    slots = ops.maximum(ops.divide(width, np.int64(TOKENS_A_SLOT)), np.int64(1))
    numbers = ops.range(np.int64(1), ops.add(slots, np.int64(1)), np.int64(1), output_type="i64")
    members = ops.equal(
        ops.unsqueeze(segment_ids, np.int64(1)),
        ops.unsqueeze(numbers, ops.constant(np.array([0, 2], np.int64))),
    )
    return [segment_ids, position_ids], ops.convert(members, np.float32), position_ids


def padded_inputs(model: ov.Model, config: ModelConfig) -> tuple[list[ov.Node], ov.Node, ov.Node]:
    """Return parameters, membership (rows, 1, width) and positions (rows, width)."""
    keep_each_token_visible(model, config.max_seq_length)
    mask = model.input("attention_mask").get_node()
    parameters, pooled = [mask], mask
    if not config.include_prompt:
        pooled = _parameter(POOLING_MASK)
        parameters.append(pooled)
    positions = ops.subtract(ops.cum_sum(mask, np.int64(1)), np.int64(1))
    return parameters, ops.convert(ops.unsqueeze(pooled, np.int64(1)), np.float32), positions


def _drop_token_types(model: ov.Model, input_ids: ov.Node) -> None:
    """Replace the input ``token_type_ids`` by zeros: a text on its own is of type 0."""
    for parameter in model.inputs:
        if "token_type_ids" in parameter.get_names():
            zeros = ops.broadcast(np.int64(0), ops.shape_of(input_ids))
            first = ops.constant(np.zeros((1, 1), np.int64))  # its row is added to every token's
            for port in parameter.get_node().output(0).get_target_inputs():
                port.replace_source_output((first if _reads_table(port) else zeros).output(0))


def _reads_table(port: ov.Input) -> bool:
    """Whether what comes in here says which rows of a table are read, and nothing else."""
    node = port.get_node()
    if node.get_type_name() == "Convert":
        return all(_reads_table(further) for further in node.output(0).get_target_inputs())
    return bool(node.get_type_name() == "Gather" and port.get_index() == 1)


def check_inputs(model: ov.Model, config: ModelConfig) -> None:
    """Refuse a model that wants inputs which no text has.

    Raises:
        ModelFormatError: an input is missing, or unknown.
    """
    names = {name for port in model.inputs for name in port.get_names()}
    for needed in ("input_ids", "attention_mask"):
        if needed not in names:
            raise ModelFormatError(
                f"{config.folder}: the model has the inputs {', '.join(sorted(names))}; it needs "
                "input_ids and attention_mask"
            )
    unknown = names - {"input_ids", "attention_mask", "token_type_ids"}
    if unknown:
        raise ModelFormatError(
            f"{config.folder}: the model wants the input {sorted(unknown)[0]!r}, which no text "
            "has; export it again for feature extraction"
        )


def _token_states(model: ov.Model, config: ModelConfig) -> ov.Node:
    """Return the output with a state a token, and check its width against the folder."""
    for output in model.outputs:
        shape = output.get_partial_shape()
        if shape.rank.is_static and shape.rank.get_length() == 3:
            hidden = shape[2]
            if hidden.is_static and hidden.get_length() != config.hidden_size:
                raise ModelFormatError(
                    f"{config.folder}: the model's states have {hidden.get_length()} dimensions, "
                    f"its pooling configuration says {config.hidden_size}"
                )
            return output.get_node()
    raise ModelFormatError(
        f"{config.folder}: the model outputs no token states (batch, tokens, hidden); "
        "export it again for feature extraction"
    )


def _exit(model: ov.Model, config: ModelConfig, layers: int) -> ov.Node:
    """Return an output with the token states after ``layers`` layers."""
    name = config.exits.get(layers)
    if name is None:
        there = ", ".join(map(str, config.exits))
        raise InputError(
            f"{config.folder} has no exit after {layers} layers; "
            + (f"it may end after {there}, or run whole" if there else "it runs whole alone")
        )
    node = next((op for op in model.get_ops() if op.get_friendly_name() == name), None)
    if node is None:
        raise ModelFormatError(
            f"{config.folder / EXITS_FILE} ends {layers} layers at {name}, which the graph has not"
        )
    return ops.result(node.output(0))


def _parameter(name: str) -> ov.Node:
    parameter = ops.parameter([-1, -1], np.int64, name=name)
    parameter.output(0).set_names({name})
    return parameter


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
