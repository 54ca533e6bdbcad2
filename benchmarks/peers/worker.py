"""One library, one model, one process: started by another script, in that library's environment.

    python worker.py PEER FOLDER THREADS HINT

Reads requests as JSON lines on standard input and answers each with one line. Times are taken here,
around the library's own call, from strings to a float array; processor time is that of all threads.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy.typing as npt

# Whatever rows of numbers the library returns.
Vectors: TypeAlias = "npt.NDArray[Any] | Sequence[npt.NDArray[Any]] | Sequence[Sequence[float]]"
Encode = Callable[[list[str]], Vectors]
Backend = Literal["torch", "onnx", "openvino"]


def edge_embed(folder: str, threads: int, hint: str) -> Encode:
    from edge_embed import Embedder

    model = Embedder(folder, threads=threads, hint="latency" if hint == "latency" else "throughput")
    return lambda texts: model.encode(texts, truncation="ignore")


def sentence_transformers(folder: str, threads: int, *, backend: Backend, file: str = "") -> Encode:
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    options: dict[str, Any] = {"file_name": file} if file else {}
    if backend == "openvino":
        options["ov_config"] = {"INFERENCE_NUM_THREADS": threads}
    if backend == "onnx":
        import onnxruntime

        session = onnxruntime.SessionOptions()
        session.intra_op_num_threads = threads
        options |= {"provider": "CPUExecutionProvider", "session_options": session}
    model = SentenceTransformer(folder, backend=backend, device="cpu", model_kwargs=options)
    return lambda texts: model.encode(texts, show_progress_bar=False)


def optimum_intel(folder: str, threads: int) -> Encode:
    import torch
    from optimum.intel import OVModelForFeatureExtraction
    from transformers import AutoTokenizer

    torch.set_num_threads(threads)
    limit = json.loads((Path(folder) / "sentence_bert_config.json").read_text())["max_seq_length"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = OVModelForFeatureExtraction.from_pretrained(
        folder,
        subfolder="openvino",
        file_name="openvino_model_qint8_quantized.xml",
        ov_config={"INFERENCE_NUM_THREADS": threads},
    )

    def encode(texts: list[str]) -> Vectors:
        pooled: list[Sequence[float]] = []
        for start in range(0, len(texts), 32):
            batch = texts[start : start + 32]
            inputs = tokenizer(
                batch, padding=True, truncation=True, max_length=limit, return_tensors="pt"
            )
            states = model(**inputs).last_hidden_state
            mask = inputs["attention_mask"].unsqueeze(-1)
            pooled.extend(((states * mask).sum(1) / mask.sum(1)).tolist())
        return pooled

    return encode


def openvino_genai(folder: str, threads: int) -> Encode:
    import openvino_genai

    kind = openvino_genai.TextEmbeddingPipeline
    config = kind.Config()
    config.pooling_type = kind.PoolingType.MEAN
    config.normalize = False
    limit = json.loads((Path(folder) / "sentence_bert_config.json").read_text())["max_seq_length"]
    config.max_length = limit
    pipeline = kind(folder, "CPU", config, INFERENCE_NUM_THREADS=threads)

    def encode(texts: list[str]) -> Vectors:
        # It has no batching of its own: sorted by length and in chunks of 32, as a careful user
        # would call it.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors: list[Any] = [None] * len(texts)
        for start in range(0, len(texts), 32):
            chunk = order[start : start + 32]
            found = pipeline.embed_documents([texts[i] for i in chunk])
            for index, vector in zip(chunk, found, strict=True):
                vectors[index] = vector
        return vectors

    return encode


def fastembed(folder: str, threads: int, *, file: str) -> Encode:
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    size = json.loads((Path(folder) / "config.json").read_text())["hidden_size"]
    TextEmbedding.add_custom_model(
        model="local/model",
        pooling=PoolingType.MEAN,
        normalization=False,
        sources=ModelSource(hf="local/model"),
        dim=size,
        model_file=file,
    )
    model = TextEmbedding("local/model", specific_model_path=folder, threads=threads)
    return lambda texts: list(model.embed(texts, batch_size=32))


def gptcache(folder: str) -> Encode:
    os.environ["HF_HOME"] = f"{folder}/hub"
    from gptcache.embedding import Onnx

    model = Onnx()
    return lambda texts: [model.to_embeddings(text) for text in texts]


def pymilvus(folder: str) -> Encode:
    os.environ["HF_HOME"] = f"{folder}/hub"
    from pymilvus.model import DefaultEmbeddingFunction

    encode: Encode = DefaultEmbeddingFunction().encode_documents
    return encode


def edge_embed_gptcache(folder: str, variant: str) -> Encode:
    from edge_embed.integrations.gptcache import EdgeEmbedEmbedding

    model = EdgeEmbedEmbedding(f"{folder}/model", variant=variant, cache=f"{folder}/cache/gptcache")
    return lambda texts: [model.to_embeddings(text) for text in texts]


def edge_embed_pymilvus(folder: str, variant: str) -> Encode:
    from edge_embed.integrations.pymilvus_model import EdgeEmbedEmbeddingFunction

    cache = f"{folder}/cache/pymilvus"
    model = EdgeEmbedEmbeddingFunction(f"{folder}/model", variant=variant, cache=cache)
    return model.encode_documents


PEERS: dict[str, Callable[[str, int, str], Encode]] = {
    "edge-embed": edge_embed,
    "sentence-transformers torch": lambda folder, threads, _: sentence_transformers(
        folder, threads, backend="torch"
    ),
    "sentence-transformers onnx int8": lambda folder, threads, _: sentence_transformers(
        folder, threads, backend="onnx", file="onnx/model_qint8.onnx"
    ),
    "sentence-transformers openvino": lambda folder, threads, _: sentence_transformers(
        folder, threads, backend="openvino"
    ),
    "sentence-transformers openvino int8": lambda folder, threads, _: sentence_transformers(
        folder, threads, backend="openvino", file="openvino/openvino_model_qint8_quantized.xml"
    ),
    "optimum-intel int8": lambda folder, threads, _: optimum_intel(folder, threads),
    "fastembed int8": lambda folder, threads, _: fastembed(
        folder, threads, file="onnx/model_qint8.onnx"
    ),
    "openvino-genai int8": lambda folder, threads, _: openvino_genai(folder, threads),
    # Those that default_embedders starts have the number of threads that they choose.
    "gptcache": lambda folder, *_: gptcache(folder),
    "pymilvus": lambda folder, *_: pymilvus(folder),
    "edge-embed gptcache fp32": lambda folder, *_: edge_embed_gptcache(folder, "fp32"),
    "edge-embed gptcache int8": lambda folder, *_: edge_embed_gptcache(folder, "int8"),
    "edge-embed pymilvus fp32": lambda folder, *_: edge_embed_pymilvus(folder, "fp32"),
    "edge-embed pymilvus int8": lambda folder, *_: edge_embed_pymilvus(folder, "int8"),
}


def main() -> None:
    peer, folder, threads, hint = sys.argv[1:5]
    os.environ |= {"OMP_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    # Libraries print; the answers must not be mixed up with that.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    start = time.perf_counter()
    encode = PEERS[peer](folder, int(threads), hint)
    encode(["one text to begin with"])
    loaded = {"load_s": time.perf_counter() - start, "load_cpu_s": time.process_time()}
    print(json.dumps(loaded), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        seconds = []
        processor = time.process_time()
        for texts in request.get("calls", []):
            start = time.perf_counter()
            vectors = encode(texts)
            seconds.append(time.perf_counter() - start)
        cpu_s = time.process_time() - processor
        answer: dict[str, Any] = {"seconds": seconds, "cpu_s": cpu_s, "memory": _memory()}
        if request.get("vectors"):
            answer["vectors"] = [[float(x) for x in vector] for vector in vectors]
        print(json.dumps(answer), file=answers, flush=True)


def _memory() -> dict[str, float]:
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return {key: int(status[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM")}


if __name__ == "__main__":
    main()
