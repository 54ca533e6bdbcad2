"""``exits.json``: how a model's graph is run with fewer layers.

A graph ends early, skips layers in the middle, or both. Models whose layers share their weights
(ALBERT), or that were trained with exits, end early. Others keep far more of their quality if some
of their middle layers are skipped (Sajjad et al. 2020, "On the Effect of Dropping Layers of
Pre-trained Transformer Models", arXiv:2004.03844).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_embed.errors import ModelFormatError
from edge_embed.files.typed_json import typed
from edge_embed.model.json_files import read_json

__all__ = ["EXITS_FILE", "Exit", "read_exits"]

EXITS_FILE = "exits.json"


@dataclass(frozen=True)
class Exit:
    """How a graph runs with fewer layers; nodes are named as in the graph."""

    end: str | None = None
    """The node with the token states that are pooled; None for those of the last layer."""
    bypasses: tuple[tuple[str, str], ...] = ()
    """Pairs of nodes (from, to): consumers of the second get the token states of the first, so that
    the layers between them are skipped."""
    agreement: float | None = None
    """Correlation of texts' similarities with the whole model's, measured at conversion."""

    def nodes(self) -> tuple[str, ...]:
        """Return the names of all nodes that the graph must have."""
        ends = () if self.end is None else (self.end,)
        return (*ends, *(name for pair in self.bypasses for name in pair))

    def as_json(self) -> dict[str, Any]:
        """Return the entry of ``exits.json``."""
        entry: dict[str, Any] = {}
        if self.end is not None:
            entry["end"] = self.end
        if self.bypasses:
            entry["bypasses"] = [list(pair) for pair in self.bypasses]
        if self.agreement is not None:
            entry["agreement"] = round(self.agreement, 4)
        return entry


def read_exits(folder: Path) -> Mapping[int, Exit]:
    """Return the exits of a converted model by their number of layers, fewest first.

    Raises:
        ModelFormatError: the file is damaged.
    """
    file = folder / EXITS_FILE
    entries = read_json(file, optional=True).get("exits", {})
    try:
        exits = {int(layers): _exit(entry) for layers, entry in entries.items()}
    except (AttributeError, ValueError):
        raise ModelFormatError(
            f'{file} does not say of each number of layers its "end" and "bypasses": convert the '
            "model again"
        ) from None
    return dict(sorted(exits.items()))


def _exit(entry: object) -> Exit:
    exit_ = typed(Exit, entry, "exit")
    if not exit_.nodes():
        raise ValueError("no node is named")
    return exit_
