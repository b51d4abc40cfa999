"""Random plans over tables give what polars gives for the same steps."""

from __future__ import annotations

import operator
from datetime import datetime
from functools import reduce
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from workbench.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ZONE = "America/New_York"
ROWS = 80
NUMBERS, TEXTS = ["n", "f"], ["s", "t"]
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def frame() -> pl.DataFrame:
    """Rows over the three days around the end of summer time, with nulls, ties, and odd texts."""
    texts = ["a", "B", "b'", 'q"', "", "é", None, "a%b"]
    return pl.DataFrame(
        {
            "time": [f"2013-11-0{2 + i % 3}T{(i * 7) % 24:02}:{i % 60:02}:00Z" for i in range(ROWS)],
            "n": [None if i % 11 == 0 else (i * 37) % 13 - 4 for i in range(ROWS)],
            "f": [None if i % 7 == 0 else ((i * 53) % 17) / 4 - 1.25 for i in range(ROWS)],
            "s": [texts[(i * 5) % 8] for i in range(ROWS)],
            "t": [f"k{(i * i) % 5}" for i in range(ROWS)],
        }
    )


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine.create(tmp_path_factory.mktemp("plans") / "w", timezone=ZONE) as engine:
        engine.ingest(frame(), type="E")
        yield engine


@pytest.fixture(scope="module")
def stored(db: Engine) -> pl.DataFrame:
    """The documents as they are stored: the empty text is null."""
    return db.sql("select * from E").to_polars()


def literals(field: str) -> st.SearchStrategy[Any]:
    if field == "n":
        return st.integers(-5, 10)
    return (
        st.sampled_from([-1.25, 0.0, 0.5, 2.75])
        if field == "f"
        else st.sampled_from(["a", "b'", "k1", 'q"', "zz", "é"])
    )


@st.composite
def conditions(draw: st.DrawFn, fields: list[str]) -> dict[str, Any]:
    field = draw(st.sampled_from(fields))
    ops = [*COMPARE, "in", "not in", "between", "is null", "is not null"]
    op = draw(st.sampled_from([*ops, "contains", "starts with"] if field in TEXTS else ops))
    test: dict[str, Any] = {"field": field, "op": op}
    if op in ("in", "not in"):
        test["value"] = draw(st.lists(literals(field), min_size=1, max_size=3))
    elif op == "between":
        test["value"] = sorted(draw(st.lists(literals(field), min_size=2, max_size=2)))
    elif not op.startswith("is"):
        test["value"] = draw(literals(field))
    return test


def holds(test: dict[str, Any]) -> pl.Expr:
    column, op, value = pl.col(test["field"]), test["op"], test.get("value")
    match op:
        case "in":
            found = column.is_in(value)
        case "not in":
            found = ~column.is_in(value)
        case "between":
            found = column.is_between(pl.lit(value[0]), pl.lit(value[1]))
        case "is null":
            found = column.is_null()
        case "is not null":
            found = column.is_not_null()
        case "contains":
            found = column.str.to_lowercase().str.contains(value.lower(), literal=True)
        case "starts with":
            found = column.str.to_lowercase().str.starts_with(value.lower())
        case _:
            found = COMPARE[op](column, pl.lit(value))
    return found.fill_null(value=False)


def all_hold(tests: list[dict[str, Any]]) -> pl.Expr:
    return reduce(operator.and_, map(holds, tests), pl.col("_id").is_not_null())


@st.composite
def measures(draw: st.DrawFn) -> list[dict[str, Any]]:
    ops = draw(
        st.lists(
            st.sampled_from(["count", "sum", "mean", "median", "min", "max", "distinct", "share", "part"]),
            min_size=1,
            max_size=4,
        )
    )
    found = []
    for number, op in enumerate(ops):
        measure: dict[str, Any] = {"name": f"m{number}", "op": op}
        if op in ("min", "max", "distinct"):
            measure["field"] = draw(st.sampled_from(NUMBERS + TEXTS))
        elif op not in ("count", "share", "part"):
            measure["field"] = draw(st.sampled_from(NUMBERS))
        if op == "share" or draw(st.booleans()):
            measure["where"] = [draw(conditions(NUMBERS + TEXTS))]
        found.append(measure)
    return found


