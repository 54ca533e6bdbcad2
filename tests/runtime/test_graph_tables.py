"""INT8 tables stay INT8 in memory, and what is read of them is the same to the last bit."""

from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from edge_embed import Embedder
from edge_embed.model.config import ModelConfig
from edge_embed.runtime import embedding_tables, graph

ROWS, WIDTH = 300, 8
RNG = np.random.default_rng(0)
CODES = RNG.integers(-127, 128, (ROWS, WIDTH)).astype(np.int8)
SCALES = RNG.uniform(0.01, 0.1, (ROWS, 1)).astype(np.float32)


def lookup(scales: np.ndarray = SCALES) -> ov.Model:
    ids = ops.parameter([-1, -1], np.int64, name="ids")
    table = ops.multiply(ops.convert(ops.constant(CODES), np.float32), ops.constant(scales))
    return ov.Model([ops.gather(table, ids, np.int64(0))], [ids], "lookup")


def gathered(model: ov.Model) -> list[str]:
    """Return the types of what is read by ids."""
    kinds = [n.input_value(0) for n in model.get_ops() if n.get_type_name() == "Gather"]
    return sorted(kind.get_element_type().get_type_name() for kind in kinds)


def test_a_large_table_is_scaled_where_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_tables, "_LARGE_TABLE", ROWS * WIDTH)
    model = lookup()
    embedding_tables.keep_tables_compressed(model)
    assert gathered(model) == ["f32", "i8"]  # scales and codes
    ids = RNG.integers(0, ROWS, (3, 7))
    found = ov.Core().compile_model(model, "CPU")([ids])[0]
    assert (found == CODES[ids] * SCALES[ids, 0][..., None]).all()


def test_other_tables_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    small = lookup()
    embedding_tables.keep_tables_compressed(small)
    monkeypatch.setattr(embedding_tables, "_LARGE_TABLE", 0)
    by_column = lookup(SCALES[:WIDTH].T.copy())  # scales that do not belong to rows
    embedding_tables.keep_tables_compressed(by_column)
    assert gathered(small) == gathered(by_column) == ["f32"]


def test_what_only_looks_like_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_tables, "_LARGE_TABLE", 0)
    ids = ops.parameter([-1], np.int64, name="ids")
    table = ops.multiply(ops.convert(ops.constant(CODES), np.float32), ops.constant(SCALES))
    columns = ops.gather(table, ids, np.int64(1))
    number = ops.convert(ops.constant(np.int8(2)), np.float32)
    scalar = ops.gather(ops.multiply(number, ops.constant(SCALES)), ids, np.int64(0))
    model = ov.Model([columns, scalar], [ids], "other")
    embedding_tables.keep_tables_compressed(model)
    assert gathered(model) == ["f32", "f32"]
    found = ov.Core().compile_model(model, "CPU")([np.array([3, 1])])
    assert (found[0] == (CODES * SCALES)[:, [3, 1]]).all()
    assert (found[1] == 2 * SCALES[[3, 1]]).all()


def test_the_vocabulary_of_a_quantized_model(
    tiny_albert: Path, corpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ModelConfig.from_folder(tiny_albert)

    def vocabulary() -> list[str]:
        """Return the types that the engine keeps it in."""
        model = graph.read_ir(ov.Core(), config.variants["int8"])
        compiled = ov.Core().compile_model(graph.build_graph(model, config).model, "CPU")
        nodes = compiled.get_runtime_model().get_ordered_ops()
        constant = [n for n in nodes if n.get_rt_info()["layerType"].astype(str) == "Const"]
        largest = max(constant, key=lambda n: int(np.prod(n.output(0).get_shape())))
        return [largest.get_rt_info()["outputPrecisions"].astype(str)]

    before = vocabulary(), Embedder(tiny_albert, cache=False).encode(corpus[:50])
    monkeypatch.setattr(embedding_tables, "_LARGE_TABLE", 0)
    after = vocabulary(), Embedder(tiny_albert, cache=False).encode(corpus[:50])
    assert (before[0], after[0]) == (["f32"], ["i8"])
    np.testing.assert_allclose(before[1], after[1], atol=1e-6)
