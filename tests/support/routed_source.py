"""A model with a path for queries and another for documents, as sentence-transformers saves one."""

import json
import shutil
from pathlib import Path

import numpy as np

from edge_embed.model.dense import save_dense

__all__ = ["MODULES", "make_routed_source"]

MODULES = "sentence_transformers.models."
"""What the types of modules begin with."""

_DENSE = {"query": "query_2_Dense", "document": "document_2_Dense"}


def make_routed_source(folder: Path, encoder: Path) -> Path:
    """Write a Router whose paths share an encoder's transformer, with a Dense each, and Normalize.

    Args:
        folder: Is made.
        encoder: The folder of a checkpoint with mean pooling.
    """
    transformer = folder / "query_0_Transformer"
    shutil.copytree(encoder, transformer)
    shutil.move(transformer / "1_Pooling", folder / "query_1_Pooling")
    (transformer / "modules.json").unlink()
    shared = ["query_0_Transformer", "query_1_Pooling"]
    types = {name: MODULES + name.rsplit("_", 1)[-1] for name in (*shared, *_DENSE.values())}
    random = np.random.default_rng(0)
    for path in _DENSE.values():
        (folder / path).mkdir()
        save_dense(folder / path, random.normal(size=(8, 32)).astype(np.float32), None)
    router = {
        "types": types,
        "structure": {route: [*shared, path] for route, path in _DENSE.items()},
        "parameters": {"default_route": "document", "allow_empty_key": True},
    }
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": MODULES + "Router"},
        {"idx": 1, "name": "1", "path": "1_Normalize", "type": MODULES + "Normalize"},
    ]
    (folder / "router_config.json").write_text(json.dumps(router), encoding="utf-8")
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    return folder
