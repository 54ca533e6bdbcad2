"""What share of the processor's INT8 peak is reached in bulk, from strings to vectors?

    python -m benchmarks.speed.int8_peak -m MODEL -i TEXTS [--column NAME] [--json FILE]

The peak is what the engine's own best matrix multiplication reaches: chains of INT8 products of
several shapes, the fastest counts. The work of a model is the multiply-adds of its products (fully
connected layers and attention) for the tokens of the texts, without padding; one multiply-add is
two operations. Both take turns in each round.
"""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from benchmarks.report import command_line, save, spread, text_options
from edge_embed import Embedder

# Rows and width of the products that are tried, and how many follow each other.
SHAPES = [(256, 1024), (512, 768), (512, 1536), (512, 3072), (1024, 1024), (2048, 768)]
LAYERS = 8


def chain(rows: int, width: int) -> ov.Model:
    """Return INT8 products one after the other, each (rows, width) by (width, width)."""
    rng = np.random.default_rng(0)
    inputs = ops.parameter([rows, width], np.float32)
    node = inputs
    for _ in range(LAYERS):
        low, high = (ops.constant(np.float32(value)) for value in (-1.0, 127 / 128))
        node = ops.fake_quantize(node, low, high, low, high, 256)
        codes = ops.constant(rng.integers(-127, 128, (width, width)).astype(np.int8))
        scales = ops.constant(np.full((width, 1), 1e-3, np.float32))
        weights = ops.multiply(ops.convert(codes, np.float32), scales)
        node = ops.matmul(node, weights, transpose_a=False, transpose_b=True)
    return ov.Model([node], [inputs])


class Peak:
    """The chains, compiled as the engine is: one stream of all threads."""

    def __init__(self, properties: dict[str, Any]) -> None:
        core = ov.Core()
        self._chains = []
        for rows, width in SHAPES:
            compiled = core.compile_model(
                chain(rows, width),
                "CPU",
                {
                    "INFERENCE_NUM_THREADS": properties["INFERENCE_NUM_THREADS"],
                    "NUM_STREAMS": 1,
                    "INFERENCE_PRECISION_HINT": "f32",
                },
            )
            request = compiled.create_infer_request()
            request.infer([np.random.default_rng(1).normal(size=(rows, width)).astype(np.float32)])
            self._chains.append((request, 2 * LAYERS * rows * width**2, f"{rows}x{width}"))

    def measure(self, seconds: float = 0.4) -> dict[str, float]:
        """Return operations a second of each chain, at its best, in billions."""
        found = {}
        for request, operations, name in self._chains:
            best, until = np.inf, time.perf_counter() + seconds
            while time.perf_counter() < until:
                started = time.perf_counter()
                request.infer()
                best = min(best, time.perf_counter() - started)
            found[name] = operations / best / 1e9
        return found


def operations(model: Embedder, lengths: np.ndarray) -> float:
    """Return the operations of a model's products for texts of so many tokens, in billions."""
    config = json.loads((model.config.folder / "config.json").read_text(encoding="utf-8"))
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    layers = config["num_hidden_layers"]
    token = layers * (4 * hidden**2 + 2 * hidden * inner)
    if config["model_type"] == "albert":
        token += config["embedding_size"] * hidden
    attention = 2 * layers * hidden * float((lengths.astype(float) ** 2).sum())
    total: float = 2 * (token * float(lengths.sum()) + attention) / 1e9
    return total


def main() -> None:
    """Measure and save."""
    options, texts = text_options(__doc__, texts=3000, rounds=7)
    model = Embedder(options.model)
    lengths = np.minimum(model.count_tokens(texts), model.max_seq_length)
    work = operations(model, lengths)
    peak = Peak(model.engine.properties)
    model.encode(texts, truncation="ignore")
    peaks: list[dict[str, float]] = []
    reached: list[float] = []
    for _ in range(options.rounds):
        peaks.append(peak.measure())
        started = time.perf_counter()
        model.encode(texts, truncation="ignore")
        reached.append(work / (time.perf_counter() - started))
    best = [max(found.values()) for found in peaks]
    result = {
        "model": Path(options.model).name,
        "texts": len(texts),
        "tokens": int(lengths.sum()),
        "peak_gops": spread(best),
        "peak_gops_by_shape": {name: spread([p[name] for p in peaks]) for name in peaks[0]},
        "reached_gops": spread(reached),
        "share_of_peak": spread([own / most for own, most in zip(reached, best, strict=True)]),
    }
    print(json.dumps(result, indent=2))
    if options.json:
        save(options.json, result, command=command_line())


if __name__ == "__main__":
    main()
