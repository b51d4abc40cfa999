"""``db.scan`` gives what ``db.sql`` gives, for conditions of any form, over files of any age."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.engine import Engine
from workbench.errors import UsageError
from workbench.partials.stored import to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2025, 6, 10, tzinfo=UTC)
SEGMENTS = [f"2025-06-{day}" for day in (10, 11, 12)]
ROWS = 60
EXAMPLES = 40
COMPARED = {
    "==": ("=", operator.eq),
    "!=": ("<>", operator.ne),
    "<": ("<", operator.lt),
    "<=": ("<=", operator.le),
    ">": (">", operator.gt),
    ">=": (">=", operator.ge),
}
MOMENTS = st.integers(-1, 24 * 3 * 4).map(lambda quarter: START + timedelta(minutes=15 * quarter))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "number": st.integers(-2, ROWS + 2),
    "ratio": st.integers(-2, 14).map(lambda n: n / 2),
    "page": st.sampled_from(["", "p", "p0", "p3", "p6", "q"]),
    "late": st.integers(-1, 4),
    "good": st.booleans(),
    "_ts": MOMENTS,
    "_segment": st.sampled_from([*SEGMENTS, "2025-06-11x", "2030-01-01"]),
    "_type": st.sampled_from(["Click", "Login", "Lo", "None"]),
}


@dataclass(frozen=True)
class Condition:
    """One condition in both languages."""

    arrow: pc.Expression
    sql: str


def literal(value: Any) -> str:
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ '{value.isoformat(' ')}'"
    return f"'{value}'" if isinstance(value, str) else str(value)


def compared(column: str, sign: str, value: Any) -> Condition:
    words, compare = COMPARED[sign]
    known = pa.scalar(value, pa.timestamp("us", "UTC")) if isinstance(value, datetime) else value
    return Condition(compare(pc.field(column), known), f"({column} {words} {literal(value)})")


def among(column: str, values: list[Any]) -> Condition:
    listed = ", ".join(map(literal, values))
    return Condition(pc.field(column).isin(values), f"({column} IS NOT NULL AND {column} IN ({listed}))")


def simple(column: str) -> st.SearchStrategy[Condition]:
    null = Condition(pc.field(column).is_null(), f"({column} IS NULL)")
    signs = st.sampled_from(["==", "!="] if column == "good" else [*COMPARED])
    comparisons = st.builds(compared, st.just(column), signs, VALUES[column])
    if column in ("good", "_ts"):
        return comparisons | st.just(null)
    lists = st.lists(VALUES[column], min_size=1, max_size=3)
    return comparisons | st.just(null) | st.builds(among, st.just(column), lists)


def both(one: Condition, other: Condition) -> Condition:
    return Condition(one.arrow & other.arrow, f"({one.sql} AND {other.sql})")


def either(one: Condition, other: Condition) -> Condition:
    return Condition(one.arrow | other.arrow, f"({one.sql} OR {other.sql})")


def negated(one: Condition) -> Condition:
    return Condition(~one.arrow, f"(NOT {one.sql})")


CONDITIONS = st.recursive(
    st.sampled_from(list(VALUES)).flatmap(simple),
    lambda inner: st.builds(both, inner, inner) | st.builds(either, inner, inner) | st.builds(negated, inner),
    max_leaves=5,
)


def documents(day: int, name: str) -> pl.DataFrame:
    """Return a day's documents, by time as by number; what some days lack, others have."""
    numbers = list(range(ROWS))
    times = [START + timedelta(days=day, minutes=23 * n) for n in numbers]
    frame = pl.DataFrame(
        {
            "_id": [2 * n + (name == "Login") for n in numbers],
            "_ts": pl.Series(times, dtype=pl.Datetime("us", "UTC")),
            "number": [None if n % 11 == 5 else n for n in numbers],
            "page": [f"p{n % 7}" for n in numbers],
        }
    )
    if name == "Click":
        frame = frame.with_columns(ratio=pl.Series([n % 13 / 2 for n in numbers]), good=pl.col("number") > 30)
    if day == 0:  # stored when it was a whole number
        frame = frame.with_columns(ratio=pl.Series([n % 5 for n in numbers]))
    return frame if day == 1 else frame.with_columns(late=pl.Series([n // 20 for n in numbers]))


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = Engine.create(tmp_path_factory.mktemp("scan") / "w", timezone="America/New_York").path
    fields = {"number": "int64", "ratio": "float64", "page": "string", "late": "int64"}
    with Engine(path, timezone="America/New_York") as engine:
        with engine.store.writer() as writer:
            transaction = writer.begin()
            for day, segment in enumerate(SEGMENTS):
                for name in ("Click", "Login"):
                    frame = documents(day, name)
                    times = frame["_ts"].to_physical()
                    transaction.add(
                        "events",
                        to_arrow(frame, name),
                        segment=segment,
                        name=name,
                        times=(int(times[0]), int(times[-1])),
                        meta={"fields": frame.columns[2:]},
                        row_group=16,
                    )
            transaction.set_state(fields={"Click": {**fields, "good": "bool"}, "Login": fields})
            transaction.commit()
        yield engine.refresh()


@settings(max_examples=EXAMPLES)
@given(
    condition=CONDITIONS,
    types=st.sampled_from([None, ["Click"], ["Login"], ["Click", "Login"]]),
    since=st.none() | MOMENTS,
    until=st.none() | MOMENTS,
)
def test_a_scan_is_what_the_statement_says(
    db: Engine,
    condition: Condition,
    types: list[str] | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    if types == ["Login"] and "good" in condition.sql:
        types = None  # that type has no such field
    columns = ["_segment", "_id", "_ts", "_type", "number", "ratio", "page", "late"]
    if since and until and until < since:
        with pytest.raises(UsageError, match="is empty"):
            db.scan(types, since=since, until=until)
        return
    found = db.scan(types, since=since, until=until, where=condition.arrow, columns=columns).read_all()
    bounds = [
        condition.sql,
        *([f"_type IN ({', '.join(map(literal, types))})"] if types else []),
        *([f"_ts >= {literal(since)}"] if since else []),
        *([f"_ts < {literal(until)}"] if until else []),
    ]
    order = "ORDER BY _segment, _type, _id"
    statement = f"SELECT {', '.join(columns)} FROM events WHERE {' AND '.join(bounds)} {order}"  # noqa: S608
    expected = db.sql(statement).to_arrow().cast(found.schema)
    assert found.to_pylist() == expected.to_pylist()
