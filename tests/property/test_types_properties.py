"""The promise of field types: whatever a source wrote, and whatever came later, is given back."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, get_args

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.config.entity_schema import EntitySchema
from workbench.partials.documents import field_text, type_fields
from workbench.partials.stored import align, concat_documents
from workbench.partials.types import FieldType, convert, infer, widen

if TYPE_CHECKING:
    from collections.abc import Sequence

TYPES: tuple[FieldType, ...] = get_args(FieldType)

digits = st.integers(min_value=-(10**25), max_value=10**25).map(str)
decorated = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-", "+", "0", "00", " ", "--"]),
    st.integers(0, 10**22).map(str),
    st.sampled_from(["", ".", ".0", ".50", ".1234567890123456789", ",5"]),
    st.sampled_from(["", "e5", "E-300", "e400", "e+07", "e", "f", "_000"]),
)
floats = st.floats().map(repr)
times = st.builds(
    "{}-{}-{}{}{}:{}{}{}".format,
    st.sampled_from(["2013", "0000", "0001", "1969", "9999", "213", "12013"]),
    st.sampled_from(["01", "03", "11", "13", "00"]),
    st.sampled_from(["03", "10", "31", "00"]),
    st.sampled_from(["T", " ", "t", ""]),
    st.sampled_from(["00", "01", "02", "23", "24"]),
    st.sampled_from(["00", "30", "59", "60"]),
    st.sampled_from(["", ":00", ":60", ":07.5", ":07.500", ":07.123456", ":07.123456789"]),
    st.sampled_from(["", "Z", "+00:00", "-04:00", "+0530", "+05", " UTC", "z"]),
)
booleans = st.sampled_from(["true", "True", "TRUE", "1", "yes", "Yes", "false", "0", "no", "maybe", "on"])
edges = st.sampled_from(
    ["0", "-0", "0.0", "-0.0", "007", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
     "9007199254740993", "123456789012345678", "1e308", "1e309", "NaN", "inf", "Infinity", "0x10", "1_000",
     "١٢", "½", "1e-324", "4.9e-324", "0.1", "0.30000000000000004", "100", "1e2", "12345678901234567.0"]
)  # fmt: skip
nasty = st.one_of(digits, decorated, floats, times, booleans, edges, st.text(min_size=1, max_size=6))
columns = st.lists(st.none() | nasty, min_size=1, max_size=30)
zones = st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu"])


def texts(frame: pl.DataFrame) -> list[str | None]:
    return frame.select(field_text(frame, "f").alias("text"))["text"].to_list()


def typed(values: Sequence[str | None], kind: FieldType, zone: str = "UTC") -> pl.DataFrame:
    column, original = convert(pl.Series("f", values, pl.String), kind, timezone=zone)
    frame = pl.DataFrame([column])
    return (
        frame if original is None else frame.with_columns(pl.struct(original.alias("f")).alias("_original"))
    )


@given(columns, st.sampled_from([t for t in TYPES if t != "null"]), zones)
def test_every_type_gives_back_every_text(values: list[str | None], kind: FieldType, zone: str) -> None:
    assert texts(typed(values, kind, zone)) == values


@given(st.lists(st.none() | edges | digits | floats, min_size=1, max_size=5), st.booleans(), zones)
def test_columns_that_are_mostly_clean_give_back_their_text(
    odd: list[str | None], boolean: bool, zone: str
) -> None:
    """A thousand clean values for each odd one: the column takes a type and keeps the odd text."""
    for clean in ("5", "2.5", "2013-03-10T12:00:00Z", "true"):
        values = [clean] * 6000 + odd
        column = pl.Series("f", values, pl.String)
        kind = infer(column, boolean=boolean and clean == "true", timezone=zone)
        assert texts(typed(values, kind, zone)) == values


@given(columns, zones)
def test_a_type_is_inferred_only_where_nearly_all_values_have_it(values: list[str | None], zone: str) -> None:
    column = pl.Series("f", values, pl.String)
    kind = infer(column, timezone=zone)
    if kind == "null":
        assert column.null_count() == len(column)
        return
    assert convert(column, kind, timezone=zone)[0].null_count() == column.null_count()


@given(st.lists(columns, min_size=1, max_size=4), st.booleans())
def test_batches_that_widen_a_field_give_back_every_text(
    batches: list[list[str | None]], boolean: bool
) -> None:
    """What was stored under an earlier type reads as it was written, under the type of the latest batch."""
    schema = EntitySchema.model_validate({"fields": {"booleans": ["f"] if boolean else []}})
    fields: dict[str, FieldType] = {}
    stored = []
    for values in batches:
        result = type_fields(pl.DataFrame({"f": values}, schema={"f": pl.String}), fields, schema)
        fields = result.fields
        frame = result.frame if "f" in result.frame.columns else pl.DataFrame({"f": values}, {"f": pl.String})
        stored.append(frame)
    read = concat_documents([align(frame, fields) for frame in stored])
    assert texts(read) == [value for values in batches for value in values]
    if fields["f"] == "string":
        assert read["f"].to_list() == [value for values in batches for value in values]


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_native_integers_survive_a_wider_type(values: list[int | None]) -> None:
    stored = pl.DataFrame({"f": values}, schema={"f": pl.Int64})
    expected = [None if v is None else str(v) for v in values]
    assert texts(align(stored, {"f": "float64"})) == expected
    assert texts(align(align(stored, {"f": "float64"}), {"f": "string"})) == expected
    assert align(stored, {"f": "string"})["f"].to_list() == expected


@given(st.lists(st.sampled_from(["5", "-7", "9007199254740993", "x"]), min_size=1, max_size=8))
def test_odd_texts_survive_together_with_long_integers(values: list[str]) -> None:
    stored = typed(values, "int64")
    assert texts(align(stored, {"f": "float64"})) == values


@given(st.sampled_from(TYPES), st.sampled_from(TYPES), st.sampled_from(TYPES))
def test_widening_is_a_join(a: FieldType, b: FieldType, c: FieldType) -> None:
    assert widen(a, b) == widen(b, a)
    assert widen(a, widen(b, c)) == widen(widen(a, b), c)
    assert widen(a, a) == a
    assert widen(a, "null") == a
    assert widen(a, "string") == "string"


@pytest.mark.parametrize(("a", "b"), list(product(TYPES, TYPES)))
def test_only_numbers_meet_below_text(a: FieldType, b: FieldType) -> None:
    expected = {a, b} - {"null"}
    if expected == {"int64", "float64"}:
        assert widen(a, b) == "float64"
    elif len(expected) == 2:
        assert widen(a, b) == "string"
    else:
        assert widen(a, b) == (expected.pop() if expected else "null")
