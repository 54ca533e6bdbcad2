"""The tasks' door: its names, and that no task knows a model."""

import ast
from pathlib import Path

import edge_embed
from edge_embed import tasks

# Vectors come in from anywhere; whatever makes them is above the tasks.
ABOVE = ("embedder", "runtime", "model", "cli", "server", "evaluation")


def test_the_public_names() -> None:
    assert tasks.__all__ == [
        "OUTLIER",
        "Cluster",
        "Clustering",
        "DeduplicationResult",
        "Differences",
        "Duplicate",
        "Hit",
        "Index",
        "IndexInfo",
        "Pair",
        "TextKeys",
        "cluster",
        "deduplicate",
        "differences",
        "keep_order",
        "normal_form",
        "paraphrase_mining",
        "split_text",
    ]
    assert all(hasattr(tasks, name) for name in tasks.__all__)


def test_no_task_knows_a_model() -> None:
    files = list((Path(edge_embed.__file__).parent / "tasks").rglob("*.py"))
    assert len(files) > 10
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                parts = name.split(".")
                assert not (parts[0] == "edge_embed" and parts[1:2] and parts[1] in ABOVE), file
                assert parts[0] not in ("openvino", "tokenizers"), file
