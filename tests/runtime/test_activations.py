"""Where INT8 is computed otherwise, only weights are INT8, and vectors are the source's."""

import platform
from pathlib import Path

import numpy as np
import pytest

from edge_embed import Embedder

TEXTS = ["I forgot my password", "When do you open?", "a red car", "the payment went through"]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_an_int8_model_on_another_processor(
    machine: str, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = Embedder(tiny_model, variant="fp32", cache=False).encode(TEXTS, normalize=True)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    model = Embedder(tiny_model, variant="int8", cache=False)
    error = np.abs(model.encode(TEXTS, normalize=True) - exact).max()
    # What rounding the weights does to this model is less than what rounding activations does.
    assert (error < 0.01) == (machine == "aarch64")
    assert error > 0
