"""``exits.json``: with how few layers a model can run, and how its graph is shortened for that.

A shorter pass ends early, leaves out layers in the middle, or both. Models of which all layers are
one (ALBERT), or that were trained with exits, end early. Others keep far more of their quality
without some of their middle layers (Sajjad et al. 2020, "On the Effect of Dropping Layers of
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
    """The node with the token states at which it ends; None for the whole model's."""
    bypasses: tuple[tuple[str, str], ...] = ()
    """Nodes (from, to): what reads the second one's token states reads the first one's instead."""
    agreement: float | None = None
    """Correlation of texts' similarities with those of the whole model, as converted."""

    def nodes(self) -> tuple[str, ...]:
        """Return the name of every node that must be there."""
        ends = () if self.end is None else (self.end,)
        return (*ends, *(name for pair in self.bypasses for name in pair))

    def as_json(self) -> dict[str, Any]:
        """Return what ``exits.json`` holds of it."""
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
