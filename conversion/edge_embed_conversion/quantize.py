"""Make a graph small and fast: INT8 with NNCF.

Two recipes. ``int8`` quantizes weights and activations, so that the processor's INT8 instructions
do the arithmetic; it needs sample inputs. ``w8`` stores the weights in INT8 and computes in
floating point: as small, slower, and closer to the source.
"""

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import openvino as ov

from edge_embed_conversion.console import quiet_nncf
from edge_embed_conversion.equalize import equalize_values
from edge_embed_conversion.rounding import round_weights

__all__ = ["Int8Recipe", "compress_weights", "quantize"]

ModelInputs = dict[str, npt.NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class Int8Recipe:
    """The choices of INT8 post-training quantization, as the receipt records them."""

    preset: Literal["mixed", "performance"] = "mixed"
    """``mixed``: asymmetric activations; ``performance``: symmetric ones."""
    smooth_quant_alpha: float = 0.95
    """How much of the activations' range SmoothQuant moves into the weights; -1 turns it off."""
    fast_bias_correction: bool = True
    """False corrects biases layer by layer: slower, sometimes closer."""
    equalize: bool = True
    """Equalize the value channels of attention first (:mod:`edge_embed_conversion.equalize`)."""
    compensate_rounding: bool = True
    """Round weights so that their errors cancel (:mod:`edge_embed_conversion.rounding`)."""
    ignored_layers: tuple[str, ...] = ()
    """Names of graph nodes that stay in floating point."""


def quantize(
    model: ov.Model,
    samples: Sequence[ModelInputs],
    *,
    recipe: Int8Recipe | None = None,
    progress: bool = True,
) -> ov.Model:
    """Quantize weights and activations of an encoder to INT8.

    Args:
        model: the FP32 graph.
        samples: model inputs at their real lengths; every one is used.
        recipe: the choices; None for the defaults.
        progress: show a bar on stderr where that is a terminal.

    Returns:
        The INT8 graph; ``model`` itself is left as it was.
    """
    import nncf

    recipe = recipe or Int8Recipe()
    if recipe.equalize:
        model = model.clone()
        equalize_values(model)
    alphas = nncf.AdvancedSmoothQuantParameters(matmul=recipe.smooth_quant_alpha)
    passes = _Passes(samples, progress=progress)
    with quiet_nncf():
        int8 = nncf.quantize(
            model,
            nncf.Dataset(passes),
            model_type=nncf.ModelType.TRANSFORMER,
            preset=nncf.QuantizationPreset(recipe.preset),
            subset_size=len(samples),
            fast_bias_correction=recipe.fast_bias_correction,
            ignored_scope=nncf.IgnoredScope(names=list(recipe.ignored_layers)),
            advanced_parameters=nncf.AdvancedQuantizationParameters(smooth_quant_alphas=alphas),
        )
    if recipe.compensate_rounding:
        round_weights(int8, model, passes)
    return int8


def compress_weights(model: ov.Model) -> ov.Model:
    """Store the weights in INT8, one scale a channel; arithmetic stays in float.

    Args:
        model: the FP32 graph.

    Returns:
        The compressed graph; ``model`` itself is left as it was.
    """
    import nncf

    with quiet_nncf():
        return nncf.compress_weights(model.clone(), mode=nncf.CompressWeightsMode.INT8_SYM)


class _Passes(Iterable[ModelInputs], Sized):
    """The samples, with a progress bar for each pass that NNCF makes over them."""

    def __init__(self, samples: Sequence[ModelInputs], *, progress: bool) -> None:
        self._samples = samples
        self._progress = progress
        self._pass = 0

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[ModelInputs]:
        from tqdm import tqdm

        self._pass += 1
        bar: Any = tqdm(
            self._samples,
            desc=f"calibrate, pass {self._pass}",
            unit="text",
            leave=False,
            disable=None if self._progress else True,
        )
        yield from bar
