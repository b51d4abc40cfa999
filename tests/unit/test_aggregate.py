"""Rows grouped by the kernel: against plain Python, on the CPU bit for bit, and how a fallback is told."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.analysis.grouping import Grouping
from workbench.compute import KernelRun, Rows, backends, run
from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.compute import Measure

CPU = backends.create("cpu")
ASKED: dict[str, Measure] = {
    "n": ("rows", ""),
    "values": ("count", "value"),
    "kinds": ("distinct", "value"),
    "total": ("sum", "value"),
    "least": ("min", "value"),
    "most": ("max", "value"),
}
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["", "a", "b", "ü", None]),
        st.sampled_from([True, False, None]),
        st.integers(-3, 3) | st.none(),
    ),
    max_size=40,
)


def nulls_last(key: tuple[str | None, bool | None]) -> tuple[Any, ...]:
    word, flag = key
    return word is None, word or "", flag is None, bool(flag)


def by_hand(rows: list[tuple[Any, Any, Any]]) -> list[dict[str, Any]]:
    groups = defaultdict(list)
    for word, flag, value in rows:
        groups[word, flag].append(value)
    found = []
    for word, flag in sorted(groups, key=nulls_last):
        values = [value for value in groups[word, flag] if value is not None]
        found.append(
            {
                "word": word,
                "flag": flag,
                "n": len(groups[word, flag]),
                "values": len(values),
                "kinds": len(set(values)),
                "total": sum(values),
                "least": min(values, default=None),
                "most": max(values, default=None),
            }
        )
    return found


@given(ROWS, st.integers(1, 9), st.integers(1, 9))
def test_groups_are_those_made_by_hand(rows: list[tuple[Any, Any, Any]], part: int, batch: int) -> None:
    schema = pa.schema({"word": pa.string(), "flag": pa.bool_(), "value": pa.int8()})
    records = [dict(zip(schema.names, row, strict=True)) for row in rows]
    table = pa.Table.from_pylist(records, schema)
    coded = table.set_column(0, "word", table["word"].dictionary_encode())
    parts = [coded.slice(start, part) for start in range(0, max(len(rows), 1), part)]
    found = CPU.aggregate(Rows(parts), by=["word", "flag"], measures=ASKED, batch=batch)[0]
    assert found.to_pylist() == by_hand(rows)


def test_sums_of_fractions_are_the_same_each_time() -> None:
    draw = np.random.default_rng(3)
    rows = Rows([pa.table({"key": draw.integers(0, 5, 300_000), "value": draw.normal(size=300_000)})])
    first, second = (CPU.aggregate(rows, by=["key"], measures={"t": ("sum", "value")})[0] for _ in range(2))
    assert first.equals(second)


def test_parts_that_can_be_read_once_only_are_refused() -> None:
    with pytest.raises(UsageError, match="once only"):
        Rows(iter([pa.table({"key": [1]})]))
    with pytest.raises(UsageError, match="no rows to group"):
        CPU.aggregate(Rows([]), by=["key"], measures={})


def test_the_parts_are_read_as_they_are_needed() -> None:
    class Parts:
        """Tables that are made when they are asked for."""

        held = 0

        def __iter__(self) -> Any:
            for number in range(6):
                yield pa.table({"key": [number, number]})

    found = run(
        backends, "cpu", "aggregate", Rows(Parts()), by=["key"], measures={"n": ("rows", "")}, batch=2
    )
    assert found.table["n"].to_pylist() == [2] * 6
    assert found.metrics == {"groups": 6, "rows": 12, "batches": 6}


def test_a_device_that_gives_up_half_way_is_told() -> None:
    group = Grouping("cpu")
    assert (group.device, group.reason, group.memory, group.versions) == ("cpu", "", 0, {})
    none = pl.DataFrame().to_arrow()
    group._runs = [
        KernelRun(none, "gpu", "", 0.1, versions={"cudf": "26.10"}, memory=7),
        KernelRun(none, "cpu", "gpu: out of device memory", 0.1, versions={"pyarrow": "26"}, memory=5),
    ]
    assert (group.device, group.reason) == ("cpu", "gpu: out of device memory")
    assert (group.memory, group.versions) == (7, {"cudf": "26.10", "pyarrow": "26"})
