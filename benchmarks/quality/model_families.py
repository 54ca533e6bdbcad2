"""Which families of encoders convert, and are they what sentence-transformers says?

    python -m benchmarks.quality.model_families -o FILE.json [--families NAME ...]

Builds a tiny encoder of each family with random weights (tests/support/families.py), converts it
to FP32, embeds texts of every kind as the runtime does, and compares with sentence-transformers
in torch. FILE.json keeps the figures, FILE.md the table of docs/models.md. A family that is refused
has the sentence that a user reads. Results that FILE.json holds already are not made again.
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
from edge_embed_conversion.calibration import shipped_texts
from edge_embed_conversion.convert import convert
from edge_embed_conversion.parity import same_as_source
from tests.support.families import FAMILIES, build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    options = parser.parse_args()
    results: dict[str, Any] = {}
    if options.output.is_file():
        results = json.loads(options.output.read_text(encoding="utf-8"))
    for name in options.families:
        if name not in results:
            with tempfile.TemporaryDirectory() as work:
                results[name] = measured(name, Path(work))
            options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        print(name, results[name], flush=True)
    options.output.with_suffix(".md").write_text(table(results), encoding="utf-8")


def measured(name: str, work: Path) -> dict[str, Any]:
    """Convert the tiny model of a family and return what came of it."""
    source = build(name, work / "source", shipped_texts("calibration").texts)
    try:
        receipt = convert(source, work / "model", precision="fp32")
    except EdgeEmbedError as error:
        return {"refused": str(error).replace(str(source), "MODEL")}
    config = ModelConfig.from_folder(work / "model")
    file = config.variants["fp32"]
    engine = Engine(config, RuntimeConfig(), file=file)
    found = same_as_source(config, file, source)
    return {
        "graph": receipt.variants["fp32"].origin,
        "packed": engine.packed,
        "why_not_packed": engine.why_not_packed,
        "texts": found.texts if found else 0,
        "lowest_cosine": found.lowest if found else None,
        "tokenized_otherwise": list(found.tokenized_otherwise) if found else [],
    }


def table(results: dict[str, Any]) -> str:
    """Return the table of docs/models.md."""
    lines = [
        "| Family | Like | Pooling | Graph | Rows | Lowest cosine to sentence-transformers |",
        "|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        family = FAMILIES[name]
        pooling = family.pooling if isinstance(family.pooling, str) else " + ".join(family.pooling)
        if "refused" in result:
            rest = f"refused: {result['refused']} | – | –"
        else:
            rows = "packed" if result["packed"] else "one text each"
            rest = f"{result['graph']} | {rows} | {result['lowest_cosine']:.6f}"
        lines.append(f"| {name} | {family.example} | {pooling} | {rest} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
