"""What a smaller word table saves, and what it costs: a lower rank, four bits, or both.

    python -m benchmarks.quantization.word_table -i TEXTS [--model SOURCE] [--sts FILE ...]
        [--rank R ...] [--json FILE]

Without ``--model``, an encoder of the shape of multilingual-e5-small (250,037 words of 384
dimensions, 12 layers) with random weights: its sizes and speed are those of the real one, its
fidelity is not. Models are timed in turn.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.report import command_line, save, spread
from edge_embed import Embedder
from edge_embed.evaluation.sts import StsSet
from edge_embed.files.readers import read_texts
from edge_embed_conversion.calibration import TextSet, shipped_texts
from edge_embed_conversion.convert import convert
from tests.support.families import build

ROUNDS = 5
MULTILINGUAL = {
    "vocab_size": 250_037,
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "max_position_embeddings": 514,
    "initializer_range": 0.02,
}
FEW = TextSet("every twentieth", shipped_texts("calibration").texts[::20])


def speeds(folders: Sequence[Path], texts: list[str]) -> list[dict[str, float]]:
    """Return texts a second of each model, in turn."""
    embedders = [Embedder(folder, variant="int8") for folder in folders]
    seconds: list[list[float]] = [[] for _ in folders]
    for number in range(ROUNDS + 1):
        for embedder, taken in zip(embedders, seconds, strict=True):
            started = time.perf_counter()
            embedder.encode(texts, truncation="ignore")
            if number:  # the first round compiles
                taken.append(time.perf_counter() - started)
    return [spread([len(texts) / each for each in taken]) for taken in seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-i", "--input", required=True)
    parser.add_argument("--model", help="a source; else a multilingual one of random weights")
    parser.add_argument("--rank", type=int, nargs="*", default=[])
    parser.add_argument("--sts", type=Path, nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    texts = list(dict.fromkeys(islice(read_texts(options.input), 1000)))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as work:
        source = options.model
        if source is None:
            learned = shipped_texts("calibration").texts
            source = build("xlm-roberta", Path(work) / "source", learned, MULTILINGUAL)
        folders = []
        for rank in (None, *options.rank):
            for bits in (8, 4):
                folders.append(Path(work) / f"{rank}-{bits}")
                receipt = convert(
                    source,
                    folders[-1],
                    calibration=None if options.model else FEW,
                    embedding_rank=rank,
                    embedding_bits=bits,
                    with_fp32=False,
                )
                variant = receipt.variants["int8"]
                model = Embedder(folders[-1], variant="int8")
                size = (folders[-1] / variant.file).with_suffix(".bin").stat().st_size
                row: dict[str, Any] = {"rank": rank, "bits": bits, "mb": round(size / 1e6, 2)}
                if options.model and variant.fidelity is not None:
                    row["cosine"] = round(variant.fidelity.cosine_mean, 5)
                    row["spearman"] = round(variant.fidelity.spearman, 5)
                for path in options.sts:
                    pairs = StsSet.read(path)
                    vectors = model.encode([*pairs.first, *pairs.second])
                    row[path.stem if path.is_file() else path.name] = round(
                        100 * pairs.spearman(vectors), 2
                    )
                rows.append(row)
                print(json.dumps(row), flush=True)
        for row, speed in zip(rows, speeds(folders, texts), strict=True):
            row["texts_per_second"] = speed
    name = Path(options.model).name if options.model else "multilingual-e5-small's shape"
    print(json.dumps(rows))
    if options.json:
        save(options.json, {"model": name, "rows": rows}, command=command_line())


if __name__ == "__main__":
    main()
