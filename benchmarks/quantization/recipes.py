"""The recipes that the quantization study compares: how to make an INT8 graph of an FP32 one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import nncf
import numpy as np
import numpy.typing as npt
import openvino as ov
from nncf.quantization.range_estimator import (
    AggregatorType,
    RangeEstimatorParameters,
    StatisticsCollectorParameters,
    StatisticsType,
)

from edge_embed_conversion.console import quiet_nncf
from edge_embed_conversion.equalize import equalize_values
from edge_embed_conversion.quantize import ModelInputs, compress_weights
from edge_embed_conversion.rounding import round_weights

__all__ = ["RECIPES", "Recipe", "pad", "quantized"]

Texts = Literal["ordinary", "film reviews"]
# What full states are cut to before they are compared: one vector a text.
Pool = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to quantize."""

    what: str
    """For the table."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of nncf.quantize."""
    advanced: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of its AdvancedQuantizationParameters."""
    texts: Texts = "ordinary"
    count: int | None = None
    """Calibration texts; None for all of the set."""
    padded: int | None = None
    """Pad every text to so many tokens, and cut at them."""
    equalize: bool = False
    compensate: bool = False
    """Round weights so that their errors cancel on the calibration texts."""
    sensitive: int = 0
    """Leave so many of the most sensitive multiplications in floating point."""
    controlled: float | None = None
    """Accuracy control: the greatest loss of mean cosine that NNCF may leave."""
    exact_attention: bool = False
    """Leave the products of attention, of queries and keys, in floating point."""
    weights_only: bool = False


def _alpha(value: float) -> dict[str, Any]:
    return {"smooth_quant_alphas": nncf.AdvancedSmoothQuantParameters(matmul=value)}


def _quantile(probability: float) -> dict[str, Any]:
    ends = {
        end: StatisticsCollectorParameters(
            statistics_type=StatisticsType.QUANTILE,
            aggregator_type=AggregatorType.MEAN,
            quantile_outlier_prob=probability,
        )
        for end in ("min", "max")
    }
    return {"activations_range_estimator_params": RangeEstimatorParameters(**ends)}


RECIPES: Mapping[str, Recipe] = {
    "default": Recipe(what="NNCF's defaults, 415 ordinary texts at their lengths"),
    "equalized": Recipe(what="default, values equalized first", equalize=True),
    "compensated": Recipe(
        what="default, values equalized first, errors of rounding made up for",
        equalize=True,
        compensate=True,
    ),
    "compensated 0.8": Recipe(
        what="the same with SmoothQuant's alpha 0.8",
        advanced=_alpha(0.8),
        equalize=True,
        compensate=True,
    ),
    "exact attention": Recipe(
        what="compensated, products of attention in FP32",
        equalize=True,
        compensate=True,
        exact_attention=True,
    ),
    "sst": Recipe(
        what="sentence-transformers' recipe: film reviews padded to 384 tokens",
        texts="film reviews",
        count=300,
        padded=384,
    ),
    "reviews": Recipe(what="default on film reviews, not padded", texts="film reviews", count=300),
    "padded": Recipe(what="default, padded to 128 tokens", padded=128),
    "100 texts": Recipe(what="default on 100 texts", count=100),
    "performance": Recipe(
        what="symmetric activations", options={"preset": nncf.QuantizationPreset.PERFORMANCE}
    ),
    "no smoothing": Recipe(what="without SmoothQuant", advanced=_alpha(-1)),
    "alpha 0.5": Recipe(what="SmoothQuant's alpha 0.5", advanced=_alpha(0.5)),
    "alpha 0.8": Recipe(what="SmoothQuant's alpha 0.8", advanced=_alpha(0.8)),
    "quantile 1e-4": Recipe(what="ranges without the outermost 0.01 %", advanced=_quantile(1e-4)),
    "quantile 1e-3": Recipe(what="ranges without the outermost 0.1 %", advanced=_quantile(1e-3)),
    "full bias": Recipe(what="full bias correction", options={"fast_bias_correction": False}),
    "overflow fix": Recipe(
        what="7-bit weights, for processors without VNNI",
        advanced={"overflow_fix": nncf.OverflowFix.ENABLE},
    ),
    "1 sensitive": Recipe(what="the most sensitive product in FP32", sensitive=1),
    "2 sensitive": Recipe(what="the 2 most sensitive products in FP32", sensitive=2),
    "controlled": Recipe(what="accuracy control, 0.001 of cosine", controlled=0.001),
    "w8": Recipe(what="INT8 weights, FP32 arithmetic", weights_only=True),
}


def quantized(graph: ov.Model, recipe: Recipe, samples: Sequence[ModelInputs]) -> ov.Model:
    """Return ``graph`` quantized by ``recipe``; the graph itself is left as it was."""
    graph = graph.clone()
    if recipe.weights_only:
        return compress_weights(graph)
    if recipe.equalize:
        equalize_values(graph)
    with quiet_nncf():
        if recipe.controlled is not None:
            return _controlled(graph, recipe, samples)
        first = _plain(
            graph, recipe, samples, ignored=_attention(graph) if recipe.exact_attention else ()
        )
        if recipe.compensate:
            round_weights(first, graph, samples)
        if not recipe.sensitive:
            return first
        layers = _most_sensitive(graph, first, samples[::10], recipe.sensitive)
        return _plain(graph, recipe, samples, ignored=layers)


def pad(sample: ModelInputs, width: int, pad_id: int) -> ModelInputs:
    """Pad or cut one text's inputs to ``width`` tokens, as padding="max_length" does."""
    fills = {"input_ids": pad_id, "attention_mask": 0, "token_type_ids": 0}
    return {
        name: np.pad(
            row[:, :width], ((0, 0), (0, max(0, width - row.shape[1]))), constant_values=fills[name]
        )
        for name, row in sample.items()
    }