def measured(measure: dict[str, Any]) -> pl.Expr:
    kept = all_hold(measure.get("where", []))
    op = measure["op"]
    if op in ("count", "part"):
        return kept.cast(pl.Int64).sum()
    if op == "share":
        return kept.cast(pl.Float64).mean()
    values = pl.col(measure["field"]).filter(kept & pl.col(measure["field"]).is_not_null())
    if op == "sum":
        return pl.when(values.len() > 0).then(values.sum())
    if op == "distinct":
        return values.n_unique()
    return {"mean": values.mean, "median": values.median, "min": values.min, "max": values.max}[op]()


def grouped(rows: pl.DataFrame, by: list[str], wanted: list[dict[str, Any]]) -> pl.DataFrame:
    figures = [measured(m).alias(m["name"]) for m in wanted]
    found = rows.group_by(by).agg(figures) if by else rows.select(figures)
    parts = [m["name"] for m in wanted if m["op"] == "part"]
    if parts:
        share = [pl.when(pl.col(p).sum() > 0).then(pl.col(p) / pl.col(p).sum()).alias(p) for p in parts]
        found = found.with_columns(share)
    return found


def same(left: pl.DataFrame, right: pl.DataFrame) -> None:
    """Assert that both hold the same rows, floats up to the order in which they were summed."""
    assert_frame_equal(left, right, check_dtypes=False, rel_tol=1e-9, abs_tol=1e-12)


@st.composite
def chains(draw: st.DrawFn) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = [
        {"op": "scan", "id": "e", "types": ["E"],
         "where": draw(st.lists(conditions(NUMBERS + TEXTS), max_size=2)),
         "since": draw(st.sampled_from([None, "2013-11-02T20:30", "2013-11-03"])),
         "until": draw(st.sampled_from([None, "2013-11-04", "2013-11-03T01:30"]))},
    ]  # fmt: skip
    if draw(st.booleans()):
        steps.append({"op": "filter", "id": "k", "source": "e", "where": [draw(conditions(NUMBERS + TEXTS))]})
    if draw(st.booleans()):
        by = draw(st.lists(st.sampled_from([*TEXTS, "n"]), max_size=2, unique=True))
        groups = [{"field": field} for field in by]
        steps.append(
            {
                "op": "aggregate",
                "id": "a",
                "source": steps[-1]["id"],
                "by": groups,
                "measures": draw(measures()),
            }
        )
        columns = [*by, *(m["name"] for m in steps[-1]["measures"])]
    else:
        columns = ["_ts", *NUMBERS, *TEXTS]
    last = draw(st.sampled_from(["none", "sort", "top"]))
    if last == "sort":
        keys = [
            {"field": c, "descending": draw(st.booleans())}
            for c in draw(st.lists(st.sampled_from(columns), min_size=1, max_size=2, unique=True))
        ]
        steps.append({"op": "sort", "id": "o", "source": steps[-1]["id"], "by": keys})
    elif last == "top":
        steps.append({"op": "top", "id": "o", "source": steps[-1]["id"], "by": draw(st.sampled_from(columns)),
                      "n": draw(st.integers(1, 12)), "ascending": draw(st.booleans())})  # fmt: skip
    return [{key: value for key, value in step.items() if value is not None} for step in steps]


def in_time(step: dict[str, Any]) -> pl.Expr:
    found = pl.col("_id").is_not_null()
    for end, compare in (("since", operator.ge), ("until", operator.lt)):
        if end in step:
            bound = datetime.fromisoformat(step[end]).replace(tzinfo=ZoneInfo(ZONE))
            found &= compare(pl.col("_ts"), pl.lit(bound))
    return found


def in_order(rows: pl.DataFrame, first: list[tuple[str, bool]], *, all_columns: bool) -> pl.DataFrame:
    named = {name for name, _ in first}
    rest = [(name, False) for name in rows.columns if name not in named] if all_columns else []
    if not [*first, *rest]:
        return rows
    names, descending = zip(*first, *rest, strict=True)
    return rows.sort(list(names), descending=list(descending), nulls_last=True)


