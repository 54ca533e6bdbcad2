"""Token states: pooled by hand they give the sentence's vector."""

from pathlib import Path

import numpy as np
import pytest

from edge_embed import Embedder, ModelFormatError
from edge_embed.runtime.config import RuntimeConfig
from edge_embed.runtime.planner import BatchPlanner
from edge_embed.runtime.token_engine import TokenEngine

TEXTS = ["one", "a rather longer text than that", "word " * 300, ""]


@pytest.mark.parametrize("model", ["tiny_model", "tiny_albert"])
def test_states_pool_to_the_vector(request: pytest.FixtureRequest, model: str) -> None:
    embedder = Embedder(request.getfixturevalue(model), variant="fp32", cache=False)
    config = embedder.config
    engine = TokenEngine(config, RuntimeConfig(), file=config.variant_file("fp32")[1])
    ids = embedder.tokenizer(TEXTS).ids
    planner = BatchPlanner(
        max_length=config.max_seq_length, pad_id=config.pad_token_id, packed=False
    )
    batches = planner.plan(ids)
    states = np.empty(len(ids), np.object_)
    engine.run(batches, states)
    assert [len(state) for state in states] == [len(text) for text in ids]
    pooled = np.stack([state.mean(axis=0) for state in states])
    if config.normalize:
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
    truth = embedder.encode(TEXTS, truncation="ignore")
    np.testing.assert_allclose(pooled, truth, atol=1e-5)


def test_a_missing_file_is_named(tiny_model: Path, tmp_path: Path) -> None:
    config = Embedder(tiny_model, cache=False).config
    with pytest.raises(ModelFormatError, match=r"openvino_model\.xml is missing"):
        TokenEngine(config, RuntimeConfig(), file=tmp_path / "openvino_model.xml")
