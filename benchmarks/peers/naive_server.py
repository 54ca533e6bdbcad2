"""What one writes in a minute: FastAPI before sentence-transformers' OpenVINO backend.

python -m benchmarks.peers.naive_server FOLDER [--file openvino/FILE.xml] [--port 8090]

For benchmarks/server/load.py --url. Needs fastapi and the extras ``convert`` and ``server``.
"""

import argparse
import base64
import threading
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer


class Request(BaseModel):
    """The part of OpenAI's request that the load test sends."""

    input: str | list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--file", default="openvino/openvino_model_qint8_quantized.xml")
    parser.add_argument("--port", type=int, default=8090)
    options = parser.parse_args()
    model = SentenceTransformer(
        options.folder, backend="openvino", model_kwargs={"file_name": options.file}
    )
    app = FastAPI()
    # FastAPI calls from several threads; without a lock, requests fail: "Infer Request is busy".
    lock = threading.Lock()

    @app.post("/v1/embeddings")
    def embeddings(request: Request) -> dict[str, Any]:
        with lock:
            vectors = np.atleast_2d(model.encode(request.input))
        data = [
            {"index": row, "embedding": base64.b64encode(vector.tobytes()).decode()}
            for row, vector in enumerate(vectors)
        ]
        return {"object": "list", "data": data}

    uvicorn.run(app, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
