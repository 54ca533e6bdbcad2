"""Give ONNX peers their file: DIR/onnx/model_qint8.onnx, by sentence-transformers' own recipe.

    python -m benchmarks.peers.prepare_onnx DIR

DIR holds a checkpoint. Run it in an environment that has sentence-transformers[onnx].
"""

import argparse
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    from sentence_transformers import SentenceTransformer, export_dynamic_quantized_onnx_model

    folder = str(options.folder)
    model = SentenceTransformer(folder, backend="onnx", model_kwargs={"export": True})
    export_dynamic_quantized_onnx_model(model, "avx512_vnni", folder, file_suffix="qint8")


if __name__ == "__main__":
    main()
