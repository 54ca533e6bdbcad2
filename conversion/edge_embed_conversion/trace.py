"""Trace an encoder that optimum-intel cannot export, and compare the graph with torch.

``openvino.convert_model`` calls the torch module with example token ids and an attention mask that
hides some padding, and records the operations. A trace may bake in what holds for its example only,
such as a length, so the graph's outputs are compared with torch's at several lengths, with and
without padding, before the graph is used.
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

# The largest accepted difference between token states of torch and of the graph, relative to the
# largest state.
_TOLERANCE = 1e-3
_LENGTHS = (1, 3, 20)
_LONGEST = 512


def trace_checkpoint(model: "PreTrainedModel") -> ov.Model:
    """Return the graph of a torch encoder.

    Its inputs are ``input_ids`` and ``attention_mask``, int64 (batch, tokens); its output is
    ``last_hidden_state``, float32 (batch, tokens, hidden).

    Raises:
        ModelFormatError: it cannot be traced, or the graph's outputs differ from torch's.
    """
    kind = str(getattr(model.config, "model_type", type(model).__name__))
    try:
        graph = _traced(model)
    except Exception as error:
        first = str(error).strip().splitlines()
        raise ModelFormatError(
            f"cannot export a {kind} model: tracing it failed ({first[0] if first else error!r})"
        ) from error
    _compare_with_torch(graph, model, kind)
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
    """Make transformers build its attention masks from tensor operations only.

    Its own functions branch on the lengths, and skip a mask that hides nothing; a trace would keep
    the branch that the example took.
    """
    import torch
    from transformers import masking_utils

    registry = masking_utils.ALL_MASK_ATTENTION_FUNCTIONS

    def visible(
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
        # With a sliding window, a padding token far from the text may attend to no token at all,
        # and its softmax would be NaN: let each token attend to itself.
        mask = mask | (queries[:, None] == keys[None, :])
        return mask.expand(batch_size, -1, queries.shape[0], keys.shape[0])

    def additive(*arguments: Any, **options: Any) -> "torch.Tensor":  # noqa: ANN401
        dtype = options.get("dtype", torch.float32)
        lowest = torch.tensor(torch.finfo(dtype).min, dtype=dtype)
        return torch.where(visible(*arguments, **options), torch.tensor(0, dtype=dtype), lowest)

    # Registered, not assigned: an assignment would go on hiding what others register, as
    # optimum-intel does when it exports the next model.
    before = {name: registry[name] for name in ("sdpa", "eager")}
    try:
        registry.register("sdpa", visible)
        registry.register("eager", additive)
        yield
    finally:
        for name, function in before.items():
            registry.register(name, function)


def _compare_with_torch(graph: ov.Model, model: "PreTrainedModel", kind: str) -> None:
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
        real = mask > 0
        difference = np.abs(ours - theirs)[real].max() / np.abs(theirs[real]).max()
        if not difference <= _TOLERANCE:
            raise ModelFormatError(
                f"cannot export a {kind} model: traced, its states differ from torch's by "
                f"{difference:.1%} at {ids.shape[1]} tokens"
                + (" with padding" if not mask.all() else "")
            )


def _examples(model: "PreTrainedModel", lengths: tuple[int, ...]) -> Iterator[tuple[Ids, Ids]]:
    """Yield token ids and masks, int64 (2, length): with one text padded, then with none."""
    size = int(model.config.vocab_size)
    generator = np.random.default_rng(0)
    for length in lengths:
        ids = generator.integers(min(10, size - 1), size, (2, length))
        mask = np.ones_like(ids)
        mask[1, max(1, length // 2) :] = 0
        padding = getattr(model.config, "pad_token_id", None) or 0
        yield np.where(mask > 0, ids, padding), mask
        yield ids, np.ones_like(ids)
