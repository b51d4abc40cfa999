"""Records to documents: names, nulls, native types, times, rejects, identifiers, worked out by hand."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from workbench.config.entity_schema import EntitySchema
from workbench.errors import SourceError
from workbench.partials.documents import (
    DAY_US,
    HASH_BITS,
    assign_ids,
    content_hash,
    field_text,
    normalise,
    type_fields,
)

if TYPE_CHECKING:
    from workbench.partials.documents import Records

NOON = "2025-06-12T12:00:00Z"


def schema(**spec: Any) -> EntitySchema:
    return EntitySchema.model_validate(spec)


def records(columns: dict[str, Any], **spec: Any) -> Records:
    rows = len(next(iter(columns.values())))
    table = pa.table({**({} if "time" in columns else {"time": [NOON] * rows}), **columns})
    return normalise(table, "Login", schema(**spec))


def field(column: Any, name: str = "f", **spec: Any) -> list[Any]:
    return records({name: column}, **spec).frame[name].to_list()


def extra(found: Records) -> list[dict[str, str]]:
    return [
        {} if pairs is None else {p["key"]: p["value"] for p in pairs}
        for pairs in found.frame["_extra"].to_list()
    ]


class TestNulls:
    def test_null_words_and_blanks_are_null_after_trimming(self) -> None:
        given = [
            "None",
            "null",
            " undefined\t",
            "NaN",
            "",
            "   ",
            None,
            "NULL",
            "none",
            "null and void",
            " x ",
        ]
        assert field(given) == [None] * 7 + ["NULL", "none", "null and void", "x"]

    def test_a_schema_has_null_words_of_its_own(self) -> None:
        assert field(["NA", "null", ""], nulls=["NA"]) == [None, "null", ""]

    def test_a_number_that_is_none_is_null_too(self) -> None:
        assert field(pa.array([1.5, float("nan"), None, float("inf")])) == [1.5, None, None, float("inf")]


class TestNames:
    def test_three_spellings_are_one_field_and_a_contradiction_is_kept(self) -> None:
        found = records(
            {
                "affiliateId": ["a", None, None, "a", None],
                "affiliateid": ["a", "b", None, "x", None],
                "affiliateID": [None, "b", "c", "y", "null"],
            },
            fields={"aliases": {"affiliateId": ["affiliateid", "affiliateID"]}},
        )
        assert found.frame["affiliateId"].to_list() == ["a", "b", "c", "a", None]
        assert extra(found) == [{}, {}, {}, {"affiliateid": "x", "affiliateID": "y"}, {}]
        assert found.findings == ()

    def test_spellings_of_different_types_are_compared_as_text(self) -> None:
        found = records({"n": pa.array([1, 2, None]), "N": ["1", "3", "4"]})
        assert set(found.frame.columns) == {"N", "_ts", "_hash", "_extra"}
        assert found.frame["N"].to_list() == ["1", "3", "4"]
        assert extra(found) == [{}, {"n": "2"}, {}]

    def test_html_in_a_column_name_goes_to_extra_and_is_reported(self) -> None:
        found = records({"<div>x</div>": ["1", None], "f": ["a", "b"], "y" * 200: pa.array([None, 7])})
        assert set(found.frame.columns) == {"f", "_ts", "_hash", "_extra"}
        assert extra(found) == [{"<div>x</div>": "1"}, {"y" * 200: "7"}]
        assert len(found.findings) == 2
        assert "'<div>x</div>'" in found.findings[0]

    def test_the_known_spelling_of_a_field_wins(self) -> None:
        table = pa.table({"time": [NOON], "PAGE": ["x"]})
        assert "page" in normalise(table, "Login", schema(), known=["page"]).frame.columns

    def test_reserved_names_are_kept_under_another(self) -> None:
        names = ["_id", "_TYPE", "_extra", "_original", "_hash", "_source", "_ts_text", "_segment", "segment"]
        found = records({name: [name] for name in names})
        kept = {name: value for name, (value,) in found.frame.to_dict(as_series=False).items()}
        assert {kept[f"source{name}"] for name in names[:-1]} == set(names[:-1])
        assert kept["segment"] == "segment"


class TestNativeTypes:
    @pytest.mark.parametrize(
        ("column", "expected"),
        [
            (pa.array([1, None], pa.int8()), [1, None]),
            (pa.array([2**32 - 1], pa.uint32()), [2**32 - 1]),
            (pa.array([2**63 - 1, None], pa.uint64()), [2**63 - 1, None]),
            (pa.array([2**63, 5], pa.uint64()), ["9223372036854775808", "5"]),
            (pa.array([1.5], pa.float32()), [1.5]),
            (pa.array([np.float16(0.5)], pa.float16()), [0.5]),
            (pa.array([True, None]), [True, None]),
            (pa.array([None, None]), [None, None]),
            (pa.array(["b", "a", "b"]).dictionary_encode(), ["b", "a", "b"]),
            (pa.array([b"\x00\xff", None]), ["00ff", None]),
            (pa.array([Decimal("1.50"), Decimal("-0.07")]), ["1.50", "-0.07"]),
            (pa.array([time(10, 0, 0, 1), time(23, 59)]), ["10:00:00.000001", "23:59:00"]),
            (pa.array([timedelta(hours=1, microseconds=1)]), ["PT1H0.000001S"]),
            (pa.array([date(2025, 6, 12), None]), [datetime(2025, 6, 12, tzinfo=UTC), None]),
        ],
        ids=str,
    )
    def test_become_the_types_that_a_field_can_have(self, column: pa.Array, expected: list[Any]) -> None:
        assert field(column) == expected

    def test_decimals_of_256_bits_are_text(self) -> None:
        number = "12345678901234567890123456789012345678901.50"
        assert field(pa.array([Decimal(number)], pa.decimal256(50, 2))) == [number]

    def test_a_type_that_no_field_can_have_is_a_bad_source(self) -> None:
        with pytest.raises(SourceError, match="interval"):
            records({"f": pa.array([(1, 2, 3)], pa.month_day_nano_interval())})

    def test_times_of_another_zone_are_the_same_moments(self) -> None:
        moments = pa.array([datetime(2025, 6, 12, 12, tzinfo=UTC)], pa.timestamp("ms", "Asia/Tokyo"))
        typed = type_fields(records({"f": moments}).frame, {}, schema())
        assert typed.fields["f"] == "timestamp"
        assert typed.frame["f"].to_list() == [datetime(2025, 6, 12, 12, tzinfo=UTC)]

    def test_times_without_a_zone_are_in_the_schemas(self) -> None:
        naive = pa.array([datetime(2013, 1, 10), datetime(2013, 7, 10)], pa.timestamp("us"))  # noqa: DTZ001
        found = field(naive, timestamp={"timezone": "America/New_York"})
        assert found == [datetime(2013, 1, 10, 5, tzinfo=UTC), datetime(2013, 7, 10, 4, tzinfo=UTC)]

    def test_a_native_time_that_was_skipped_by_the_clocks_is_not_lost(self) -> None:
        naive = pa.array([datetime(2013, 3, 10, 2, 30)], pa.timestamp("us"))  # noqa: DTZ001
        found = records({"f": naive}, timestamp={"timezone": "America/New_York"})
        frame = type_fields(found.frame, {}, schema()).frame
        assert frame.select(field_text(frame, "f")).item() == "2013-03-10T02:30:00"

    def test_nanoseconds_are_not_lost(self) -> None:
        found = records({"f": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns", "UTC"))})
        frame = type_fields(found.frame, {}, schema()).frame
        assert frame.select(field_text(frame, "f")).item() == "2023-11-14T22:13:20.123456789Z"


class TestTimes:
    """1,700,000,000 seconds since 1970 is 2023-11-14T22:13:20Z."""

    MOMENT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)

    def ts(self, column: Any, **spec: Any) -> list[datetime | None]:
        return records({"time": column, "f": ["x"] * len(column)}, **spec).frame["_ts"].to_list()

    @pytest.mark.parametrize("number", [1_700_000_000, 1_700_000_000_000, 1_700_000_000_000_000,
                                        1_700_000_000_000_000_000])  # fmt: skip
    def test_numbers_are_seconds_to_nanoseconds_by_their_size(self, number: int) -> None:
        assert self.ts(pa.array([number])) == [self.MOMENT]
        assert self.ts([str(number)]) == [self.MOMENT]
        assert self.ts(pa.array([float(number)])) == [self.MOMENT]

    def test_fractions_and_times_before_1970_are_numbers_too(self) -> None:
        assert self.ts(pa.array([1_700_000_000.5, -1.0])) == [
            self.MOMENT + timedelta(seconds=0.5),
            datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
        ]
        assert self.ts(["1700000000.25"]) == [self.MOMENT + timedelta(seconds=0.25)]

    @pytest.mark.parametrize(
        "text",
        [
            "2023-11-14T22:13:20Z",
            "2023-11-14 22:13:20",
            "2023-11-14T23:13:20+01:00",
            "2023-11-14T17:13:20-0500",
            " 2023-11-14T22:13:20.000Z ",
        ],
    )
    def test_text_is_iso_8601(self, text: str) -> None:
        assert self.ts([text]) == [self.MOMENT]

    def test_naive_times_are_in_the_schemas_zone_and_the_first_of_two(self) -> None:
        zone = {"timestamp": {"timezone": "America/New_York"}}
        twice = ["2013-11-03 01:30:00", "2013-11-03 00:30:00"]
        expected = [datetime(2013, 11, 3, 5, 30, tzinfo=UTC), datetime(2013, 11, 3, 4, 30, tzinfo=UTC)]
        assert self.ts(twice, **zone) == expected
        native = pa.array([datetime.fromisoformat(t) for t in twice], pa.timestamp("ms"))
        assert self.ts(native, **zone) == expected
        found = records({"time": ["2013-03-10 02:30:00", NOON]}, **zone)
        assert [number for number, _, _ in found.rejects] == [0]

    @pytest.mark.parametrize(
        "value", ["0000-01-01 00:00:00", "0001-01-01", "+12013-01-01 00:00:00", "0000-00-00 00:00:00", "12"]
    )
    def test_a_year_that_no_segment_can_have_is_no_time(self, value: str) -> None:
        found = records({"time": [value, NOON]})
        assert found.frame.height == 1
        assert found.rejects[0][2] == f"unreadable time in 'time': {value!r}"

    @pytest.mark.parametrize("number", [1e30, float("nan"), -1e30, float("inf")])
    def test_a_number_beyond_the_calendar_is_no_time(self, number: float) -> None:
        found = records({"time": pa.array([number, 1_700_000_000.0])})
        assert found.frame["_ts"].to_list() == [self.MOMENT]
        assert len(found.rejects) == 1

    def test_the_sources_spelling_is_kept_where_it_is_another(self) -> None:
        found = records({"time": ["2023-11-14T22:13:20Z", "2023-11-14 22:13:20", "1700000000"]})
        typed = type_fields(found.frame, {}, schema())
        assert typed.frame["_original"].struct.field("_ts").to_list() == [
            None, "2023-11-14 22:13:20", "1700000000"
        ]  # fmt: skip
        assert "_ts_text" not in typed.frame.columns
        assert "_original" not in type_fields(records({"time": [NOON]}).frame, {}, schema()).frame.columns

    def test_the_column_is_the_first_declared_one_whatever_its_case(self) -> None:
        two = {"ts": ["2023-11-14T22:13:20Z"], "Timestamp": [NOON]}
        table = pa.table(two)
        assert normalise(table, "x", schema()).frame["_ts"].to_list() == [self.MOMENT]
        declared = schema(timestamp={"fields": ["when", "timestamp"]})
        assert normalise(table, "x", declared).frame["ts"].to_list() == ["2023-11-14T22:13:20Z"]
        alias = schema(timestamp={"fields": "when"}, fields={"aliases": {"when": ["ts"]}})
        assert normalise(table, "x", alias).frame["_ts"].to_list() == [self.MOMENT]

    def test_without_a_time_column_the_source_is_bad_and_the_columns_are_named(self) -> None:
        with pytest.raises(SourceError, match=r"looked for when; the columns are a, b") as caught:
            normalise(pa.table({"a": [1], "b": [2]}), "x", schema(timestamp={"fields": "when"}))
        assert "timestamp.fields" in caught.value.fix

    def test_a_time_alone_makes_a_document(self) -> None:
        found = records({"time": [NOON, NOON]})
        assert set(found.frame.columns) == {"_ts", "_hash"}
        assert found.frame["_ts"].to_list() == [datetime(2025, 6, 12, 12, tzinfo=UTC)] * 2

    def test_reference_tables_need_none(self) -> None:
        found = normalise(
            pa.table({"tail": ["a", "b"], "time": ["x", "y"]}), "planes", schema(), timeless=True
        )
        assert found.frame["_ts"].to_list() == [None, None]
        assert found.frame["time"].to_list() == ["x", "y"]
        assert found.rejects == ()


def test_rejects_carry_their_row_as_it_was_and_the_reason() -> None:
    found = records(
        {
            "time": [NOON, "soon", None, "null", NOON],
            "f": [" a ", " b ", "c", None, "e"],
            "n": [1, 2, 3, 4, 5],
        }
    )
    assert found.frame["f"].to_list() == ["a", "e"]
    assert [(number, reason) for number, _, reason in found.rejects] == [
        (1, "unreadable time in 'time': 'soon'"),
        (2, "no time in 'time'"),
        (3, "no time in 'time'"),
    ]
    assert json.loads(found.rejects[0][1]) == {"time": "soon", "f": " b ", "n": 2}


class TestContentHash:
    def test_depends_on_names_values_and_type_of_event_but_not_on_order(self) -> None:
        frame = pl.DataFrame({"a": ["x", "y", None], "b": [1, None, 2]})
        same = frame.select("b", "a").with_columns(c=pl.lit(None, pl.String))
        first = content_hash(frame, "Login")
        assert content_hash(same, "Login").tolist() == first.tolist()
        assert len({*first.tolist(), *content_hash(frame, "Click").tolist()}) == 6
        swapped = frame.rename({"a": "b", "b": "a"})
        assert not set(content_hash(swapped, "Login").tolist()) & set(first.tolist())

    def test_equal_records_of_two_sources_have_equal_hashes(self) -> None:
        one = records({"a": ["x"], "b": ["1"]})
        two = records({"b": ["1", "2"], "a": ["x ", "x"], "c": ["", "z"]})
        assert one.frame["_hash"].to_list() == two.frame["_hash"].to_list()[:1]


class TestTypes:
    def test_fields_take_one_type_and_say_when_it_widens(self) -> None:
        found = records({"n": ["1", "2"], "t": ["a", "b"], "e": [None, None], "s": ["7", "8"]})
        typed = type_fields(
            found.frame, {"n": "float64", "t": "int64", "gone": "bool"}, schema(fields={"strings": ["s"]})
        )
        assert typed.fields == {
            "n": "float64", "t": "string", "e": "null", "s": "string", "gone": "bool"
        }  # fmt: skip
        assert typed.widened == ("t",)
        assert typed.frame["n"].to_list() == [1.0, 2.0]
        assert "e" not in typed.frame.columns
        assert "_original" not in typed.frame.columns

    def test_booleans_of_the_schema_may_be_digits(self) -> None:
        spec = schema(fields={"booleans": ["f"], "test_account": "t"})
        frame = records(
            {"f": pa.array([0, 1, None]), "t": ["1", "no", "true"], "n": pa.array([0, 1, 2])}
        ).frame
        typed = type_fields(frame, {}, spec)
        assert typed.fields == {"f": "bool", "t": "bool", "n": "int64"}
        assert typed.frame["f"].to_list() == [False, True, None]

    def test_texts_come_back_through_field_text(self) -> None:
        frame = type_fields(records({"f": ["1.50", "2", "007"]}).frame, {"f": "float64"}, schema()).frame
        assert frame.select(field_text(frame, "f"))["f"].to_list() == ["1.50", "2", "007"]
        frame = type_fields(records({"f": ["1.50", "2", "3"]}).frame, {}, schema()).frame
        assert frame["f"].to_list() == [1.5, 2.0, 3.0]
        assert frame["_original"].struct.field("f").to_list() == ["1.50", None, None]


class TestIdentifiers:
    @staticmethod
    def ids(rows: list[tuple[int, int]], taken: tuple[int, ...] = ()) -> list[int]:
        frame = pl.DataFrame(
            {"_ts": [us for us, _ in rows], "_hash": [h for _, h in rows]},
            schema={"_ts": pl.Int64, "_hash": pl.UInt64},
        ).with_columns(pl.col("_ts").cast(pl.Datetime("us", "UTC")))
        return assign_ids(frame, np.array(taken, dtype=np.int64)).to_list()

    def test_are_microseconds_of_the_day_and_26_bits_of_content(self) -> None:
        assert self.ids([(0, 5), (3 * DAY_US + 7, 2**26 + 9), (-1, 2**64 - 1)]) == [
            5,
            (7 << HASH_BITS) + 9,
            ((DAY_US - 1) << HASH_BITS) + 2**26 - 1,
        ]

    def test_a_clash_takes_the_next_free_one_in_order_of_content(self) -> None:
        high = 1 << 40
        assert self.ids([(0, 5 + 2 * high), (0, 5), (0, 5 + high)]) == [7, 5, 6]
        assert self.ids([(0, 5 + high), (0, 6), (0, 5)]) == [6, 7, 5]

    def test_taken_ones_are_passed_over(self) -> None:
        assert self.ids([(0, 5), (0, 8)], taken=(6, 5)) == [7, 8]
        assert self.ids([(0, 5), (0, 7)], taken=(5, 6)) == [7, 8]

    def test_none_are_given_to_nothing(self) -> None:
        assert self.ids([], taken=(1,)) == []
