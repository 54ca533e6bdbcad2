"""Which families of encoders convert, are they what sentence-transformers says, and what of INT8?

    python -m benchmarks.quality.model_families -o FILE.json [--families NAME ...]

Builds a tiny encoder of each family with random weights (tests/support/families.py), converts it
to FP32 and INT8, embeds texts of every kind as the runtime does, and compares with
sentence-transformers in torch. FILE.json keeps the figures, FILE.md the table of docs/models.md. A
family that is refused has the sentence that a user reads. Results that FILE.json holds already are
not made again.

INT8 is calibrated on every tenth text of the set that ships. A tiny encoder with random weights is
harder to quantize than a trained one of usual size: these figures tell which families lose more
than others, not what a model of the family loses, which its own receipt says.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from edge_embed.errors import EdgeEmbedError
from edge_embed.model.config import ModelConfig
from edge_embed.runtime.config import RuntimeConfig
from edge_embed.runtime.engine import Engine
from edge_embed_conversion.calibration import TextSet, shipped_texts
from edge_embed_conversion.convert import convert
from edge_embed_conversion.parity import Truth, runtime_vectors, samples_of
from edge_embed_conversion.pipeline import Pipeline
from edge_embed_conversion.sources import resolve_source
from tests.support.families import FAMILIES, build

FEW = TextSet("every tenth", shipped_texts("calibration").texts[::10])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    options = parser.parse_args()
    results: dict[str, Any] = {}
    if options.output.is_file():
        results = json.loads(options.output.read_text(encoding="utf-8"))
    for name in options.families:
        if name not in results or not {"refused", "int8"} & results[name].keys():
            with tempfile.TemporaryDirectory() as work:
                results[name] = measured(name, Path(work))
            options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        print(name, results[name], flush=True)
    options.output.with_suffix(".md").write_text(table(results), encoding="utf-8")


def measured(name: str, work: Path) -> dict[str, Any]:
    """Convert the tiny model of a family and return what came of it."""
    source = build(name, work / "source", shipped_texts("calibration").texts)
    try:
        receipt = convert(source, work / "model", precision="int8", calibration=FEW)
    except EdgeEmbedError as error:
        return {"refused": str(error).replace(str(source), "MODEL")}
    config = ModelConfig.from_folder(work / "model")
    engine = Engine(config, RuntimeConfig(), file=config.variants["fp32"])
    samples = samples_of(config)
    truth = Truth.of(Pipeline.open(resolve_source(str(source))), config, samples)
    texts = [sample.text for sample in samples]
    found = {
        variant: truth.compare(runtime_vectors(config, file, texts)[0])
        for variant, file in config.variants.items()
    }
    int8 = receipt.variants["int8"].fidelity
    return {
        "graph": receipt.variants["fp32"].origin,
        "packed": engine.packed,
        "why_not_packed": engine.why_not_packed,
        "texts": len(samples),
        "lowest_cosine": found["fp32"].lowest,
        "tokenized_otherwise": list(found["fp32"].tokenized_otherwise),
        "int8": {
            "cosine_mean": int8.cosine_mean if int8 else None,
            "spearman": int8.spearman if int8 else None,
            "neighbour_overlap": int8.neighbour_overlap if int8 else None,
            "lowest_cosine": found["int8"].lowest,
            "worst_kind": found["int8"].worst,
        },
    }


def table(results: dict[str, Any]) -> str:
    """Return the table of docs/models.md."""
    lines = [
        "| Family | Like | Pooling | Graph | Rows | FP32: lowest | INT8: mean, lowest |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in (name for name in FAMILIES if name in results):
        family, result = FAMILIES[name], results[name]
        pooling = family.pooling if isinstance(family.pooling, str) else " + ".join(family.pooling)
        if "refused" in result:
            rest = f"refused: {result['refused']} | – | – | –"
        else:
            rows = "packed" if result["packed"] else "one text each"
            rest = f"{result['graph']} | {rows} | {result['lowest_cosine']:.6f} | {_int8(result)}"
        lines.append(f"| {name} | {family.example} | {pooling} | {rest} |")
    return "\n".join(lines) + "\n"


def _int8(result: dict[str, Any]) -> str:
    int8 = result.get("int8")
    return f"{int8['cosine_mean']:.4f}, {int8['lowest_cosine']:.3f}" if int8 else "not measured"


if __name__ == "__main__":
    main()
