"""Steps over the rows of other steps, each a SELECT over theirs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from workbench.plans.expressions import bucketed, conditions, grouped, literal, measured, quoted
from workbench.plans.relation import AS_THEY_COME
from workbench.plans.shapes import output, right_name
from workbench.plans.times import sql_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.plans.expressions import Clock
    from workbench.plans.model import (
        Aggregate,
        FilterRows,
        Join,
        SetOperation,
        Sort,
        Timeline,
        Top,
    )
    from workbench.plans.relation import Relation
    from workbench.plans.shapes import Columns
    from workbench.plans.world import World

__all__ = ["aggregate", "filtered", "joined", "ordered", "set_of", "timeline", "top"]

_INTERVALS = {
    "minute": "1 minute",
    "hour": "1 hour",
    "day": "1 day",
    "week": "7 days",
    "month": "1 month",
    "quarter": "3 months",
    "year": "1 year",
}
_ZERO_WHEN_EMPTY = {"count", "distinct"}
# parts and columns inside one step: no step and no field is called so
_COUNTED, _BUCKETS, _PLACE = '"#counted"', '"#buckets"', '"#place"'


def filtered(step: FilterRows, source: Relation, clock: Clock) -> Relation:
    """Return the rows that satisfy all conditions."""
    where = conditions(step.where, source.columns, clock)
    return source.then(step.id, f"SELECT * FROM {quoted(source.name)} WHERE {where}")


def ordered(step: Sort, source: Relation) -> Relation:
    """Return the rows in another order."""
    named = {key.field for key in step.by}
    terms = [_term(key.field, descending=key.descending) for key in step.by]
    order = (*terms, *(t for t in source.by_all(but=named) if t != "1"))
    return source.then(step.id, f"SELECT * FROM {quoted(source.name)}", order=order)


def top(step: Top, source: Relation) -> Relation:
    """Return the first rows by one column."""
    rest = tuple(t for t in source.by_all(but=(step.by,)) if t != "1")
    order = (_term(step.by, descending=not step.ascending), *rest)
    body = f"SELECT * FROM {quoted(source.name)} ORDER BY {', '.join(order)} LIMIT {step.n}"
    return source.then(step.id, body, order=order)


def _term(name: str, *, descending: bool) -> str:
    return f"{quoted(name)}{' DESC' if descending else ''} NULLS LAST"


def aggregate(step: Aggregate, source: Relation, clock: Clock, world: World) -> Relation:
    """Return one row a group, in the order of the groups."""
    groups = [f"{grouped(g)} AS {quoted(g.column)}" for g in step.by]
    measures = [f"{measured(m, source.columns, clock)} AS {quoted(m.name)}" for m in step.measures]
    by = f" GROUP BY {', '.join(str(n + 1) for n in range(len(groups)))}" if groups else ""
    body = f"SELECT {', '.join([*groups, *measures])} FROM {quoted(source.name)}{by}"
    columns = output(step, {step.source: source.columns}, world)
    order = tuple(f"{quoted(g.column)} NULLS LAST" for g in step.by) or ("1",)
    return source.then(step.id, body, columns=columns, order=order)


def timeline(step: Timeline, source: Relation, clock: Clock, world: World) -> Relation:
    """Return one row a bucket of time, the empty ones between the first and the last included.

    The first and the last bucket are those of the scan's own times where it has some.
    """
    keys = [quoted("time"), *map(quoted, step.by)]
    counted = _counted(step, source, clock)
    every = f"SELECT * FROM {_BUCKETS}"
    if step.by:
        every += f" CROSS JOIN (SELECT DISTINCT {', '.join(keys[1:])} FROM {_COUNTED})"
    match = " AND ".join(f"a.{key} IS NOT DISTINCT FROM b.{key}" for key in keys)
    figures = [
        f"coalesce(b.{quoted(m.name)}, 0) AS {quoted(m.name)}"
        if m.op in _ZERO_WHEN_EMPTY
        else f"b.{quoted(m.name)}"
        for m in step.measures
    ]
    body = (
        f"WITH {_COUNTED} AS ({counted}), {_BUCKETS} AS ({_buckets(step, source)})"
        f" SELECT {', '.join([*(f'a.{key}' for key in keys), *figures])}"
        f" FROM ({every}) AS a LEFT JOIN {_COUNTED} AS b ON {match}"
    )
    columns = output(step, {step.source: source.columns}, world)
    return source.then(step.id, body, columns=columns, order=tuple(f"{key} NULLS LAST" for key in keys))


def _counted(step: Timeline, source: Relation, clock: Clock) -> str:
    """Return the SELECT of the buckets that have rows."""
    shown = [
        f"{bucketed(step.field, step.bucket)} AS {quoted('time')}",
        *map(quoted, step.by),
        *(f"{measured(m, source.columns, clock)} AS {quoted(m.name)}" for m in step.measures),
    ]
    return (
        f"SELECT {', '.join(shown)} FROM {quoted(source.name)} WHERE {quoted(step.field)} IS NOT NULL"
        f" GROUP BY {', '.join(str(n + 1) for n in range(1 + len(step.by)))}"
    )


def _buckets(step: Timeline, source: Relation) -> str:
    """Return the SELECT of the starts of all buckets, by the calendar of the workspace's zone."""
    low, high = f"min({quoted('time')})", f"max({quoted('time')})"
    bucket = literal(step.bucket)
    if step.field == "_ts" and source.within.since:
        low = f"date_trunc({bucket}, {sql_time(source.within.since)})"
    if step.field == "_ts" and source.within.until:
        high = f"date_trunc({bucket}, {sql_time(source.within.until - timedelta(microseconds=1))})"
    series = f"generate_series({low}, {high}, INTERVAL '{_INTERVALS[step.bucket]}')"
    rows = f" FROM {_COUNTED}" if "(" + quoted("time") in low + high else ""  # none where both ends are known
    return f"SELECT unnest({series}) AS {quoted('time')}{rows}"