def evaluated(steps: list[dict[str, Any]], rows: pl.DataFrame) -> pl.DataFrame:
    """Return what the steps give, step by step, with polars."""
    for step in steps:
        match step["op"]:
            case "scan":
                rows = rows.with_columns(pl.col("_ts").dt.convert_time_zone(ZONE))
                rows = rows.filter(in_time(step) & all_hold(step["where"]))
                rows = in_order(rows, [("_ts", False), ("_id", False)], all_columns=False)
            case "filter":
                rows = rows.filter(all_hold(step["where"]))
            case "aggregate":
                by = [g["field"] for g in step["by"]]
                rows = in_order(
                    grouped(rows, by, step["measures"]), [(n, False) for n in by], all_columns=False
                )
            case "sort":
                keys = [(k["field"], k.get("descending", False)) for k in step["by"]]
                rows = in_order(rows, keys, all_columns=True)
            case "top":
                rows = in_order(rows, [(step["by"], not step["ascending"])], all_columns=True).head(step["n"])
    return rows


@settings(max_examples=120)
@given(steps=chains())
def test_chains_of_table_steps(db: Engine, stored: pl.DataFrame, steps: list[dict[str, Any]]) -> None:
    answer = db.execute({"steps": steps})
    assert answer.status == "answered", answer.text
    expected = evaluated(steps, stored)
    same(answer.to_polars(), expected)


@settings(max_examples=40)
@given(
    bucket=st.sampled_from(["hour", "day", "month"]),
    tests=st.lists(conditions(NUMBERS + TEXTS), max_size=1),
    wanted=measures(),
)
def test_timelines(
    db: Engine, stored: pl.DataFrame, bucket: str, tests: list[dict[str, Any]], wanted: list[dict[str, Any]]
) -> None:
    wanted = [m for m in wanted if m["op"] not in ("part", "share")] or [{"name": "m", "op": "count"}]
    line = {"op": "timeline", "id": "l", "source": "e", "bucket": bucket, "measures": wanted}
    answer = db.execute({"steps": [{"op": "scan", "id": "e", "types": ["E"], "where": tests}, line]})
    assert answer.status == "answered", answer.text
    every = {"hour": "1h", "day": "1d", "month": "1mo"}[bucket]
    rows = stored.filter(all_hold(tests)).with_columns(pl.col("_ts").dt.convert_time_zone(ZONE))
    rows = rows.with_columns(pl.col("_ts").dt.truncate(every).alias("time"))
    found = grouped(rows, ["time"], wanted).sort("time")
    if found.height:
        series = pl.datetime_range(found["time"].min(), found["time"].max(), every, eager=True).alias("time")
        zeros = [pl.col(m["name"]).fill_null(0) for m in wanted if m["op"] in ("count", "distinct")]
        found = (
            pl.DataFrame(series).join(found, on="time", how="left", maintain_order="left").with_columns(zeros)
        )
    same(answer.to_polars(), found)


@settings(max_examples=40)
@given(
    kind=st.sampled_from(["union", "intersection", "difference"]),
    tests=st.lists(st.lists(conditions(NUMBERS + TEXTS), max_size=1), min_size=2, max_size=3),
    on=st.sampled_from(["s", "t", "n"]),
)
def test_sets(
    db: Engine, stored: pl.DataFrame, kind: str, tests: list[list[dict[str, Any]]], on: str
) -> None:
    scans = [
        {"op": "scan", "id": f"e{i}", "types": ["E"], "where": t, "columns": [on]}
        for i, t in enumerate(tests)
    ]
    step = {"op": "set", "id": "s", "sources": [s["id"] for s in scans], "kind": kind, "on": on}
    answer = db.execute({"steps": [*scans, step]})
    assert answer.status == "answered", answer.text
    first, *others = [set(stored.filter(all_hold(t))[on].drop_nulls()) for t in tests]
    combine = {"union": set.union, "intersection": set.intersection, "difference": set.difference}[kind]
    found = answer.to_arrow()[on].to_pylist()
    assert len(found) == len(set(found))
    assert set(found) == combine(first, *others)
