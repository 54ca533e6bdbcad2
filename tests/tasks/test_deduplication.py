"""Deduplication against its definition, and what must not change its answer."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge_embed.errors import InputError
from edge_embed.tasks import DeduplicationResult, deduplicate, keep_order
from edge_embed.tasks.deduplication import semantic as duplicates
from edge_embed.tasks.deduplication.components import connected_components
from edge_embed.tasks.inverted_file import InvertedFile
from edge_embed.tasks.neighbours import LinkSearch, nearest
from edge_embed.tasks.vectors import Floats, Rows

MANY = settings(deadline=None, max_examples=40)


def crowd(rows: int, seed: int = 0, *, centres: int = 10, spread: float = 0.15) -> Floats:
    """Vectors in loose bunches, so that there are near-duplicates, chains and loners."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(centres, 16))
    vectors = middles[rng.integers(0, centres, rows)] + spread * rng.normal(size=(rows, 16))
    return vectors.astype(np.float32)


def cosines(vectors: Floats) -> Floats:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(unit @ unit.T)


def by_definition(vectors: Floats, order: Sequence[int], threshold: float) -> list[int]:
    similar = cosines(vectors)
    kept: list[int] = []
    for row in order:
        if not any(similar[row, other] >= threshold for other in kept):
            kept.append(row)
    return sorted(kept)


def facts(result: DeduplicationResult) -> list[object]:
    return [result.kept.tolist(), result.duplicates, result.components.tolist()]


@MANY
@given(
    rows=st.integers(0, 60), seed=st.integers(0, 99), threshold=st.sampled_from([0.8, 0.95, 0.99])
)
def test_the_definition_holds(rows: int, seed: int, threshold: float) -> None:
    vectors = crowd(rows, seed)
    # A cosine on the threshold itself may be rounded to either side of it.
    assume(np.all(np.abs(cosines(vectors) - threshold) > 1e-6))
    order = np.random.default_rng(seed).permutation(rows)
    result = deduplicate(vectors, threshold=threshold, order=order)
    assert result.kept.tolist() == by_definition(vectors, order.tolist(), threshold)
    removed = [pair.row for pair in result.duplicates]
    assert sorted([*removed, *result.kept.tolist()]) == list(range(rows))
    similar, rank = cosines(vectors), np.argsort(order)
    for pair in result.duplicates:
        better = [row for row in result.kept if rank[row] < rank[pair.row]]
        assert pair.partner in better
        assert pair.score == pytest.approx(similar[pair.row, better].max(), abs=1e-5)
        assert similar[pair.row, pair.partner] == pytest.approx(pair.score, abs=1e-5)


@MANY
@given(seed=st.integers(0, 99))
def test_the_input_order_does_not_matter(seed: int) -> None:
    vectors = crowd(50, seed)
    values = np.random.default_rng(seed).random(50)
    shuffle = np.random.default_rng(seed + 1).permutation(50)

    def grouped(result: DeduplicationResult, names: Sequence[int]) -> set[frozenset[int]]:
        groups: dict[int, set[int]] = {}
        for row, component in enumerate(result.components.tolist()):
            groups.setdefault(component, set()).add(names[row])
        return {frozenset(group) for group in groups.values()}

    one = deduplicate(vectors, threshold=0.95, order=keep_order(50, values=values))
    other = deduplicate(
        vectors[shuffle], threshold=0.95, order=keep_order(50, values=values[shuffle])
    )
    names = shuffle.tolist()
    assert {names[row] for row in other.kept} == set(one.kept.tolist())
    assert grouped(other, names) == grouped(one, range(50))
    # The first of the input is kept by wish; the components stay the same.
    assert grouped(deduplicate(vectors[shuffle], threshold=0.95), names) == grouped(one, range(50))


@MANY
@given(seed=st.integers(0, 99), stricter=st.sampled_from([0.8, 0.9, 0.97, 1.0]))
def test_a_stricter_threshold_needs_no_new_run(seed: int, stricter: float) -> None:
    vectors = crowd(60, seed)
    again = deduplicate(vectors, threshold=0.8).rethreshold(stricter)
    assert facts(again) == facts(deduplicate(vectors, threshold=stricter))


