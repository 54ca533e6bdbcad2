"""What does INT8 keep of models of different families, as their receipts say?

    python -m benchmarks.quantization.receipts -m DIR ... -o FILE.json

Reads edge_embed.json of converted folders: the conversion measured every variant against the FP32
source, on the texts and pairs that ship. Nothing is run. FILE.json keeps the figures, FILE.md the
table of docs/models.md.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.report import command_line, save
from edge_embed.errors import ModelFormatError
from edge_embed.model.config import ModelConfig
from edge_embed.model.receipt import read_receipt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-m", "--model", type=Path, action="append", required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    results = [figures(folder) for folder in options.model]
    save(options.output, {"models": results}, command=command_line())
    options.output.with_suffix(".md").write_text(table(results), encoding="utf-8")
    print(table(results), end="")


def figures(folder: Path) -> dict[str, Any]:
    """Return what a folder's receipt says of its INT8 variant."""
    receipt = read_receipt(folder)
    fidelity = receipt.variants["int8"].fidelity if receipt and "int8" in receipt.variants else None
    if receipt is None or fidelity is None:
        raise ModelFormatError(f"{folder} has no receipt with figures of INT8: convert it again")
    config = ModelConfig.from_folder(folder)
    return {
        "source": receipt.source.name,
        "family": config.model_type,
        "weights_sha256": receipt.source.weights_sha256,
        "recipe": dict(receipt.variants["int8"].recipe),
        "tools": dict(receipt.tools),
        "evaluation": asdict(receipt.evaluation),
        "int8": asdict(fidelity),
    }


def table(results: list[dict[str, Any]]) -> str:
    """Return the table of docs/models.md."""
    lines = [
        "| Model | Family | Cosine: mean | 1st percentile | least | Spearman | Same neighbours |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        int8 = result["int8"]
        lines.append(
            f"| {result['source']} | {result['family']} | {int8['cosine_mean']:.4f} | "
            f"{int8['cosine_p1']:.3f} | {int8['cosine_min']:.3f} | {int8['spearman']:.4f} | "
            f"{100 * int8['neighbour_overlap']:.1f} % |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
