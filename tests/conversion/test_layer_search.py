"""The layers that a model can do without."""

import numpy as np
import numpy.typing as npt
import pytest

from edge_embed_conversion.layer_search import Kept, LayerSearch


def _search(costs: dict[frozenset[int], float], layers: int = 4) -> tuple[LayerSearch, list[Kept]]:
    """A model whose texts turn by what leaving out layers costs; and what it was run with."""
    generator = np.random.default_rng(0)
    whole, noise = generator.normal(size=(2, 30, 8)).astype(np.float32)
    run: list[Kept] = []

    def vectors_with(kept: Kept) -> npt.NDArray[np.float32]:
        run.append(kept)
        turned: npt.NDArray[np.float32] = whole + noise * np.float32(
            costs.get(frozenset(range(layers)) - frozenset(kept), 1.0)
        )
        return turned

    costs[frozenset()] = 0.0
    return LayerSearch(layers, vectors_with), run


def test_each_choice_is_measured_once() -> None:
    search, run = _search({frozenset({1}): 0.1, frozenset({1, 2}): 0.2})
    found = list(search.fewer(2, beam_width=4))
    assert found == [(0, 1, 2, 3), (0, 2, 3), (0, 3)]
    assert search.agreement((0, 3)) > search.agreement((0, 1))
    assert len(run) == len(set(run))
    assert all(len(kept) >= 2 for kept in run)  # nothing shorter than was asked for


@pytest.mark.parametrize(("beam_width", "kept"), [(1, (0, 3)), (4, (0, 1))])
def test_the_layer_that_matters_least_is_not_always_of_the_two(beam_width: int, kept: Kept) -> None:
    costs = {frozenset({1}): 0.1, frozenset({2}): 0.3, frozenset({3}): 0.3}
    search, _ = _search(costs | {frozenset({1, 2}): 0.5, frozenset({2, 3}): 0.2})
    *_, found = search.fewer(2, beam_width=beam_width)
    assert found == kept


def test_all_layers_may_be_kept() -> None:
    search, run = _search({})
    assert list(search.fewer(4, beam_width=1)) == [(0, 1, 2, 3)] == run
