"""Give the peers the files that they need beside a converted model: the same IR, in their layout.

    python -m benchmarks.peers.prepare MODEL SOURCE DIR
    python -m benchmarks.peers.prepare_onnx DIR   # then, where sentence-transformers[onnx] is

MODEL is a folder that ``edge-embed convert`` wrote, SOURCE the checkpoint that it came from. DIR is
one folder that every peer can open: the checkpoint (torch), MODEL's FP32 and INT8 graphs
(sentence-transformers, optimum-intel), and the INT8 graph with the tokenizer as a graph
(openvino-genai, in the subfolder ``genai``).
"""

import argparse
import shutil
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    shutil.copytree(options.source, options.output, dirs_exist_ok=True)
    shutil.copytree(options.model / "openvino", options.output / "openvino", dirs_exist_ok=True)
    genai = options.output / "genai"
    genai.mkdir(exist_ok=True)
    for name in ("config.json", "sentence_bert_config.json", "tokenizer.json"):
        shutil.copyfile(options.model / name, genai / name)
    for suffix in (".xml", ".bin"):
        quantized = options.model / f"openvino/openvino_model_qint8_quantized{suffix}"
        shutil.copyfile(quantized, genai / f"openvino_model{suffix}")
    _tokenizer_graph(options.model, genai)


def _tokenizer_graph(model: Path, target: Path) -> None:
    import openvino
    from openvino_tokenizers import convert_tokenizer
    from transformers import AutoTokenizer

    tokenizer, detokenizer = convert_tokenizer(
        AutoTokenizer.from_pretrained(model), with_detokenizer=True
    )
    openvino.save_model(tokenizer, target / "openvino_tokenizer.xml")
    openvino.save_model(detokenizer, target / "openvino_detokenizer.xml")


if __name__ == "__main__":
    main()
