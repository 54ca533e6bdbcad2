"""Hold a shipped model against the golden values on its card.

``python tests/golden.py MODEL…`` does it without pytest, for an installation as a user has it.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edge_embed import Embedder
from edge_embed.model.locate import shipped_models

# INT8 arithmetic rounds a little differently on processors with other instructions.
TOLERANCE = 0.01


def golden_values(folder: Path) -> dict[str, Any]:
    """Read the JSON block under the heading "Golden values" of the card in ``folder``."""
    card = (folder / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## Golden values\n.*?```json\n(.*?)```", card, re.DOTALL)
    assert block, f"{folder.name}: the card has no golden values"
    values: dict[str, Any] = json.loads(block[1])
    return values


def measured_values(model: Embedder, texts: list[str]) -> dict[str, Any]:
    """Return what a card states: the first components of each unit vector, and the cosines."""
    unit = model.encode(texts, normalize=True)
    return {
        "texts": texts,
        "first components": np.round(unit[:, :6].astype(float), 4).tolist(),
        "cosines": np.round((unit @ unit.T).astype(float), 4).tolist(),
    }


def check(name: str) -> None:
    """Raise an AssertionError if the shipped model ``name`` gives other vectors than its card."""
    golden = golden_values(shipped_models()[name])
    found = measured_values(Embedder(name), golden["texts"])
    for key in ("first components", "cosines"):
        apart = np.abs(np.array(found[key]) - np.array(golden[key])).max()
        assert apart < TOLERANCE, f"{name}: {key} differ from the card's by {apart:.4f}"


if __name__ == "__main__":
    for shipped in sys.argv[1:]:
        check(shipped)
        sys.stdout.write(f"{shipped}: vectors are those of the card\n")
