"""Hold a shipped model against the golden values on its card.

``python tests/golden.py MODEL…`` does it without pytest, for an installation as a user has it.
"""

import sys

from edge_embed import Embedder
from edge_embed.model.golden import TOLERANCE, GoldenValues
from edge_embed.model.locate import shipped_models


def check(name: str) -> float:
    """Raise an AssertionError if the shipped model ``name`` gives other vectors than its card.

    Returns:
        How far they are apart.
    """
    golden = GoldenValues.from_folder(shipped_models()[name])
    assert golden is not None, f"{name}: the card has no golden values"
    apart = golden.largest_difference(Embedder(name).encode(golden.texts, normalize=True))
    assert apart < TOLERANCE, f"{name}: vectors differ from the card's by {apart:.4f}"
    return apart


if __name__ == "__main__":
    for shipped in sys.argv[1:]:
        sys.stdout.write(f"{shipped}: vectors are those of the card, up to {check(shipped):.4f}\n")
