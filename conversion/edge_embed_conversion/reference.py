"""Reference embedding that the runtime is compared with: token states, then pooling in numpy.

It shares no code with the runtime's graph, so that each checks the other. A batch holds texts of
equal token count, so there is no padding and no mask.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import openvino as ov

from edge_embed.model.config import ModelConfig, PoolingMode
from edge_embed.model.modules import HeadStep
from edge_embed.runtime.tokenizer import Tokenizer
from edge_embed.vectors import unit_length
from edge_embed_conversion.export import read_graph, read_onnx
from edge_embed_conversion.sources import Source
from edge_embed_conversion.weights import WeightsKind

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["TokenStates", "apply_head", "embed", "graph_states", "source_states", "torch_states"]

Vectors = npt.NDArray[np.float32]
TokenStates = Callable[[npt.NDArray[np.int64]], Vectors]
"""From token ids (batch, tokens) int64 to states (batch, tokens, hidden) float32."""

MAX_BATCH = 32


def torch_states(model: "PreTrainedModel") -> TokenStates:
    """Compute token states with a transformers encoder on torch, in float32."""
    import torch

    def states(ids: npt.NDArray[np.int64]) -> Vectors:
        tensor = torch.from_numpy(ids)
        with torch.inference_mode():
            output = model(input_ids=tensor, attention_mask=torch.ones_like(tensor))
        array: Vectors = output.last_hidden_state.numpy()
        return array

    return states


def graph_states(model: ov.Model) -> TokenStates:
    """Compute token states with OpenVINO on the CPU, in float32 besides the INT8 operations."""
    compiled = ov.Core().compile_model(
        model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    )
    names = [port.get_any_name() for port in compiled.inputs]

    def states(ids: npt.NDArray[np.int64]) -> Vectors:
        every = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        array: Vectors = compiled({name: every[name] for name in names})[0].copy()
        return array

    return states


def source_states(source: Source) -> TokenStates:
    """Compute token states with the source's own FP32 weights, its checkpoint's if it has one."""
    checkpoint = source.checkpoint
    if source.weights.kind is WeightsKind.CHECKPOINT:
        checkpoint = source.weights.file
    if checkpoint is not None:
        from edge_embed_conversion.checkpoint import load_checkpoint

        place = (source.folder / checkpoint).parent
        return torch_states(load_checkpoint(place, trust_remote_code=source.trust_remote_code))
    if source.weights.kind is WeightsKind.OPENVINO:
        return graph_states(read_graph(source.weights_path))
    return graph_states(read_onnx(source.weights_path))


def embed(states: TokenStates, config: ModelConfig, texts: Sequence[str]) -> Vectors:
    """Embed ``texts``: float32 (texts, dim), normalised only if the model has a Normalize module.

    Args:
        states: Computes the token states.
        config: The tokenizer, pooling, head and dimensions.
        texts: The texts, without a prompt.
    """
    token_ids = Tokenizer(config)(texts).ids
    rows_by_length: dict[int, list[int]] = defaultdict(list)
    for row, ids in enumerate(token_ids):
        rows_by_length[len(ids)].append(row)
    width = config.hidden_size * len(config.pooling)
    vectors = np.empty((len(texts), width), np.float32)
    for rows in rows_by_length.values():
        for start in range(0, len(rows), MAX_BATCH):
            chunk = rows[start : start + MAX_BATCH]
            hidden = states(np.stack([token_ids[row] for row in chunk]))
            pooled = [_pool(hidden, mode) for mode in config.pooling]
            vectors[chunk] = np.concatenate(pooled, axis=1)
    return apply_head(vectors, config.head)[:, : config.dim]


def apply_head(vectors: Vectors, head: Sequence[HeadStep]) -> Vectors:
    """Apply the steps after pooling to vectors, float32 (texts, width)."""
    for step in head:
        vectors = unit_length(vectors) if step == "normalize" else step.apply(vectors)
    return vectors


def _pool(hidden: Vectors, mode: PoolingMode) -> Vectors:
    """Pool (batch, tokens, hidden) to (batch, hidden), as sentence-transformers defines it."""
    return _MODES[mode](hidden)


def _mean_sqrt(hidden: Vectors) -> Vectors:
    pooled: Vectors = hidden.sum(axis=1) / np.float32(np.sqrt(hidden.shape[1]))
    return pooled


def _weighted_mean(hidden: Vectors) -> Vectors:
    """Pool with each token's position, counted from 1, as its weight."""
    weights = np.arange(1, hidden.shape[1] + 1, dtype=np.float32)
    pooled: Vectors = np.einsum("bth,t->bh", hidden, weights / weights.sum())
    return pooled


_MODES: Mapping[PoolingMode, Callable[[Vectors], Vectors]] = {
    "cls": lambda hidden: hidden[:, 0],
    "max": lambda hidden: hidden.max(axis=1),
    "mean": lambda hidden: hidden.mean(axis=1),
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weighted_mean,
    "lasttoken": lambda hidden: hidden[:, -1],
}
