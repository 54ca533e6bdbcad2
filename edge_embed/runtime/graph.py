"""The model graph: read the IR and add packing, pooling and normalisation.

The graph is changed in memory only, so that other runtimes can use the files. A row holds one text
(``attention_mask`` gives its length) or, if the graph allows it, several
(:mod:`edge_embed.runtime.packing`). In both cases a matrix of ones and zeros tells which tokens
belong to which text, and pooling uses that matrix.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from edge_embed.errors import ModelFormatError
from edge_embed.hardware.machine import int8_is_exact
from edge_embed.model.config import ModelConfig
from edge_embed.model.consistency import EmbeddingTables
from edge_embed.runtime.activations import float_activations
from edge_embed.runtime.attention_masks import keep_each_token_visible
from edge_embed.runtime.embedding_tables import embedding_tables, keep_tables_compressed
from edge_embed.runtime.graph_inputs import (
    check_inputs,
    drop_token_types,
    packed_inputs,
    padded_inputs,
)
from edge_embed.runtime.head import apply_head
from edge_embed.runtime.packing import CannotPackError
from edge_embed.runtime.pooling import pool
from edge_embed.runtime.shorter_pass import shorten

__all__ = [
    "Graph",
    "GraphBuilder",
    "build_graph",
    "build_token_graph",
    "read_ir",
]


@dataclass(frozen=True)
class Graph:
    """A graph that outputs ``sentence_embedding``, float32 (rows, slots, dim).

    A slot is the place for the result of one text of a row; padded rows have one.
    """

    model: ov.Model
    packed: bool
    """Whether a row holds several texts. Inputs are then ``input_ids``, ``segment_ids`` and
    ``position_ids``; otherwise ``input_ids`` and ``attention_mask``, and ``pooling_mask`` for
    models whose prompt is left out of pooling."""
    why_not_packed: str = ""
    tables: EmbeddingTables = field(default_factory=EmbeddingTables)


class GraphBuilder(Protocol):
    """Makes the graph that is run from a transformer's graph."""

    def __call__(
        self,
        model: ov.Model,
        config: ModelConfig,
        *,
        packed: bool = True,
        layers: int | None = None,
    ) -> Graph:
        """Change ``model`` and return the result; see :func:`build_graph`."""


def read_ir(core: ov.Core, file: Path) -> ov.Model:
    """Read an OpenVINO IR; where INT8 products are not exact, activations are computed in float.

    Raises:
        ModelFormatError: the .xml or its .bin is missing or damaged.
    """
    weights = file.with_suffix(".bin")
    for part in (file, weights):
        if not part.is_file():
            raise ModelFormatError(f"{part.parent} is not a complete model: {part.name} is missing")
    try:
        model = core.read_model(file, weights)
    except RuntimeError as error:
        raise ModelFormatError(
            f"{file} or its .bin is damaged: copy the model again ('edge-embed verify' names the "
            f"file); the engine says: {_last_line(error)}"
        ) from error
    if not int8_is_exact():
        float_activations(model)
    return model


def build_graph(
    model: ov.Model, config: ModelConfig, *, packed: bool = True, layers: int | None = None
) -> Graph:
    """Turn a transformer into a model that outputs embeddings.

    Args:
        model: A transformer whose output is token states, float (rows, width, hidden). It is
            changed and must not be used afterwards.
        config: The folder's configuration: pooling, the steps after it, and exits.
        packed: Pack texts into rows, if the graph allows it.
        layers: The number of layers of an early exit; None runs all layers.

    Raises:
        InputError: the folder has no such exit.
        ModelFormatError: the graph does not fit the folder's configuration.
    """
    check_inputs(model, config)
    tables = embedding_tables(model)
    # The Result node, since packing may replace the node that it reads.
    end = _end(model, config, layers)
    input_ids = model.input("input_ids").get_node()
    drop_token_types(model, input_ids)
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
        # States of padding may be NaN, which a multiplication by zero does not remove.
        of_text = ops.unsqueeze(ops.greater(parameters[0], np.int64(0)), np.int64(2))
        states = ops.select(of_text, states, np.float32(0))
    pooled = [pool(mode, states, members, positions) for mode in config.pooling]
    embedding = pooled[0] if len(pooled) == 1 else ops.concat(pooled, axis=2)
    embedding = apply_head(embedding, config.head, config.truncate_dim)
    result = ops.result(embedding)
    result.output(0).set_names({"sentence_embedding"})
    model = ov.Model([result], [input_ids, *parameters], "sentence_embedding")
    keep_tables_compressed(model)
    return Graph(model, not why_not, why_not, tables)


def build_token_graph(
    model: ov.Model, config: ModelConfig, *, layers: int | None = None
) -> ov.Model:
    """Turn a transformer into a model that outputs each token's state, before any pooling.

    Inputs are ``input_ids`` and ``attention_mask``, int64 (rows, width), one text a row; the output
    is float32 (rows, width, hidden). The arguments are those of :func:`build_graph`.

    Raises:
        InputError: the folder has no such exit.
        ModelFormatError: the graph does not fit the folder's configuration.
    """
    check_inputs(model, config)
    end = _end(model, config, layers)
    states = end.input_value(0)
    keep_each_token_visible(model, config.max_seq_length)
    input_ids, mask = (model.input(n).get_node() for n in ("input_ids", "attention_mask"))
    drop_token_types(model, input_ids)
    result = ops.result(ops.convert(states, np.float32))
    model = ov.Model([result], [input_ids, mask], "token_states")
    keep_tables_compressed(model)
    return model


def _token_states(model: ov.Model, config: ModelConfig) -> ov.Node:
    """Return the output of token states, and check its width against the configuration."""
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


def _end(model: ov.Model, config: ModelConfig, layers: int | None) -> ov.Node:
    """Return the output of token states, after ``layers`` layers or after all."""
    shorter = None if layers is None else shorten(model, config, layers)
    return shorter or _token_states(model, config)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
