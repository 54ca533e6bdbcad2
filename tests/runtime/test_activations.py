"""Where INT8 is not exact, only weights are INT8, and vectors are the source's."""

from pathlib import Path

import numpy as np
import pytest

from edge_embed import Embedder
from edge_embed.runtime import graph

TEXTS = ["I forgot my password", "When do you open?", "a red car", "the payment went through"]


@pytest.mark.parametrize("exact", [True, False])
def test_an_int8_model_on_another_processor(
    exact: bool, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Embedder(tiny_model, variant="fp32", cache=False).encode(TEXTS, normalize=True)
    monkeypatch.setattr(graph, "int8_is_exact", lambda: exact)
    model = Embedder(tiny_model, variant="int8", cache=False)
    error = np.abs(model.encode(TEXTS, normalize=True) - source).max()
    # What rounding the weights does to this model is less than what rounding activations does.
    assert (error < 0.01) == (not exact)
    assert error > 0
