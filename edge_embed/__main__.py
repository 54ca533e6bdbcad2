"""``python -m edge_embed`` is ``edge-embed``."""

from edge_embed.cli import run

run()
