"""The activations that a Dense module may name: torch's element-wise ones, with their defaults.

These are in numpy, by the name of the torch class. Those of the graph are in
:mod:`edge_embed.runtime.head`; tests compare both with torch.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from edge_embed.errors import ModelFormatError

__all__ = ["ACTIVATIONS", "activation_name"]

Floats = npt.NDArray[np.float64]

# torch.nn.SELU's, https://arxiv.org/abs/1706.02515.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805

_erf = np.frompyfunc(math.erf, 1, 1)


def _gelu(x: Floats) -> Floats:
    return 0.5 * x * (1 + np.asarray(_erf(x / math.sqrt(2)), np.float64))


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(x / 2))


def _softplus(x: Floats) -> Floats:
    return np.logaddexp(0, x)


def _elu(x: Floats) -> Floats:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _selu(x: Floats) -> Floats:
    return _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0)))


ACTIVATIONS: Mapping[str, Callable[[Floats], Floats]] = {
    "CELU": _elu,
    "ELU": _elu,
    "GELU": _gelu,
    "Hardshrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "Hardsigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "Hardswish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "Hardtanh": lambda x: np.clip(x, -1, 1),
    "Identity": lambda x: x,
    "LeakyReLU": lambda x: np.where(x > 0, x, 0.01 * x),
    "LogSigmoid": lambda x: -_softplus(-x),
    "Mish": lambda x: x * np.tanh(_softplus(x)),
    "ReLU": lambda x: np.maximum(x, 0),
    "ReLU6": lambda x: np.clip(x, 0, 6),
    "SELU": _selu,
    "SiLU": lambda x: x * _sigmoid(x),
    "Sigmoid": _sigmoid,
    "Softplus": _softplus,
    "Softshrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Tanh": lambda x: np.tanh(x),
    "Tanhshrink": lambda x: x - np.tanh(x),
}
"""Name of torch's class to the function, from float64 to float64 of the same shape."""


def activation_name(path: str, file: str) -> str:
    """Return the key of :data:`ACTIVATIONS` for a class: ``torch.nn.modules.activation.Tanh``.

    A class of another library with the same name is refused.

    Args:
        path: The dotted path of the class.
        file: The file that names it, for the error.

    Raises:
        ModelFormatError: it is none of them.
    """
    name = path.rsplit(".", 1)[-1]
    if not path.startswith("torch.nn.") or name not in ACTIVATIONS:
        raise ModelFormatError(
            f"{file} names the activation {path!r:.80}; supported are torch's "
            f"{', '.join(ACTIVATIONS)}"
        )
    return name
