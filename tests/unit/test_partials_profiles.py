"""Field profiles: exact where few values are, estimated where many are, the same after a merge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from workbench.ingest.derive import shaped
from workbench.partials.profiles import SKETCH, TOP, FieldProfile, merge_profiles, profiles

START = datetime(2025, 6, 12, tzinfo=UTC)


def documents(values: list[Any], segments: list[str] | None = None, kind: Any = None) -> pl.DataFrame:
    return pl.DataFrame(
        {"f": pl.Series(values, dtype=kind), "_segment": segments or ["2025-06-12"] * len(values)}
    ).with_columns(_id=pl.int_range(pl.len()), _ts=pl.lit(START))


def merged(*frames: pl.DataFrame, kind: Any = "string", rows: int | None = None) -> FieldProfile:
    tables = [shaped(profiles({"Login": frame}), "profiles") for frame in frames]
    count = sum(frame.height for frame in frames) if rows is None else rows
    return merge_profiles(tables, {"Login": {"f": kind}}, {"Login": count})["Login", "f"]


def test_one_segment_by_hand() -> None:
    found = profiles({"Login": documents(["b", "a", "b", None, "c", "a"])})
    (row,) = found.to_dicts()
    assert {k: row[k] for k in ("segment", "type", "field", "rows", "nulls", "minimum", "maximum")} == {
        "segment": "2025-06-12",
        "type": "Login",
        "field": "f",
        "rows": 6,
        "nulls": 1,
        "minimum": "a",
        "maximum": "c",
    }
    assert row["top"] == [
        {"value": "a", "events": 2}, {"value": "b", "events": 2}, {"value": "c", "events": 1}
    ]  # fmt: skip
    assert len(row["hashes"]) == 3
    assert row["hashes"] == sorted(row["hashes"])


def test_what_documents_carry_for_themselves_has_no_profile() -> None:
    frame = documents(["a"]).with_columns(
        _hash=pl.lit(1, pl.UInt64),
        _ts_text=pl.lit("x"),
        _extra=pl.lit(None, pl.List(pl.Struct({"key": pl.String, "value": pl.String}))),
        _original=pl.struct(pl.lit("y").alias("f")),
    )
    assert profiles({"Login": frame})["field"].to_list() == ["f"]


def test_texts_are_the_sources_and_ends_are_of_the_values() -> None:
    frame = documents([1.5, None, 20.0, 3.0], kind=pl.Float64).with_columns(
        _original=pl.Series([{"f": "1.50"}, {"f": "n/a"}, {"f": None}, {"f": None}])
    )
    found = merged(frame, kind="float64")
    assert (found.nulls, found.distinct, found.minimum, found.maximum) == (0, 4, "1.5", "20")
    assert [value for value, _ in found.top] == ["1.50", "20", "3", "n/a"]


def test_a_segment_without_the_field_counts_as_null() -> None:
    one = documents(["a", "b"])
    other = documents([None], kind=pl.String)
    found = merged(one, other, rows=5)
    assert (found.rows, found.nulls, found.distinct, found.exact) == (5, 3, 2, True)


@pytest.mark.parametrize(
    ("kind", "one", "other", "ends"),
    [
        ("int64", [9, 10], [100, -7], ("-7", "100")),
        ("int64", [2**53], [2**53 + 1], (str(2**53), str(2**53 + 1))),
        ("float64", [9.5, 1e300], [-0.25, 1e-300], ("-0.25", "1e+300")),
        ("string", ["9", "10"], ["100", "b"], ("10", "b")),
        ("bool", [True], [False], ("false", "true")),
    ],
)
def test_ends_compare_as_the_fields_type_does(
    kind: str, one: list[Any], other: list[Any], ends: tuple[str, str]
) -> None:
    found = merged(documents(one), documents(other), kind=kind)
    assert (found.minimum, found.maximum) == ends
    assert merged(documents(one + other), kind=kind) == found


def test_times_with_a_fraction_come_after_those_without() -> None:
    whole, half = START, START + timedelta(milliseconds=500)
    found = merged(documents([whole]), documents([half]), kind="timestamp")
    assert (found.minimum, found.maximum) == ("2025-06-12T00:00:00Z", "2025-06-12T00:00:00.500Z")


@pytest.mark.parametrize("number", [1, TOP, 500, SKETCH - 1])
def test_below_the_sketchs_size_the_number_of_values_is_exact(number: int) -> None:
    values = [f"v{i}" for i in range(number)] * 2
    assert merged(documents(values)).distinct == number
    halves = documents(values[: number // 2 + 1] * 2), documents(values)
    assert merged(*halves).distinct == number


@pytest.mark.parametrize("number", [2_000, 20_000, 200_000])
def test_above_it_the_estimate_is_within_ten_percent(number: int) -> None:
    """The standard error is 3 %: ten percent are three of them, and the hash is the same in every run."""
    found = merged(documents([f"value-{i}" for i in range(number)]))
    assert not found.exact
    assert abs(found.distinct - number) <= 0.1 * number


def test_overlapping_segments_do_not_count_a_value_twice() -> None:
    values = [f"value-{i}" for i in range(6_000)]
    found = merged(documents(values[:4_000]), documents(values[2_000:]), documents(values))
    assert found.distinct == merged(documents(values)).distinct
    assert abs(found.distinct - 6_000) <= 600


def test_the_most_frequent_values_come_first_and_say_whether_they_are_all() -> None:
    few = [f"v{i:02}" for i in range(TOP - 1) for _ in range(i + 1)]
    found = merged(documents(few[::2]), documents(few[1::2]))
    assert found.exact
    assert found.top[0] == (f"v{TOP - 2:02}", TOP - 1)
    assert [events for _, events in found.top] == list(range(TOP - 1, 0, -1))
    many = merged(documents([f"v{i}" for i in range(TOP + 1)]))
    assert (len(many.top), many.exact, many.top_exact) == (TOP, True, False)


def test_no_tables_no_profiles() -> None:
    assert merge_profiles([], {}, {}) == {}


@pytest.mark.parametrize("often", [0, 10, 5_000])
def test_of_very_many_values_the_most_frequent_are_those_of_a_full_sort(often: int) -> None:
    values = [f"v{n * 7_919 % 10_007:05}" for n in range(10_007)]
    counts = dict.fromkeys(values, 1) | dict.fromkeys(values[:often], 3)
    log = [value for value, events in counts.items() for _ in range(events)]
    (row,) = profiles({"Login": documents(log)}).to_dicts()
    expected = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:TOP]
    assert [(t["value"], t["events"]) for t in row["top"]] == expected
