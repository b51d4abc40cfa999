"""Edges summed range by range, and in the order in which they come in, against plain Python."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.graph import incoming, ranges
from workbench.graph.ranges import Ties, edges_of
from workbench.graph.traversal import Adjacency

Row = tuple[int, int, int, int, int]

number = st.integers(0, 6)
row = st.tuples(number, number, st.integers(0, 2), st.integers(0, 5), st.integers(0, 9))
segments = st.lists(st.tuples(st.lists(row, max_size=12), st.booleans()), max_size=4)


def ties(rows: list[Row], *, wide: bool) -> Ties:
    source, target, kind, weight, moment = np.array(rows, np.int64).reshape(-1, 5).T
    return Ties(
        source.astype(np.int32),
        target.astype(np.int32),
        kind.astype(np.int32 if wide else np.uint8),
        weight if wide else weight.astype(np.int32),
        moment,
        moment + weight,
    )


@given(
    found=segments,
    rows=st.sampled_from([1, 3, 1_000]),
    pieces=st.sampled_from([0, 2, 64]),
    kinds=st.sampled_from([3, 2**55]),
)
def test_edges_are_summed_range_by_range(
    found: list[tuple[list[Row], bool]], rows: int, pieces: int, kinds: int
) -> None:
    """Whatever the ranges and pieces; so many kinds that the order of a range is not a part of its keys."""
    expected: dict[tuple[int, int, int], tuple[int, int, int]] = {}
    for source, target, kind, weight, moment in (r for segment, _ in found for r in segment):
        count, first, last = expected.get((source, target, kind), (0, moment, moment + weight))
        expected[source, target, kind] = count + weight, min(first, moment), max(last, moment + weight)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "_ROWS", rows)
        patch.setattr(ranges, "_PIECES", pieces)
        edges = edges_of([ties(segment, wide=wide) for segment, wide in found], 7, kinds)
    keys = zip(*(column.tolist() for column in edges[:3]), strict=True)
    counted = edges.counted
    told = zip(counted.count.tolist(), counted.first.tolist(), counted.last.tolist(), strict=True)
    assert list(zip(keys, told, strict=True)) == sorted(expected.items())
    assert {column.dtype for column in edges[:3]} == {np.dtype(np.int32)}


@given(
    found=st.lists(
        st.tuples(number, number, st.sampled_from([1, 2, 3, 2**16 - 1, 2**16, 2**40])), max_size=30
    ),
    block=st.sampled_from([1, 4, 1_000]),
    most=st.sampled_from([0, 2**63]),
    computed=st.booleans(),
)
def test_edges_come_in_heaviest_first(
    found: list[tuple[int, int, int]], block: int, most: int, computed: bool
) -> None:
    """Beyond 16 bits they are equally heavy, and stand in their order; whether or not keys have room.

    What was computed weighs fractions, which are told apart.
    """
    rows = sorted(found)
    source, target, weight = np.array(rows, np.int64).reshape(-1, 3).T
    weights = weight / 2**20 if computed else weight
    ends = {"source": source.astype(np.int32), "target": target.astype(np.int32), "weight": weights}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(incoming, "_BLOCK", block)
        patch.setattr(incoming, "_MOST", most)
        both = Adjacency.of(pa.table(ends), 7)
    heaviest = 2**40 if computed else 2**16 - 1
    order = sorted(range(len(rows)), key=lambda row: (rows[row][1], -min(rows[row][2], heaviest), row))
    assert both.into.rows.tolist() == order
    assert both.into.far.tolist() == [rows[row][0] for row in order]
    assert both.out.far.tolist() == target.tolist()
    for side, near in ((both.out, source), (both.into, target)):
        counts = np.bincount(near, minlength=7) if rows else np.zeros(7)
        assert np.diff(side.indptr).tolist() == counts.tolist()
    assert {both.into.rows.dtype, both.into.far.dtype} == {np.dtype(np.int32)}
    assert {both.into.indptr.dtype, both.out.indptr.dtype} == {np.dtype(np.int64)}