@MANY
@given(seed=st.integers(0, 99), size=st.integers(1, 60))
def test_shrinking_to_a_size(seed: int, size: int) -> None:
    vectors = crowd(60, seed)
    result = deduplicate(vectors, threshold=0.7)
    if len(result.kept) > size:
        with pytest.raises(InputError, match="lower the threshold"):
            result.shrink(size)
        return
    smaller = result.shrink(size)
    assert len(smaller.kept) == size
    assert len(smaller.duplicates) == 60 - size


def test_blocks_and_steps_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = crowd(500)
    whole = deduplicate(vectors, threshold=0.9)
    monkeypatch.setattr("edge_embed.tasks.neighbours._BLOCK", 37)
    monkeypatch.setattr("edge_embed.tasks.neighbours._STEP", 41)
    assert facts(deduplicate(vectors, threshold=0.9)) == facts(whole)


@pytest.mark.parametrize("head", [3, 128])  # bounds that are loose, and exact ones
def test_the_inverted_file_finds_what_comparing_all_finds(
    monkeypatch: pytest.MonkeyPatch, head: int
) -> None:
    monkeypatch.setattr("edge_embed.tasks.inverted_file._HEAD", head)
    monkeypatch.setattr("edge_embed.tasks.neighbours._PROBE_BLOCK", 700)
    monkeypatch.setattr("edge_embed.tasks.neighbours._HELD", 5000)
    vectors = crowd(3000, centres=300, spread=0.2)

    def pairs(*, exact: bool) -> set[tuple[int, int]]:
        search = LinkSearch(Rows(vectors), np.arange(len(vectors)), 0.95, exact=exact)
        return {
            pair
            for _, part in search
            for pair in zip(part.left.tolist(), part.right.tolist(), strict=True)
        }

    truth, found = pairs(exact=True), pairs(exact=False)
    assert len(truth) > 1000
    similar = cosines(vectors)  # lists hold half floats: only what lies on the line differs
    assert all(similar[pair] > 0.95 - 1e-3 for pair in found - truth)
    assert len(found & truth) >= 0.99 * len(truth)
    exact, probed = (nearest(Rows(vectors), 5, exact=exact) for exact in (True, False))
    same = [len(set(a) & set(b)) for a, b in zip(exact.rows, probed.rows, strict=True)]
    assert np.mean(same) >= 0.98 * 5
    assert probed.recall >= 0.99


@pytest.mark.parametrize("exact", [True, False])
def test_so_many_links_that_some_are_let_go(
    monkeypatch: pytest.MonkeyPatch, *, exact: bool
) -> None:
    vectors = crowd(4000, centres=5, spread=0.05)
    whole = deduplicate(vectors, threshold=0.97, exact=exact)
    monkeypatch.setattr(duplicates, "MAX_LINKS", 1000)
    monkeypatch.setattr("edge_embed.tasks.neighbours._BLOCK", 256)
    monkeypatch.setattr("edge_embed.tasks.neighbours._PROBE_BLOCK", 256)
    monkeypatch.setattr("edge_embed.tasks.neighbours._HELD", 2000)  # larger blocks are given up
    thin = deduplicate(vectors, threshold=0.97, exact=exact)
    assert not thin.complete
    assert thin.kept.tolist() == whole.kept.tolist()
    assert [(p.row, p.partner) for p in thin.duplicates] == [
        (p.row, p.partner) for p in whole.duplicates
    ]
    assert len(thin.links) < 10_000 < len(whole.links)
    with pytest.raises(InputError, match="run again"):
        thin.rethreshold(0.99)


def test_an_inverted_file_of_vectors_that_are_all_the_same() -> None:
    vectors = np.ones((3000, 8), np.float32)
    vectors[1::3] = 0
    result = deduplicate(vectors, threshold=0.9, exact=False)
    assert result.kept.tolist() == [0, *range(1, 3000, 3)]  # zeros are like nothing
    inverted = InvertedFile.fit(Rows(vectors), np.arange(3000))
    visits = sum(len(rows) for _, rows in inverted.probed(inverted.rotate(vectors), 16))
    assert visits == 16 * 3000