def _plain(
    graph: ov.Model, recipe: Recipe, samples: Sequence[ModelInputs], *, ignored: Sequence[str]
) -> ov.Model:
    return nncf.quantize(
        graph.clone(),
        nncf.Dataset(samples),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(samples),
        ignored_scope=nncf.IgnoredScope(names=list(ignored)),
        advanced_parameters=nncf.AdvancedQuantizationParameters(**recipe.advanced),
        **recipe.options,
    )


def _attention(graph: ov.Model) -> list[str]:
    """Name the products of two activations: of queries and keys, and of weights and values."""
    fused, product = "ScaledDotProductAttention", "MatMul"
    return [
        node.get_friendly_name()
        for node in graph.get_ordered_ops()
        if node.get_type_name() == fused
        or (node.get_type_name() == product and not _is_constant(node.input_value(1)))
    ]


def _is_constant(port: ov.Output) -> bool:
    return port.get_node().get_type_name() in ("Constant", "Convert")


def _controlled(graph: ov.Model, recipe: Recipe, samples: Sequence[ModelInputs]) -> ov.Model:
    """Let NNCF put layers back to floating point until the mean cosine is good enough."""
    checked = samples[::4]
    truth = _pooled(graph, checked)

    def cosine(model: Any, data: Iterable[ModelInputs]) -> tuple[float, list[float]]:  # noqa: ANN401
        vectors = np.stack([_mean(model(sample)[0]) for sample in data])
        each = np.sum(vectors * truth, axis=1)
        return float(each.mean()), each.tolist()

    return nncf.quantize_with_accuracy_control(
        graph,
        nncf.Dataset(samples),
        nncf.Dataset(checked),
        cosine,
        max_drop=recipe.controlled,
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(samples),
        preset=nncf.QuantizationPreset.MIXED,
    )


def _most_sensitive(
    graph: ov.Model, int8: ov.Model, samples: Sequence[ModelInputs], count: int
) -> list[str]:
    """Name the products whose inputs, taken back to floating point one by one, gain most."""
    truth = _pooled(graph, samples)
    gains: dict[str, float] = {}
    for node in int8.get_ordered_ops():
        if node.get_type_name() != "MatMul":
            continue
        source = node.input_value(0)
        if source.get_node().get_type_name() != "FakeQuantize":
            continue
        node.input(0).replace_source_output(source.get_node().input_value(0))
        gains[node.get_friendly_name()] = float(np.sum(_pooled(int8, samples) * truth))
        node.input(0).replace_source_output(source)
    return sorted(gains, key=lambda name: -gains[name])[:count]


def _pooled(graph: ov.Model, samples: Sequence[ModelInputs]) -> npt.NDArray[np.float32]:
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.stack([_mean(compiled(sample)[0]) for sample in samples])


def _mean(states: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mean of the states of one text, scaled to length 1."""
    mean = states[0].mean(axis=0)
    unit: npt.NDArray[np.float32] = mean / np.linalg.norm(mean)
    return unit
