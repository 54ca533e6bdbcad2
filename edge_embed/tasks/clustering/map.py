"""Draw a map of clusters: rows as points of a plane, by t-SNE (scikit-learn)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed.errors import MissingExtraError
from edge_embed.files.figures import require_matplotlib, save_figure
from edge_embed.tasks.clustering.leiden import OUTLIER
from edge_embed.tasks.vectors import Rows, Vectors

__all__ = ["cluster_map", "require_map"]

# More points than this would overlap, and take minutes to compute.
_POINTS = 4000
_NAMED = 15


def require_map() -> None:
    """Check that a map can be drawn, before any work is done.

    Raises:
        MissingExtraError: matplotlib or scikit-learn is not installed.
    """
    require_matplotlib()
    try:
        import sklearn.manifold  # noqa: F401
    except ImportError:
        raise MissingExtraError("drawing a map", "plot", "scikit-learn") from None


def cluster_map(
    vectors: Vectors,
    labels: npt.NDArray[np.int64],
    names: Sequence[str],
    path: Path,
    *,
    seed: int = 0,
) -> None:
    """Draw rows as points, coloured by cluster, the largest clusters named; outliers in grey.

    Args:
        vectors: Float (n, dim); of more than 4,000 rows a sample is drawn.
        labels: Each row's cluster, (n,).
        names: The clusters' names, by number.
        path: A .png file.
        seed: The seed of the sample and of t-SNE.

    Raises:
        MissingExtraError: matplotlib or scikit-learn is not installed.
        OutputError: the file cannot be written.
    """
    require_map()
    from matplotlib.figure import Figure

    count = len(labels)
    chosen = np.arange(count)
    if count > _POINTS:
        chosen = np.sort(np.random.default_rng(seed).choice(count, _POINTS, replace=False))
    places = _places(Rows(vectors).take(chosen), seed)
    shown = labels[chosen]
    figure = Figure(figsize=(10, 8), dpi=150, layout="constrained")
    axes = figure.subplots()
    apart = shown == OUTLIER
    x, y = places.T
    axes.scatter(x[apart], y[apart], s=4, c="0.8", linewidths=0)
    axes.scatter(x[~apart], y[~apart], s=6, c=shown[~apart] % 20, cmap="tab20", linewidths=0)
    for number, name in enumerate(names[:_NAMED]):
        members = places[shown == number]
        if len(members):
            middle = np.median(members, axis=0)
            text = name if len(name) <= 32 else name[:31] + "…"
            axes.annotate(text.replace("$", r"\$"), middle, ha="center", fontsize=8, weight="bold")
    drawn = f", {len(chosen):,} drawn" if len(chosen) < count else ""
    axes.set_title(f"{count:,} texts{drawn}, {len(names)} clusters")
    axes.set_axis_off()
    save_figure(figure, path)


def _places(unit: npt.NDArray[np.float32], seed: int) -> npt.NDArray[np.float32]:
    """Return the coordinates of rows on a plane, float32 (n, 2)."""
    if len(unit) < 4:
        return np.eye(len(unit), 2, dtype=np.float32)
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(unit) - 1) / 3)
    placed = TSNE(2, perplexity=perplexity, init="random", random_state=seed).fit_transform(unit)
    return np.asarray(placed, np.float32)
