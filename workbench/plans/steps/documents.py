"""Steps that read documents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from workbench.plans.expressions import conditions, quoted
from workbench.plans.relation import Relation
from workbench.plans.shapes import ADDRESS, document_columns
from workbench.plans.times import Period, period, sql_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from workbench.plans.expressions import Clock
    from workbench.plans.model import Get, Scan
    from workbench.plans.shapes import Columns, Kind
    from workbench.plans.world import Runtime, World
    from workbench.storage import FileEntry

__all__ = ["get", "scan", "scanned", "segments_of", "within_window"]

_SQL_TYPES: dict[Kind, str] = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
}
_BY_TIME = ("_ts", "_id", "_type")


def scan(step: Scan, world: World, clock: Clock, *, limited: bool = True) -> Relation:
    """Return the documents of event types, in the order of time.

    Args:
        step: The step.
        world: The workspace.
        clock: Its clock.
        limited: Whether the step's limit holds; without it, its rows can be counted.
    """
    fields = document_columns(world, step.types)
    known = ADDRESS | fields
    columns = ADDRESS | {name: known[name] for name in step.columns or fields}
    asked = period(step.since, step.until, clock.now, clock.timezone)
    tests = [
        *([f"_ts >= {sql_time(asked.since)}"] if asked.since else []),
        *([f"_ts < {sql_time(asked.until)}"] if asked.until else []),
        *([conditions(step.where, known, clock)] if step.where else []),
    ]
    where = f" WHERE {' AND '.join(tests)}" if tests else ""
    shown = ", ".join(map(quoted, columns))
    if len(step.types) == 1:
        body = f"SELECT {shown} FROM main.{quoted(step.types[0])}{where}"
    else:
        needed = list(dict.fromkeys([*columns, *(f.field for f in step.where)]))
        parts = [_of_type(name, needed, fields, world) for name in dict.fromkeys(step.types)]
        body = f"SELECT {shown} FROM ({' UNION ALL '.join(parts)}){where}"
    order = tuple(f"{quoted(name)} NULLS LAST" for name in _BY_TIME)
    if step.limit is not None and limited:
        body += f" ORDER BY {', '.join(order)} LIMIT {step.limit}"
    return Relation(step.id, columns, ((step.id, body),), order, {}, within_window(asked, world))


def _of_type(event_type: str, names: list[str], fields: Columns, world: World) -> str:
    """Return the documents of one type with the columns and kinds of several."""
    own = world.fields[event_type]
    shown = []
    for name in names:
        if name in ADDRESS:
            shown.append(quoted(name))
        elif name not in own:
            shown.append(f"CAST(NULL AS {_SQL_TYPES[fields[name]]}) AS {quoted(name)}")
        else:
            shown.append(f"CAST({quoted(name)} AS {_SQL_TYPES[fields[name]]}) AS {quoted(name)}")
    return f"SELECT {', '.join(shown)} FROM main.{quoted(event_type)}"


def within_window(asked: Period, world: World) -> Period:
    """Return the part of a time that the window holds, so that no bucket stands for what cannot be there."""
    since, until = asked.since, asked.until
    if since is not None and world.snapshot.segments:
        first = datetime.fromisoformat(world.snapshot.segments[0]).replace(tzinfo=UTC)
        since = max(since, first)
    if until is not None and world.now is not None:
        until = min(until, world.now + timedelta(microseconds=1))
    return Period(since, until)


def scanned(step: Scan, world: World, clock: Clock) -> tuple[int, tuple[str, ...]]:
    """Return how many rows a scan reads at most, and the segments that it opens: from the manifest."""
    asked = period(step.since, step.until, clock.now, clock.timezone)
    entries = list(_entries(step.types, asked, world))
    return sum(e.rows for e in entries), tuple(sorted({e.segment for e in entries}))


def segments_of(types: Iterable[str], within: Period, world: World) -> tuple[str, ...]:
    """Return the segments that hold documents of some types in a time."""
    return tuple(sorted({entry.segment for entry in _entries(types, within, world)}))


def _entries(types: Iterable[str], within: Period, world: World) -> Iterator[FileEntry]:
    low = int(within.since.timestamp() * 1e6) if within.since else None
    high = int(within.until.timestamp() * 1e6) if within.until else None
    for event_type in types:
        for entry in world.snapshot.files("events", name=event_type):
            if (low is None or (entry.max_ts or 0) >= low) and (high is None or (entry.min_ts or 0) < high):
                yield entry


def get(step: Get, world: Runtime) -> pa.Table:
    """Return the documents at some addresses, in their order.

    Raises:
        UnknownNameError: If there is no such document.
    """
    import polars as pl  # noqa: PLC0415  (kept out of start-up)

    rows = []
    for address in step.addresses:
        found = world.get(address)
        segment, _, number = address.partition("/")
        head = {"_segment": segment, "_id": int(number), "_ts": found.time, "_type": found.event_type}
        rows.append(head | found.fields)
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
