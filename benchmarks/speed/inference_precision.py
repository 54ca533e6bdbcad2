"""What does f32 arithmetic outside the INT8 part cost, and what does bf16 or f16 change?

    python -m benchmarks.speed.inference_precision -m MODEL -i TEXTS [--column NAME] [--json FILE]

Rounds of all precisions are interleaved, so that a busy machine slows them alike.
"""

import json
import time
from pathlib import Path

import numpy as np

from benchmarks.report import save, spread, text_options
from edge_embed import Embedder
from edge_embed.runtime.config import InferencePrecision

PRECISIONS: tuple[InferencePrecision, ...] = ("f32", "bf16", "f16")


def main() -> None:
    options, texts = text_options(__doc__, texts=2000, rounds=7)
    result: dict[str, object] = {"model": Path(options.model).name, "texts": len(texts)}
    for variant in Embedder(options.model, cache=False).config.variants:
        result[variant] = _compare(options.model, variant, texts, options.rounds)
    print(json.dumps(result, indent=2))
    if options.json:
        command = f"python -m benchmarks.speed.inference_precision -m {result['model']}"
        save(options.json, result, command=command)


def _compare(model: str, variant: str, texts: list[str], repeats: int) -> dict[str, object]:
    models = {
        name: Embedder(model, variant=variant, inference_precision=name, cache=False)
        for name in PRECISIONS
    }
    vectors = {n: m.encode(texts, normalize=True, truncation="ignore") for n, m in models.items()}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(repeats):
        for name, embedder in models.items():
            start = time.perf_counter()
            embedder.encode(texts, truncation="ignore")
            seconds[name].append(time.perf_counter() - start)
    comparison: dict[str, object] = {}
    for name in models:
        cosine = (vectors[name] * vectors["f32"]).sum(axis=1)
        ratios = [f32 / own for f32, own in zip(seconds["f32"], seconds[name], strict=True)]
        comparison[name] = {
            "texts_per_second": spread([len(texts) / value for value in seconds[name]]),
            "speed_against_f32": spread(ratios),
            "cosine_to_f32": {
                "mean": round(float(np.mean(cosine)), 7),
                "min": round(float(np.min(cosine)), 7),
            },
        }
    return comparison


if __name__ == "__main__":
    main()
