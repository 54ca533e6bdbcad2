"""How much faster are several texts in a row than one, for each kind of attention and positions?

    python -m benchmarks.speed.packed_rows -i TEXTS [--json FILE] [--models MODEL ...]
        [--families NAME ...]

An encoder of each family with random weights, of 6 layers and 384 dimensions as all-MiniLM-L6-v2,
is converted to INT8 and embeds the texts with packed rows and with one text each, in turn. Its
tokenizer has learned few words, so its texts have more tokens than those of the public model.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.report import command_line, save, spread
from edge_embed import Embedder
from edge_embed.files.readers import read_texts
from edge_embed_conversion.calibration import TextSet, shipped_texts
from edge_embed_conversion.convert import convert
from tests.support.families import build

FEW = TextSet("every twentieth", shipped_texts("calibration").texts[::20])
ROUNDS = 7

BERT = {
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "max_position_embeddings": 514,
    "initializer_range": 0.02,
}
ROTARY = BERT | {"max_position_embeddings": 2048}
DECODER = ROTARY | {"num_key_value_heads": 4, "head_dim": 32}
SIZES: Mapping[str, Mapping[str, Any]] = {
    "bert": BERT,
    "mpnet": BERT,
    "xlm-roberta": BERT,
    "deberta-v2": BERT | {"position_buckets": 256},
    "modernbert": ROTARY | {"local_attention": 128},
    "nomic-bert": ROTARY,
    "qwen3": DECODER,
    "llama": DECODER,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-i", "--input", required=True)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--models", nargs="+", default=["edge-embed-small", "edge-embed-albert"])
    parser.add_argument("--families", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    texts = list(dict.fromkeys(islice(read_texts(options.input), options.texts)))
    result: dict[str, Any] = {"texts": len(texts), "models": {}, "families": {}}
    for model in options.models:
        result["models"][Path(model).name] = shown(model, measured(model, texts))
    for name in options.families:
        with tempfile.TemporaryDirectory() as work:
            learned = shipped_texts("calibration").texts
            source = build(name, Path(work) / "source", learned, SIZES[name])
            convert(source, Path(work) / "model", precision="int8", calibration=FEW)
            result["families"][name] = shown(name, measured(str(Path(work) / "model"), texts))
    if options.json:
        save(options.json, result, command=command_line())


def measured(model: str, texts: Sequence[str]) -> dict[str, Any]:
    """Embed the texts with packed and with padded rows, in turn."""
    kinds = {
        "packed": Embedder(model, cache=False),
        "padded": Embedder(model, packed=False, cache=False),
    }
    if not kinds["packed"].engine.packed:
        return {"why_not_packed": kinds["packed"].engine.why_not_packed}
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(ROUNDS + 1):
        for name, embedder in kinds.items():
            start = time.perf_counter()
            embedder.encode(texts, truncation="ignore")
            if number:  # the first round compiles
                seconds[name].append(time.perf_counter() - start)
    found: dict[str, Any] = {
        name: {"texts_per_second": spread([len(texts) / each for each in seconds[name]])}
        for name in kinds
    }
    both = zip(seconds["padded"], seconds["packed"], strict=True)
    found["packed_against_padded"] = spread([padded / packed for padded, packed in both])
    tokens = kinds["packed"].tokenize(list(texts))
    found["tokens_a_text"] = round(sum(map(len, tokens)) / len(texts), 1)
    return found


def shown(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """Print what was found, and return it."""
    print(name, json.dumps(found), flush=True)
    return found


if __name__ == "__main__":
    main()
