"""Save figures of matplotlib as .png files, which appear whole or not at all."""

from pathlib import Path
from typing import TYPE_CHECKING

from edge_embed.errors import MissingExtraError
from edge_embed.files.atomic import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["require_matplotlib", "save_figure"]


def require_matplotlib() -> None:
    """Check that plots can be made, before any work is done.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise MissingExtraError("a plot", "plot", "matplotlib") from None


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format="png")
