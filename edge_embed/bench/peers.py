"""One library that embeds, in a process of its own, which :mod:`edge_embed.bench.against` starts.

    python -m edge_embed.bench.peers

The first line on standard input is the request: the peer, and what it loads. Each further line is a
list of calls, of which each is a list of texts; each is answered with one line of JSON. Times are
taken here, around the library's own call, from strings to an array.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["OURS", "PEERS", "Peer", "Request"]

OURS = "edge-embed"
_CHUNK = 32

Encode = Callable[[list[str]], Any]


@dataclass(frozen=True)
class Request:
    """What a process loads."""

    peer: str
    options: Mapping[str, Any]
    """Arguments of :class:`edge_embed.Embedder`, for :data:`OURS`."""
    folder: str
    """The model folder."""
    graph: str
    """Its OpenVINO graph, a path below the folder."""
    pooling: str
    limit: int
    """Tokens of a text that are read."""
    place: str
    """What the peer loads instead of the folder; empty for the folder."""
    work: str
    """A folder for files that the peer needs."""
    threads: int


@dataclass(frozen=True)
class Peer:
    """A library to compare with."""

    modules: tuple[str, ...]
    """What it imports."""
    install: str
    """The packages to install where one is missing."""
    load: Callable[[Request], Encode]


def _edge_embed(request: Request) -> Encode:
    from edge_embed.embedder import Embedder

    model = Embedder(**request.options)
    return lambda texts: model.encode(texts, truncation="ignore")


def _sentence_transformers(request: Request) -> Encode:
    library = importlib.import_module("sentence_transformers")
    if request.place:
        model = library.SentenceTransformer(request.place, device="cpu")
    else:
        model = library.SentenceTransformer(
            request.folder,
            backend="openvino",
            device="cpu",
            model_kwargs={
                "file_name": request.graph,
                "ov_config": {"INFERENCE_NUM_THREADS": request.threads},
            },
        )
    return lambda texts: model.encode(texts, batch_size=_CHUNK, show_progress_bar=False)


def _openvino_genai(request: Request) -> Encode:
    kind = importlib.import_module("openvino_genai").TextEmbeddingPipeline
    config = kind.Config()
    config.pooling_type = {
        "mean": kind.PoolingType.MEAN,
        "cls": kind.PoolingType.CLS,
        "lasttoken": kind.PoolingType.LAST_TOKEN,
    }[request.pooling]
    config.normalize = False
    config.max_length = request.limit
    folder = request.place or _with_tokenizer_graph(request)
    pipeline = kind(folder, "CPU", config, INFERENCE_NUM_THREADS=request.threads)

    def encode(texts: list[str]) -> Any:  # noqa: ANN401
        # It has no batching of its own: sorted by length, as a careful user would call it.
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        vectors: list[Any] = [None] * len(texts)
        for start in range(0, len(texts), _CHUNK):
            rows = order[start : start + _CHUNK]
            found = pipeline.embed_documents([texts[row] for row in rows])
            for row, vector in zip(rows, found, strict=True):
                vectors[row] = vector
        return vectors

    return encode


def _with_tokenizer_graph(request: Request) -> str:
    """Make a folder with the same graph, and the tokenizer as a graph."""
    openvino = importlib.import_module("openvino")
    tokenizers = importlib.import_module("openvino_tokenizers")
    loaded = importlib.import_module("transformers").AutoTokenizer.from_pretrained(request.folder)
    source, work = Path(request.folder), Path(request.work)
    for name in ("config.json", "tokenizer.json"):
        (work / name).symlink_to((source / name).resolve())
    for suffix in (".xml", ".bin"):
        graph = (source / request.graph).with_suffix(suffix)
        (work / f"openvino_model{suffix}").symlink_to(graph.resolve())
    pair = tokenizers.convert_tokenizer(loaded, with_detokenizer=True)
    for name, graph in zip(("tokenizer", "detokenizer"), pair, strict=True):
        openvino.save_model(graph, work / f"openvino_{name}.xml")
    return str(work)


def _fastembed(request: Request) -> Encode:
    library = importlib.import_module("fastembed")
    model = library.TextEmbedding(request.place, threads=request.threads)
    return lambda texts: list(model.embed(texts, batch_size=_CHUNK))


PEERS: Mapping[str, Peer] = {
    "sentence-transformers": Peer(
        ("sentence_transformers", "optimum.intel"),
        "sentence-transformers 'optimum-intel[openvino]'",
        _sentence_transformers,
    ),
    "openvino-genai": Peer(
        ("openvino_genai", "openvino_tokenizers", "transformers"),
        "openvino-genai openvino-tokenizers transformers",
        _openvino_genai,
    ),
    "fastembed": Peer(("fastembed",), "fastembed", _fastembed),
}
"""The peers by the name that is given on the command line."""


def _main() -> None:
    request = Request(**json.loads(sys.stdin.readline()))
    os.environ |= {"OMP_NUM_THREADS": str(request.threads), "TQDM_DISABLE": "1"}
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print
    encode = _edge_embed(request) if request.peer == OURS else PEERS[request.peer].load(request)
    encode(["one text to begin with"])
    print(json.dumps({"loaded": True}), file=answers, flush=True)
    for line in sys.stdin:
        seconds = []
        for texts in json.loads(line):
            start = time.perf_counter()
            vectors = encode(texts)
            seconds.append(time.perf_counter() - start)
        last = np.array(vectors, np.float32)[:_CHUNK].tolist()
        print(json.dumps({"seconds": seconds, "vectors": last}), file=answers, flush=True)


if __name__ == "__main__":
    _main()
