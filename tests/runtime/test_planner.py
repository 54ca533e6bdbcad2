"""The planner: every text once, unharmed, in shapes of a short list."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_embed.runtime.batch import POOLING_MASK, Batch, slots_in
from edge_embed.runtime.planner import BatchPlanner
from edge_embed.runtime.row_widths import LONGEST_WARMED, TOKEN_BUDGET

PAD = 7
Ids = list[npt.NDArray[np.int64]]
sides = st.integers(1, 9)
both = pytest.mark.parametrize("packed", [True, False], ids=["packed", "padded"])


def numbered(lengths: list[int]) -> Ids:
    """Return texts whose tokens say which text they are and where they stand in it."""
    return [1000 * text + 10 + np.arange(length) for text, length in enumerate(lengths)]


def planner(max_length: int = 128, packed: bool = True, tile: int = 4) -> BatchPlanner:
    return BatchPlanner(max_length=max_length, pad_id=PAD, packed=packed, tile=tile)


@st.composite
def texts(draw: st.DrawFn) -> tuple[Ids, int]:
    max_length = draw(st.integers(3, 514))
    return numbered(draw(st.lists(st.integers(1, max_length), max_size=150))), max_length


@both
@given(case=texts(), side=sides)
def test_every_text_is_planned_exactly_once(packed: bool, case: tuple[Ids, int], side: int) -> None:
    ids, max_length = case
    batches = list(planner(max_length, packed).plan(ids, side_by_side=side))
    assert sorted(text for b in batches for text in b.texts.tolist()) == list(range(len(ids)))
    for batch in batches:
        assert len(set(batch.slots.tolist())) == len(batch.texts) > 0


@both
@given(case=texts(), side=sides)
def test_batches_keep_within_the_budget(packed: bool, case: tuple[Ids, int], side: int) -> None:
    ids, max_length = case
    for batch in planner(max_length, packed).plan(ids, side_by_side=side):
        rows, width = batch.inputs["input_ids"].shape
        assert width <= max_length or (packed and rows <= 2 and width <= 128)
        assert rows == 1 or rows * width <= TOKEN_BUDGET
        assert {array.shape for array in batch.inputs.values()} == {(rows, width)}


@both
@given(case=texts(), side=sides, tile=st.sampled_from([4, 16]))
def test_the_warm_up_has_every_shape_of_ordinary_texts(
    packed: bool, case: tuple[Ids, int], side: int, tile: int
) -> None:
    ids, max_length = case
    batches = planner(max_length, packed, tile)
    known = [batch.inputs["input_ids"].shape for batch in batches.warm_up()]
    assert len(known) == len(set(known))
    shapes = {b.inputs["input_ids"].shape for b in batches.plan(ids, side_by_side=side)}
    # Rows of longer texts are made when one comes.
    assert {shape for shape in shapes if shape[1] <= LONGEST_WARMED} <= set(known)


@given(texts(), sides)
def test_a_packed_text_stands_whole_in_its_own_segment(case: tuple[Ids, int], side: int) -> None:
    ids, max_length = case
    for batch in planner(max_length).plan(ids, side_by_side=side):
        tokens = batch.inputs["input_ids"]
        segments, positions = batch.inputs["segment_ids"], batch.inputs["position_ids"]
        slots = slots_in(tokens.shape[1])
        for text, slot in zip(batch.texts, batch.slots, strict=True):
            row, segment = divmod(int(slot), slots)
            own = segments[row] == segment + 1
            assert tokens[row][own].tolist() == ids[text].tolist()
            assert positions[row][own].tolist() == list(range(len(ids[text])))
        assert (segments > 0).sum() == sum(len(ids[text]) for text in batch.texts)
        assert (tokens[segments == 0] == PAD).all()


@given(texts(), st.integers(0, 5))
def test_a_padded_text_stands_alone_in_its_row(case: tuple[Ids, int], prompt: int) -> None:
    ids, max_length = case
    for batch in planner(max_length, packed=False).plan(ids, prompt_length=prompt):
        tokens, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
        for text, row in zip(batch.texts, batch.slots, strict=True):
            assert tokens[row][mask[row] == 1].tolist() == ids[text].tolist()
            assert mask[row].sum() - batch.inputs[POOLING_MASK][row].sum() == min(
                prompt, len(ids[text])
            )
        # A row of padding alone must attend to something, or its softmax would be NaN.
        assert (mask.sum(axis=1) >= 1).all()


@both
def test_the_number_of_shapes_is_bounded(packed: bool) -> None:
    random = np.random.default_rng(0)
    shapes = set()
    for _ in range(2000):
        ids = numbered(random.integers(1, 513, size=random.integers(1, 30)).tolist())
        shapes |= {b.inputs["input_ids"].shape for b in planner(512, packed).plan(ids)}
    assert len(shapes) <= (40 if packed else 110)


@pytest.mark.parametrize(("packed", "waste"), [(True, 0.02), (False, 0.2)])
def test_bulk_wastes_little(packed: bool, waste: float) -> None:
    lengths = np.clip(np.random.default_rng(0).lognormal(2.8, 0.4, 2000), 3, 128).astype(int)
    ids = numbered(lengths.tolist())
    area = sum(b.inputs["input_ids"].size for b in planner(128, packed).plan(ids))
    assert area <= (1 + waste) * lengths.sum()


@pytest.mark.parametrize(
    ("lengths", "width"),
    [([11], 12), ([8], 8), ([5, 5, 5], 16), ([100], 112), ([60, 60], 128), ([1] * 30, 128)],
)
def test_a_few_short_texts_share_one_snug_row(lengths: list[int], width: int) -> None:
    (batch,) = planner().plan(numbered(lengths))
    assert batch.inputs["input_ids"].shape == (1, width)


def test_rows_are_whole_tiles() -> None:
    for length, width in ((3, 16), (16, 16), (17, 32), (40, 48), (65, 80)):
        (batch,) = planner(tile=16).plan(numbered([length]))
        assert batch.inputs["input_ids"].shape == (1, width)
    assert len(list(planner(tile=16).warm_up())) == 22


@pytest.mark.parametrize(
    ("lengths", "width"),
    [([80, 72], 80), ([20] * 8, 80), ([1] * 40, 80), ([26] * 8, 112), ([9] * 20, 96)],
)
def test_a_few_more_texts_share_two_equal_rows(lengths: list[int], width: int) -> None:
    (batch,) = planner().plan(numbered(lengths))
    assert batch.inputs["input_ids"].shape == (2, width)


def test_pairs_of_rows_are_equally_wide() -> None:
    ids = numbered([120, 118, 40, 30])
    batches = list(planner().plan(ids, side_by_side=2))
    shapes = {batch.inputs["input_ids"].shape for batch in batches}
    known = {b.inputs["input_ids"].shape for b in planner().warm_up()}
    assert shapes <= known


def test_uneven_texts_do_not_share_rows() -> None:
    shapes = {b.inputs["input_ids"].shape for b in planner().plan(numbered([120, 10]))}
    assert shapes == {(1, 128), (1, 12)}


@pytest.mark.parametrize(("count", "height"), [(3, 3), (5, 5), (8, 8)])
def test_more_texts_take_just_as_many_rows_as_they_need(count: int, height: int) -> None:
    (batch,) = planner().plan(numbered([60] * count))
    assert batch.inputs["input_ids"].shape == (height, 64)


def busiest(batches: Iterator[Batch], side: int) -> int:
    """Return the tokens of whoever computes longest, where each takes a batch when it is idle."""
    busy = [0] * side
    for area in sorted((b.inputs["input_ids"].size for b in batches), reverse=True):
        busy[busy.index(min(busy))] += area
    return max(busy)


@both
@pytest.mark.parametrize(("count", "side"), [(8, 2), (32, 2), (64, 2), (96, 2), (32, 8), (300, 8)])
def test_few_texts_are_shared_by_all_that_compute(packed: bool, count: int, side: int) -> None:
    ids = numbered(np.random.default_rng(0).integers(8, 20, count).tolist())
    shared = busiest(planner(128, packed).plan(ids, side_by_side=side), side)
    apart = busiest(planner(128, packed).plan(ids), side)
    assert shared <= apart
    if packed:
        assert shared <= 1.3 * sum(len(text) for text in ids) / side


def test_one_text_or_one_worker_shares_nothing() -> None:
    for ids, side in ((numbered([90]), 4), (numbered([14] * 32), 1)):
        assert len(list(planner().plan(ids, side_by_side=side))) == 1