def joined(step: Join, left: Relation, right: Relation, world: World) -> Relation:
    """Return the rows of two relations that agree in some columns."""
    columns = output(step, {step.left: left.columns, step.right: right.columns}, world)
    using = ", ".join(map(quoted, step.on))
    if step.how in ("semi", "anti"):
        body = f"SELECT a.* FROM {quoted(left.name)} AS a {step.how.upper()} JOIN {quoted(right.name)} AS b"
        return left.then(step.id, f"{body} USING ({using})", others=(right,))
    shown = [quoted(name) if name in step.on else f"a.{quoted(name)}" for name in left.columns]
    taken = dict(left.columns)
    for name, kind in right.columns.items():
        if name not in step.on:
            new = right_name(name, taken)
            taken[new] = kind
            shown.append(f"b.{quoted(name)} AS {quoted(new)}")
    how = {"inner": "JOIN", "left": "LEFT JOIN", "full": "FULL JOIN"}[step.how]
    body = (
        f"SELECT {', '.join(shown)} FROM {quoted(left.name)} AS a {how} {quoted(right.name)} AS b"
        f" USING ({using})"
    )
    return left.then(step.id, body, columns=columns, order=(), others=(right,))


def set_of(step: SetOperation, sources: Iterable[Relation]) -> Relation:
    """Return the union, intersection or difference of relations by one column, each value once."""
    first, *others = sources
    on = quoted(step.on)
    once = f"row_number() OVER (PARTITION BY {on} ORDER BY"
    rest = ", ".join(first.by_all(but=(step.on,)))
    if step.kind == "union":
        names = list(first.columns)
        parts = [_of_first(first.columns, relation, n) for n, relation in enumerate([first, *others])]
        body = (
            f"SELECT {', '.join(map(quoted, names))} FROM ({' UNION ALL '.join(parts)})"
            f" WHERE {on} IS NOT NULL QUALIFY {once} {_PLACE}, {rest}) = 1"
        )
    else:
        inside = "IN" if step.kind == "intersection" else "NOT IN"
        tests = [f"{on} {inside} (SELECT {on} FROM {quoted(o.name)} WHERE {on} IS NOT NULL)" for o in others]
        body = (
            f"SELECT * FROM {quoted(first.name)} WHERE {on} IS NOT NULL AND {' AND '.join(tests)}"
            f" QUALIFY {once} {rest}) = 1"
        )
    order = first.order if step.kind != "union" and first.order != AS_THEY_COME else ()
    return first.then(step.id, body, order=order, others=others)


def _of_first(columns: Columns, relation: Relation, place: int) -> str:
    """Return a SELECT of the first table's columns; those that another lacks are null there."""
    shown = [
        quoted(name) if relation.columns.get(name) == kind else f"NULL AS {quoted(name)}"
        for name, kind in columns.items()
    ]
    return f"SELECT {', '.join(shown)}, {place} AS {_PLACE} FROM {quoted(relation.name)}"