def test_against_a_reference_set() -> None:
    reference = crowd(5, seed=1)
    new = np.concatenate([reference[[3, 3]], -reference[[0, 0]]])
    result = deduplicate(new, threshold=0.99, against=reference)
    assert result.kept.tolist() == [2]
    assert [(p.row, p.partner, p.reference) for p in result.duplicates] == [
        (0, 3, True),
        (1, 3, True),
        (3, 2, False),
    ]
    assert [p.score for p in result.duplicates] == pytest.approx([1, 1, 1])
    # References link no two new records; nor are they deduplicated themselves.
    assert deduplicate(new[2:3], threshold=0.5, against=reference[[0, 0]]).kept.tolist() == [0]


def test_edges() -> None:
    assert facts(deduplicate(np.empty((0, 4), np.float32))) == [[], (), []]
    assert deduplicate(np.ones((1, 4), np.float32)).kept.tolist() == [0]
    same = deduplicate(np.ones((9, 4), np.float32), threshold=1)
    assert (same.kept.tolist(), len(same.duplicates)) == ([0], 8)
    different = deduplicate(np.eye(9, dtype=np.float32), threshold=0.1)
    assert different.kept.tolist() == list(range(9))
    zeros = deduplicate(np.zeros((3, 4), np.float32))  # alike to nothing
    assert zeros.kept.tolist() == [0, 1, 2]


def test_a_memory_map_of_half_floats(tmp_path: object) -> None:
    path = f"{tmp_path}/vectors"
    vectors = crowd(300).astype(np.float16)
    np.memmap(path, np.float16, "w+", shape=vectors.shape)[:] = vectors
    mapped = np.memmap(path, np.float16, "r", shape=vectors.shape)
    assert facts(deduplicate(mapped)) == facts(deduplicate(vectors.astype(np.float32)))


@pytest.mark.parametrize(
    ("vectors", "options", "part"),
    [
        (np.ones(4), {}, "one array"),
        ([[1.0]], {}, "one array"),
        (np.ones((2, 4), np.int8), {}, "should be floats"),
        (np.array([[1, 2], [np.nan, 1]]), {}, "vector 1 has values that are no numbers"),
        (np.array([[1, 2], [np.inf, 1]]), {}, "vector 1 has values that are no numbers"),
        (np.ones((2, 4)), {"threshold": 0.0}, "threshold is 0.0"),
        (np.ones((2, 4)), {"threshold": 1.1}, "threshold is 1.1"),
        (np.ones((2, 4)), {"threshold": float("nan")}, "threshold is nan"),
        (np.ones((2, 4)), {"against": np.ones((2, 5))}, "5 and 4 dimensions"),
        (np.ones((2, 4)), {"order": np.array([0, 0])}, "each of the 2 rows once"),
    ],
)
def test_bad_input(vectors: Floats, options: dict[str, object], part: str) -> None:
    with pytest.raises(InputError, match=part):
        deduplicate(vectors, **options)  # type: ignore[arg-type]


def test_a_lower_threshold_is_refused() -> None:
    with pytest.raises(InputError, match="needs a new run"):
        deduplicate(crowd(5), threshold=0.9).rethreshold(0.8)


@MANY
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_connected_components(edges: list[tuple[int, int]]) -> None:
    scipy = pytest.importorskip("scipy.sparse.csgraph")
    matrix = np.zeros((20, 20), np.int8)
    for a, b in edges:
        matrix[a, b] = 1
    count, labels = scipy.connected_components(matrix, directed=False)
    left, right = (np.array([e[i] for e in edges], np.intp) for i in (0, 1))
    found = connected_components(left, right, 20)
    assert len(set(found.tolist())) == count
    for label in range(count):
        members = np.flatnonzero(labels == label)
        assert set(found[members].tolist()) == {int(members.min())}


def test_progress_counts_every_row() -> None:
    seen: list[int] = []
    deduplicate(crowd(5000), progress=seen.append)
    assert sum(seen) == 5000
    assert len(seen) > 1


def test_links_are_yielded_in_the_order_of_rank() -> None:
    search = LinkSearch(Rows(crowd(5000)), np.arange(5000), 0.9)
    before = 0
    for end, links in search:
        assert ((links.left >= before) & (links.left < end)).all()
        assert (links.right < links.left).all()
        before = end
    assert before == 5000
