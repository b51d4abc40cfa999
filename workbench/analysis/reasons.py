"""Why an actor is anomalous: drivers, one sentence, and the events behind it."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from workbench.analysis.activity import from_us, local_hour
from workbench.partials.documents import DAY_US

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.analysis.signals import Scope

__all__ = ["ADDRESSES", "DRIVERS", "drivers", "events_behind", "reasons"]

ADDRESSES = 20
"""At most so many addresses are kept of an actor; how many there are is said beside them."""

DRIVERS = pl.List(
    pl.Struct({"feature": pl.String(), "value": pl.Float64(), "typical": pl.Float64(), "z": pl.Float64()})
)

_NAMED = 3
_MET = ("concentration", "crowd", "gathering", "synchrony")  # about one neighbour
_NEW = ("novelty", "fresh", "taste")  # about new neighbours
_MANY = ("fresh", "novelty", "variety")  # say how many there are


def drivers(evidence: pl.DataFrame) -> pl.DataFrame:
    """Return the evidence that counts: of each actor the furthest out, at most three, of each thing one."""
    furthest = pl.col("z").abs()
    # new neighbours are many neighbours, and a crowd of an hour is one of four: the rarer speaks
    about = (
        pl.when(pl.col("kind").is_in(_MANY))
        .then(pl.concat_str(pl.lit("many "), "source"))
        .when(pl.col("kind") == "crowd")
        .then(pl.concat_str(pl.lit("crowd "), "source"))
        .otherwise("feature")
    )
    return (
        evidence.sort("actor", furthest, "feature", "kind", descending=[False, True, False, False])
        # the busiest day and the whole period often say the same of one feature, too
        .with_columns(about.alias("about"))
        .unique(["actor", "about"], keep="first", maintain_order=True)
        .drop("about")
        .group_by("actor", maintain_order=True)
        .head(_NAMED)
    )


def reasons(scope: Scope, chosen: pl.DataFrame) -> pl.DataFrame:
    """Return ``actor``, ``drivers`` and ``why``: one sentence made of the evidence."""
    zone = ZoneInfo(scope.context.timezone)
    opening = f"In the {_days(scope.days)} to {_clock(scope.until, zone)}"
    words = {f.name: f.text for f in scope.matrix.features}
    rows = groupby(chosen.to_dicts(), itemgetter("actor"))
    said = [_sentence(opening, list(part), scope, words) for _, part in rows]
    return (
        chosen.group_by("actor", maintain_order=True)
        .agg(pl.struct("feature", "value", "typical", "z").alias("drivers"))
        .with_columns(pl.Series("why", said, dtype=pl.String))
    )


def _sentence(opening: str, rows: list[dict[str, Any]], scope: Scope, words: dict[str, str]) -> str:
    """Join what the rows say; rows of one kind and time that say the same of two things share a clause."""
    clauses: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        clauses.setdefault((row["kind"], row["until"], row["z"] > 0), []).append(row)
    said = [_clause(kind, part, scope, words) for (kind, _, _), part in clauses.items()]
    return f"{opening}: {'; '.join(said)}."


def _clause(kind: str, rows: list[dict[str, Any]], scope: Scope, words: dict[str, str]) -> str:
    values = _and(f"{_number(row['value']) if row['value'] else 'no'} {row['source']}" for row in rows)
    events = "event" if len(rows) == 1 and rows[0]["value"] == 1 else "events"
    typical = _and(_number(row["typical"]) for row in rows)
    first = rows[0]
    match kind:
        case "change":
            return f"{values} {events}, its own past suggests {typical}"
        case "burst":
            zone = ZoneInfo(scope.context.timezone)
            day = _clock(first["until"], zone)
            return f"{values} {events} in the 24 hours to {day}, its own past suggests {typical}"
        case "novelty":
            kinds = {end.edge: end.neighbour for end in scope.new_edges}
            return "; ".join(_new(row, kinds[row["source"]]) for row in rows)
        case "rhythm":
            number = f"{_number(first['value'])} visit{'s' if first['value'] != 1 else ''}"
            return f"{number} between {first['source']}, its own past suggests {typical}"
        case "peers":
            compared = f"the median {scope.type_} has"
        case "day":
            compared = "in the last 24 hours, a day of the week before had"
        case "mean":
            compared = f"the mean {scope.type_} has"
        case _:
            return "; ".join(_told(kind, row, scope) for row in rows)
    said = [(_number(r["value"]), words.get(r["feature"], r["feature"]), _number(r["typical"])) for r in rows]
    comma = "" if kind == "day" else ","
    return "; ".join(f"{value} {what}{comma} {compared} {typical}" for value, what, typical in said)


def _told(kind: str, row: dict[str, Any], scope: Scope) -> str:
    """Return what one figure of a shape of behaviour says."""
    value, typical, edge = row["value"], row["typical"], row["source"]
    near = {end.edge: end.neighbour for end in scope.new_edges}.get(edge, "")
    other = f"{near}:{row['other']}"
    match kind:
        case "regularity":
            said = (
                f"events at even intervals: a gap is {value:.0f} % off the usual one, that of the median "
                f"{scope.type_} {typical:.0f} %"
            )
        case "concentration":
            said = f"{edge} {other} {_number(value)} times, {_number(typical)} of so many would be usual"
        case "crowd":
            span = row["feature"].removeprefix("company within ").split(" by ")[0]
            usual = f"at most {_number(typical)} did before" if typical else "nobody did before"
            said = f"{_others(value)} came to {other} by {edge} within {span} of it, {usual}"
        case "gathering":
            said = f"{_others(value)} came to {other} by {edge} too, and nobody had before that"
        case "fresh":
            said = (
                f"{_number(value)} {near} neighbour{'s' if value != 1 else ''} by {edge} that nobody had "
                f"before, {_number(typical)} would be usual"
            )
        case "synchrony":
            said = (
                f"the same others came by {edge} to the same {near} within 5 minutes of it on "
                f"{_number(value)} days, earlier ones counted, most often to {other}"
            )
        case "variety":
            said = f"{_number(value)} distinct {near} neighbours by {edge}, the median {scope.type_} has one"
        case "silence":
            said = f"no event for {_number(value)} days, it came on {100 / typical:.0f} % of the days before"
        case _:
            said = (
                f"{edge} leads to other sorts of {near} than before: similarity {max(value, 0):.2f} of 1, "
                f"{typical:.2f} would be usual"
            )
    return said


def _others(number: float) -> str:
    return f"{_number(number)} other{'s' if number != 1 else ''}"


def _new(row: dict[str, Any], neighbour: str) -> str:
    value, typical, plural = _number(row["value"]), _number(row["typical"]), "s" if row["value"] != 1 else ""
    return f"{value} new {neighbour} neighbour{plural} by {row['source']}, {typical} would be usual"


def _and(parts: Iterable[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def _clock(until: int, zone: ZoneInfo) -> str:
    return f"{from_us(until - 1).astimezone(zone):%Y-%m-%d %H:%M}"


def _number(value: float) -> str:
    """Write a number for people: no more digits than it deserves.

    >>> _number(12.0), _number(0.042), _number(1234.5)
    ('12', '0.04', '1,234')
    """
    if value == int(value):
        return f"{int(value):,}"
    if abs(value) < 0.01:
        return "almost 0"
    return f"{value:.2f}" if abs(value) < 1 else f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def _days(days: int) -> str:
    return "24 hours" if days == 1 else f"{days} days"


def events_behind(scope: Scope, chosen: pl.DataFrame) -> pl.DataFrame:
    """Return ``actor``, ``addresses`` (at most 20, the earliest) and ``events`` (how many there are).

    They are the events in the time that deviates, of the event type that does, or that showed a new
    neighbour first.
    """
    all_ = _of(chosen, scope.events).with_row_index("row")
    # few of them are behind it: what looks for them holds no more of an event than it looks at
    events = all_.select("row", "actor", "event_type", "ts")
    of_neighbours = pl.col("kind").is_in((*_NEW, *_MET))
    edges = _edges(scope, chosen.filter(of_neighbours))
    timed = chosen.filter(~of_neighbours)
    parts = (
        _counted(timed.filter(pl.col("kind") != "rhythm"), events),
        _in_hours(scope, timed.filter(pl.col("kind") == "rhythm"), events),
        _first_meetings(scope, chosen, events, edges),
        _meetings(scope, chosen, events, edges),
    )
    behind = np.zeros(events.height, bool)
    behind[pl.concat([part["row"] for part in parts]).to_numpy()] = True
    found = all_.filter(behind)  # in their order: by actor and time
    day = pl.from_epoch(pl.col("day").cast(pl.Int64) * (DAY_US // 1_000_000), "s").dt.strftime("%Y-%m-%d")
    address = pl.concat_str(day, pl.lit("/"), pl.col("_id").cast(pl.String))
    shown = found.group_by("actor", maintain_order=True).head(ADDRESSES)
    return (
        shown.group_by("actor", maintain_order=True)
        .agg(address.alias("addresses"))
        .join(found.group_by("actor").agg(pl.len().cast(pl.Int64).alias("events")), on="actor")
    )


_WHEN = pl.col("ts").is_between(pl.col("since"), pl.col("until"), closed="left")


def _counted(chosen: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return the events of the type that is spoken of, or of all where none is, in the time that is."""
    of = pl.col("source").cast(events["event_type"].dtype, strict=False)
    named = chosen.filter((pl.col("source") == "") | of.is_not_null())
    timed = events.join(named.select("actor", "since", "until", of.alias("of")), on="actor")
    return timed.filter(_WHEN & (pl.col("of").is_null() | (pl.col("of") == pl.col("event_type"))))


