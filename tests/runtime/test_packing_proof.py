"""A graph is packed only where its texts do not see each other, which running it shows."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_embed import Embedder
from edge_embed.model.file_hashes import file_hash
from edge_embed.runtime.packing_proof import recorded_packing
from edge_embed_conversion.convert import convert
from tests.support.families import build

FP32 = "openvino/openvino_model.xml"


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory, corpus: list[str]) -> Callable[[str], Path]:
    """A function that returns the converted tiny model of a family."""

    def make(name: str) -> Path:
        base = tmp_path_factory.mktemp(name)
        convert(build(name, base / "source", corpus), base / "model", precision="fp32")
        return base / "model"

    return make


def test_a_graph_that_mixes_neighbours_gives_each_text_its_row(
    family: Callable[[str], Path], corpus: list[str]
) -> None:
    folder = family("mobilebert")  # each token sees its neighbours' embeddings
    (folder / "edge_embed.json").unlink(missing_ok=True)  # as a folder made elsewhere
    model = Embedder(folder, cache=False)
    assert not model.engine.packed
    assert "would see each other" in model.engine.why_not_packed
    together = model.encode(corpus[:8])
    alone = np.stack([model.encode(text) for text in corpus[:8]])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["deberta-v2", "roformer"])
def test_relative_positions_are_packed(
    family: Callable[[str], Path], corpus: list[str], name: str
) -> None:
    folder = family(name)
    packed = Embedder(folder, cache=False)
    padded = Embedder(folder, packed=False, cache=False)
    assert packed.engine.packed, packed.engine.why_not_packed
    texts = [*corpus[:40], " ".join(corpus[:12])]
    ours, theirs = (model.encode(texts, truncation="ignore") for model in (packed, padded))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_padding_written_out_in_a_text(family: Callable[[str], Path]) -> None:
    folder = family("roberta")  # does not count padding tokens as positions
    texts = ["a b c", "one <pad> two <pad><pad> three", "<pad>", "x <pad>"]
    packed = Embedder(folder, cache=False)
    assert packed.engine.packed
    padded = Embedder(folder, packed=False, cache=False)
    np.testing.assert_allclose(packed.encode(texts), padded.encode(texts), rtol=1e-4, atol=1e-5)


def test_a_receipt_counts_for_its_own_graph_alone(tmp_path: Path) -> None:
    (tmp_path / "openvino").mkdir()
    graph = tmp_path / FP32
    graph.write_text("<net/>")
    for packed in (True, False):
        receipt = {
            "variants": {"fp32": {"file": FP32, "packed": packed}},
            "files": {FP32: {"sha256": file_hash(graph).sha256}},
        }
        (tmp_path / "edge_embed.json").write_text(json.dumps(receipt))
        assert recorded_packing(tmp_path, graph) is packed
    graph.write_text("<net changed='yes'/>")
    assert recorded_packing(tmp_path, graph) is None
