"""Types of fields with values worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pytest

from workbench.partials.types import canonical_text, convert, infer, parse_times, polars_type, type_of


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def text_of(column: pl.Series) -> list[str | None]:
    return pl.DataFrame({"v": column}).select(canonical_text(pl.col("v"), column.dtype)).to_series().to_list()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([None, None], "null"),
        (["1", "-20", None, "0"], "int64"),
        (["9223372036854775807"], "int64"),
        (["9223372036854775808"], "string"),  # beyond 64 bits, and a float would be another number
        (["12345678901234567890", "1.5"], "string"),
        (["007"], "string"),
        (["+1"], "string"),
        (["1_000"], "string"),
        (["\u0661"], "string"),
        (["1.50", "2"], "float64"),
        (["1e5", "-2.5E-3"], "float64"),
        (["1e400"], "string"),
        (["NaN"], "string"),
        (["1,5"], "string"),
        (["2013-01-01T10:00:00Z", "2013-01-01 10:00", "2013-01-01T10:00:00.5+05:30"], "timestamp"),
        (["2013-01-01"], "string"),
        (["2013-02-30T10:00:00Z"], "string"),
        (["1", "2013-01-01T10:00:00Z"], "string"),
        (["true", "false"], "string"),
    ],
)
def test_the_narrowest_type_that_loses_nothing(values: list[str | None], expected: str) -> None:
    assert infer(pl.Series(values, dtype=pl.String)) == expected


@pytest.mark.parametrize(("odd", "expected"), [(1, "int64"), (2, "string")])
def test_over_999_in_1000_must_parse(odd: int, expected: str) -> None:
    """One odd value in 1,001 is a share of 0.99900…1; two in 1,002 are 0.998."""
    column = pl.Series(["5"] * 1000 + ["n/a"] * odd)
    assert infer(column) == expected
    values, original = convert(column, "int64")
    assert original is not None
    assert values.null_count() == original.drop_nulls().len() == odd
    assert original.drop_nulls().to_list() == ["n/a"] * odd


def test_a_column_that_begins_clean_is_read_to_its_end() -> None:
    assert infer(pl.Series(["5"] * 3000 + ["x"] * 3000)) == "string"


def test_booleans_are_what_the_schema_says() -> None:
    column = pl.Series(["true", "1", "YES", "False", "0", "no", None])
    assert infer(column, boolean=True) == "bool"
    values, original = convert(column, "bool")
    assert values.to_list() == [True, True, True, False, False, False, None]
    assert original is not None
    assert original.to_list() == [None, "1", "YES", "False", "0", "no", None]
    assert infer(pl.Series(["1", "2"]), boolean=True) == "string"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2013-03-10T12:00:00Z", at(2013, 3, 10, 12)),
        ("2013-03-10 12:00:00+00:00", at(2013, 3, 10, 12)),
        ("2013-03-10T12:00:00.123456-0430", at(2013, 3, 10, 16, 30, 0, 123456)),
        ("2013-03-10T12:00:00.5", at(2013, 3, 10, 16, 0, 0, 500_000)),
        ("2013-03-10 12:00", at(2013, 3, 10, 16)),
        ("2013-03-10 12:00+02", at(2013, 3, 10, 10)),
        ("2013-01-10", at(2013, 1, 10, 5)),
        ("2013-03-10T01:59:59", at(2013, 3, 10, 6, 59, 59)),
        ("2013-03-10T02:30:00", None),  # the clocks went from 2 to 3: there was no such time
        ("2013-03-10T03:00:00", at(2013, 3, 10, 7)),
        ("2013-11-03T01:30:00", at(2013, 11, 3, 5, 30)),  # twice that night: the earlier
        ("2013-11-03T02:00:00", at(2013, 11, 3, 7)),
        ("2013-13-01T00:00:00Z", None),
        ("2013-02-29T00:00:00Z", None),
        ("10.03.2013 12:00", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_as_logs_write_them(text: str, expected: datetime | None) -> None:
    parsed = pl.select(parse_times(pl.lit(text), "America/New_York")).to_series()
    assert parsed.to_list() == [expected]


def test_texts_of_typed_values() -> None:
    assert text_of(pl.Series([1.0, -0.5, 2.0**53, 1e300, None])) == [
        "1", "-0.5", "9007199254740992.0", "1e+300", None
    ]  # fmt: skip
    assert text_of(pl.Series([True, False, None])) == ["true", "false", None]
    assert text_of(pl.Series([5, -7])) == ["5", "-7"]
    times = pl.Series([at(2013, 1, 1), at(2013, 1, 1, 0, 0, 0, 5)], dtype=pl.Datetime("us", "UTC"))
    assert text_of(times) == ["2013-01-01T00:00:00Z", "2013-01-01T00:00:00.000005Z"]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pl.Series([None], dtype=pl.Int64), "null"),
        (pl.Series([True]), "bool"),
        (pl.Series([1], dtype=pl.UInt8), "int64"),
        (pl.Series([1.5], dtype=pl.Float32), "float64"),
        (pl.Series([Decimal("1.5")]), "float64"),
        (pl.Series([at(2013, 1, 1)]), "timestamp"),
        (pl.Series([date(2013, 1, 1)]), "timestamp"),
        (pl.Series([time(1)]), "string"),
        (pl.Series([timedelta(1)]), "string"),
        (pl.Series(["x"]), "string"),
    ],
)
def test_types_of_columns_that_have_one(column: pl.Series, expected: str) -> None:
    assert type_of(column) == expected


def test_a_column_of_the_right_type_is_left_alone() -> None:
    column = pl.Series("f", [1, None])
    assert convert(column, "int64") == (column, None) or convert(column, "int64")[0] is column
    assert convert(column, "int64")[1] is None


def test_native_values_convert_without_loss() -> None:
    values, original = convert(pl.Series("f", [5, 2**53 + 1, None]), "float64")
    assert values.name == "f"
    assert values.to_list() == [5.0, float(2**53), None]
    assert original is not None
    assert original.to_list() == [None, "9007199254740993", None]
    assert convert(pl.Series([5]), "float64")[1] is None
    assert convert(pl.Series([1.0, 2.5]), "string")[0].to_list() == ["1", "2.5"]
    assert convert(pl.Series([True]), "string")[0].to_list() == ["true"]


@pytest.mark.parametrize("kind", ["null", "bool", "int64", "float64", "timestamp", "string"])
def test_an_empty_column_takes_any_type(kind: str) -> None:
    values, original = convert(pl.Series([None], dtype=pl.String), kind)  # type: ignore[arg-type]
    assert values.dtype == polars_type(kind)  # type: ignore[arg-type]
    assert (values.to_list(), original) == ([None], None)