def _in_hours(scope: Scope, chosen: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return the events in the hours of the day, and in the time, that are spoken of."""
    first, end = (pl.col("source").str.slice(at, 2).cast(pl.Int32) for at in (0, 6))  # of 03:00-06:00
    named = chosen.select("actor", "since", "until", first.alias("first"), end.alias("end"))
    hour = local_hour(scope.context.timezone).cast(pl.Int32)
    return events.join(named, on="actor").filter(_WHEN & (hour >= pl.col("first")) & (hour < pl.col("end")))


def _of(chosen: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the chosen actors."""
    actor = rows["actor"].to_numpy()
    mine = np.zeros(max(actor.max(initial=0), chosen["actor"].max() or 0) + 1, bool)
    mine[chosen["actor"].to_numpy()] = True
    return rows.filter(mine[actor])


def _edges(scope: Scope, chosen: pl.DataFrame) -> pl.DataFrame:
    """Return the edges of each type of the actors of whose it is spoken."""
    ends = scope.activity.by_end().items()
    parts = [_of(chosen.filter(pl.col("source") == edge), part) for (edge, _), part in ends]
    found = pl.concat(parts) if parts else scope.activity.edges.clear()
    return found.cast({"edge": pl.String, "neighbour": pl.String})


def _first_meetings(
    scope: Scope, chosen: pl.DataFrame, events: pl.DataFrame, edges: pl.DataFrame
) -> pl.DataFrame:
    """Return the events that showed a new neighbour first: an edge tells to the microsecond when that was."""
    new = chosen.filter(pl.col("kind").is_in(_NEW)).select("actor", edge="source")
    first = (
        edges.join(new, on=["actor", "edge"], how="semi")
        .group_by("actor", "edge", "neighbour")
        .agg(pl.col("first").min().alias("ts"))
        .filter(pl.col("ts") >= scope.since)
        .join(_givers(scope), on="edge")
    )
    return events.join(first, on=["actor", "ts", "event_type"], how="semi")


def _meetings(scope: Scope, chosen: pl.DataFrame, events: pl.DataFrame, edges: pl.DataFrame) -> pl.DataFrame:
    """Return the events that showed a neighbour that is spoken of, the first and the last of each day."""
    named = chosen.filter(pl.col("kind").is_in(_MET)).select("actor", edge="source", neighbour="other")
    met = edges.join(named, on=["actor", "edge", "neighbour"], how="semi")
    times = pl.concat([met.select("actor", "edge", ts=end) for end in ("first", "last")]).unique()
    shown = times.filter(pl.col("ts") >= scope.since).join(_givers(scope), on="edge")
    return events.join(shown, on=["actor", "ts", "event_type"], how="semi")


def _givers(scope: Scope) -> pl.DataFrame:
    """Return each ``edge`` type with the ``event_type`` that give it."""
    pairs = [(end.edge, event) for end in scope.new_edges for event in end.events]
    found = pl.DataFrame(pairs, schema={"edge": pl.String(), "event_type": pl.String()}, orient="row")
    return found.cast({"event_type": scope.activity.events["event_type"].dtype}, strict=False)
