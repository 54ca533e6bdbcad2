"""Print the texts of the demo, a line each; with two files of their vectors, compare these.

tools/demo_lines.py [VECTORS.npy VECTORS.npy NAME]
"""

import sys

import numpy as np

from edge_embed.cli.demo import demo_texts

LEAST = 0.98  # of vectors of one text on two machines


def main() -> None:
    """Print texts, or how far apart two machines' vectors of them are."""
    if len(sys.argv) == 1:
        texts = demo_texts()
        pairs = [text for pair in texts["pairs"] for text in pair]
        print("\n".join(texts["queries"] + texts["answers"] + texts["questions"] + pairs))
        return
    first, second = (np.load(file).astype(np.float64) for file in sys.argv[1:3])
    first, second = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (first, second))
    cosines = (first * second).sum(axis=1)
    pairs = np.abs(first @ first.T - second @ second.T).max()
    print(
        f"{sys.argv[3]}: cosine with the other machine's mean {cosines.mean():.6f}, least "
        f"{cosines.min():.6f}; similarities differ by up to {pairs:.4f}"
    )
    if cosines.min() < LEAST:
        raise SystemExit(f"{sys.argv[3]}: a cosine below {LEAST} is not rounding")


if __name__ == "__main__":
    main()
