"""Trace an encoder that optimum-intel has no export for, and prove the graph against torch.

The module is called as any caller would, with token ids and a mask of which some hide padding;
OpenVINO records what is computed (``openvino.convert_model``). A trace may keep what was true of
its example alone, such as a length, so the graph is held against torch at several lengths, with and
without padding, before it is taken.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from edge_embed.errors import ModelFormatError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["trace_checkpoint"]

Ids = npt.NDArray[np.int64]

# The largest difference between a state in torch and in the graph, relative to the largest state.
_SAME = 1e-3
_LENGTHS = (1, 3, 20)
_LONGEST = 512


def trace_checkpoint(model: "PreTrainedModel") -> ov.Model:
    """Return the graph of a torch encoder, from ``input_ids`` and ``attention_mask`` to states.

    Raises:
        ModelFormatError: it cannot be traced, or the graph computes something else.
    """
    kind = str(getattr(model.config, "model_type", type(model).__name__))
    try:
        graph = _traced(model)
    except Exception as error:
        first = str(error).strip().splitlines()
        raise ModelFormatError(
            f"cannot export a {kind} model: tracing it failed ({first[0] if first else error!r})"
        ) from error
    _prove(graph, model, kind)
    return graph


def _traced(model: "PreTrainedModel") -> ov.Model:
    import torch

    class States(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = model

        def forward(
            self, input_ids: "torch.Tensor", attention_mask: "torch.Tensor"
        ) -> "torch.Tensor":
            result = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
            states: torch.Tensor = result[0]
            return states

    ids, mask = next(_examples(model, (12,)))
    example = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    if hasattr(model.config, "use_cache"):
        model.config.use_cache = False
    with torch.inference_mode(), _traceable_masks():
        graph = ov.convert_model(
            States(),
            example_input=example,
            input=[("input_ids", [-1, -1], ov.Type.i64), ("attention_mask", [-1, -1], ov.Type.i64)],
        )
    for port, name in zip(graph.inputs, example, strict=True):
        port.get_tensor().set_names({name})
        port.get_node().set_friendly_name(name)
    graph.outputs[0].get_tensor().set_names({"last_hidden_state"})
    graph.validate_nodes_and_infer_types()
    return graph


@contextmanager
def _traceable_masks() -> Iterator[None]:
    """Let transformers make its attention masks of tensor operations alone.

    Its own functions ask what the lengths are, which are tensors while a trace is recorded, and
    leave a mask out that hides nothing in the example.
    """
    import torch
    from transformers import masking_utils

    registry = masking_utils.ALL_MASK_ATTENTION_FUNCTIONS

    def seen(
        batch_size: Any,  # noqa: ANN401
        q_length: Any = None,  # noqa: ANN401
        kv_length: Any = None,  # noqa: ANN401
        q_offset: Any = 0,  # noqa: ANN401
        kv_offset: Any = 0,  # noqa: ANN401
        mask_function: Callable[..., Any] = masking_utils.causal_mask_function,
        attention_mask: "torch.Tensor | None" = None,
        **others: Any,  # noqa: ANN401
    ) -> "torch.Tensor":
        positions = others.get("cache_position", q_length)
        if isinstance(positions, torch.Tensor) and positions.dim() == 1:
            queries = positions
        else:
            queries = torch.arange(positions) + q_offset
        keys = torch.arange(kv_length) + kv_offset
        if attention_mask is not None:
            hides_padding = masking_utils.padding_mask_function(attention_mask.bool())
            mask_function = masking_utils.and_masks(mask_function, hides_padding)
        mask: torch.Tensor = mask_function(
            torch.arange(batch_size)[:, None, None, None],
            torch.zeros(1, dtype=torch.int64)[None, :, None, None],
            queries[None, None, :, None],
            keys[None, None, None, :],
        )
        # A padding token far from its text sees nothing through a sliding window, and the softmax
        # of nothing is no number: let each see itself.
        mask = mask | (queries[:, None] == keys[None, :])
        return mask.expand(batch_size, -1, queries.shape[0], keys.shape[0])

    def added(*arguments: Any, **options: Any) -> "torch.Tensor":  # noqa: ANN401
        dtype = options.get("dtype", torch.float32)
        lowest = torch.tensor(torch.finfo(dtype).min, dtype=dtype)
        return torch.where(seen(*arguments, **options), torch.tensor(0, dtype=dtype), lowest)

    before = {name: registry[name] for name in ("sdpa", "eager")}
    try:
        registry["sdpa"], registry["eager"] = seen, added
        yield
    finally:
        for name, function in before.items():
            registry[name] = function


def _prove(graph: ov.Model, model: "PreTrainedModel", kind: str) -> None:
    import torch

    limit = getattr(model.config, "max_position_embeddings", None)
    longest = min(limit - 4, _LONGEST) if isinstance(limit, int) and limit > 4 else _LONGEST
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for ids, mask in _examples(model, (*_LENGTHS, longest)):
        try:
            ours = compiled({"input_ids": ids, "attention_mask": mask})[0]
        except RuntimeError as error:
            raise ModelFormatError(
                f"cannot export a {kind} model: its graph works for the traced length alone"
            ) from error
        with torch.inference_mode():
            tensors = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
            theirs = model(**tensors)[0].numpy()
        seen = mask > 0
        difference = np.abs(ours - theirs)[seen].max() / np.abs(theirs[seen]).max()
        if not difference <= _SAME:
            raise ModelFormatError(
                f"cannot export a {kind} model: traced, its states differ from torch's by "
                f"{difference:.1%} at {ids.shape[1]} tokens"
                + (" with padding" if not mask.all() else "")
            )


def _examples(model: "PreTrainedModel", lengths: tuple[int, ...]) -> Iterator[tuple[Ids, Ids]]:
    """Yield token ids and masks (2, length): the second text is padded, then none."""
    size = int(model.config.vocab_size)
    generator = np.random.default_rng(0)
    for length in lengths:
        ids = generator.integers(min(10, size - 1), size, (2, length))
        mask = np.ones_like(ids)
        mask[1, max(1, length // 2) :] = 0
        padding = getattr(model.config, "pad_token_id", None) or 0
        yield np.where(mask > 0, ids, padding), mask
        yield ids, np.ones_like(ids)
