"""The inputs of a graph: token ids, and which tokens belong to which text, packed or padded."""

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from edge_embed.errors import ModelFormatError
from edge_embed.model.config import ModelConfig
from edge_embed.runtime.attention_masks import keep_each_token_visible
from edge_embed.runtime.batch import POOLING_MASK, TOKENS_A_SLOT
from edge_embed.runtime.packing import CannotPackError, pack

__all__ = ["check_inputs", "drop_token_types", "packed_inputs", "padded_inputs"]


def packed_inputs(model: ov.Model, config: ModelConfig) -> tuple[list[ov.Node], ov.Node, ov.Node]:
    """Pack ``model``, in place, and return its new parameters, membership and positions.

    Membership is float32 (rows, slots, width), 1 where a token belongs to a slot's text; positions
    are int64 (rows, width), from 0 in each text.

    Raises:
        CannotPackError: the graph is not one that can be packed; ``model`` is unchanged.
    """
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
    """Return parameters, membership (rows, 1, width) and positions (rows, width) of padded rows."""
    keep_each_token_visible(model, config.max_seq_length)
    mask = model.input("attention_mask").get_node()
    parameters, pooled = [mask], mask
    if not config.include_prompt:
        pooled = _parameter(POOLING_MASK)
        parameters.append(pooled)
    positions = ops.subtract(ops.cum_sum(mask, np.int64(1)), np.int64(1))
    return parameters, ops.convert(ops.unsqueeze(pooled, np.int64(1)), np.float32), positions


def drop_token_types(model: ov.Model, input_ids: ov.Node) -> None:
    """Replace the input ``token_type_ids`` by zeros, the type of a single text."""
    for parameter in model.inputs:
        if "token_type_ids" in parameter.get_names():
            zeros = ops.broadcast(np.int64(0), ops.shape_of(input_ids))
            first = ops.constant(np.zeros((1, 1), np.int64))  # its row is added to every token's
            for port in parameter.get_node().output(0).get_target_inputs():
                port.replace_source_output((first if _reads_table(port) else zeros).output(0))


def _reads_table(port: ov.Input) -> bool:
    """Return whether a value is only used to index a table."""
    node = port.get_node()
    if node.get_type_name() == "Convert":
        return all(_reads_table(further) for further in node.output(0).get_target_inputs())
    return bool(node.get_type_name() == "Gather" and port.get_index() == 1)


def check_inputs(model: ov.Model, config: ModelConfig) -> None:
    """Refuse a model with inputs that an encoder of texts does not have.

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


def _parameter(name: str) -> ov.Node:
    parameter = ops.parameter([-1, -1], np.int64, name=name)
    parameter.output(0).set_names({name})
    return parameter
