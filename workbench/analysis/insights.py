"""What a new result says that the one before did not: pushed once, when something begins or ends."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from workbench.knowledge import Knowledge

__all__ = ["INSIGHT_KINDS", "MOST", "Insight", "insights"]

Type = Literal["anomaly", "trend", "pattern", "cluster", "graph", "rule"]
Severity = Literal["info", "notable", "significant", "critical"]

MOST = 50
"""At most so many insights come of one result; the last says how many are left out."""

_CLASSES = ("normal", "mild", "anomalous", "highly anomalous")
_DETECTED = 2  # place in _CLASSES from which on an actor is told of
_TOLD = ("significant", "critical")
_RANKED = 10
_BARS = 8


@dataclass(frozen=True)
class Insight:
    """One thing worth telling, once.

    Attributes:
        type: What it is about.
        severity: How much it matters.
        title: One line.
        text: What happened, in sentences.
        chart: Small chart data: ``kind`` ("bar"), ``x`` and ``y`` lists of equal length, and ``label``, what
            ``y`` is.
        question: A question that leads to the details.
        entities: The entities that it is about.
        asof: Data time, ISO 8601 in UTC.
        run: Id of the run that says so.
        id: Equal for an equal insight of the same run, whenever and wherever it is made.
    """

    type: Type
    severity: Severity
    title: str
    text: str
    chart: dict[str, Any]
    question: str
    entities: tuple[str, ...]
    asof: str
    run: str
    id: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**asdict(self), "entities": list(self.entities)}


def insights(before: Knowledge | None, after: Knowledge) -> list[Insight]:
    """Return what is new in a result against the result before it, the most severe first.

    Only what begins or ends counts: an actor that enters or leaves a class from ``anomalous`` on, an
    episode of a trend that is significant or worse and was not known, an entity that comes into or drops
    out of the ten highest ranks. Without a result before, what there is now begins; ranks then say nothing.
    At most :data:`MOST`; the rest is counted in a last one.

    Args:
        before: The result before: of the same kind and the same parameters, of an earlier time.
        after: The new one.
    """
    make = _MAKERS.get(after.run.kind)
    if make is None:
        return []
    found = make(before, after)
    order = {"critical": 0, "significant": 1, "notable": 2, "info": 3}
    found.sort(key=lambda i: order[i.severity])
    if len(found) <= MOST:
        return found
    left = len(found) - MOST + 1
    kept = found[: MOST - 1]
    first = found[0]
    title = f"{left:,} more about {after.run.kind}"
    text = f"The run has {len(found):,} things to tell; these are the most severe {MOST - 1}."
    return [*kept, _insight(after, first.type, "info", title, text, {}, _OVERVIEW[after.run.kind], ())]


def _insight(  # noqa: PLR0913, PLR0917  (the parts of one)
    of: Knowledge,
    type_: Type,
    severity: Severity,
    title: str,
    text: str,
    chart: dict[str, Any],
    question: str,
    entities: tuple[str, ...],
) -> Insight:
    said = "\0".join((of.run.id, type_, title, *entities))
    number = hashlib.sha256(said.encode()).hexdigest()[:16]
    return Insight(
        type_, severity, title, text, chart, question, entities, of.run.asof, of.run.id, f"{type_}-{number}"
    )


def _bars(names: list[str], values: list[float], label: str) -> dict[str, Any]:
    return {"kind": "bar", "x": names, "y": [round(float(v), 4) for v in values], "label": label}


def _anomalies(before: Knowledge | None, after: Knowledge) -> list[Insight]:
    now = after.to_polars()
    columns = {"entity": pl.String, "was": pl.String, "score_was": pl.Float64}
    past = pl.DataFrame(schema=columns)
    if before is not None:
        past = before.to_polars().select("entity", was="class", score_was="score")
    place = dict(zip(_CLASSES, range(len(_CLASSES)), strict=True))
    here, there = (
        pl.col(c).fill_null("normal").replace_strict(place, return_dtype=pl.Int8) for c in ("class", "was")
    )
    # who is in the new result no more has left with what was told about it
    both = now.join(past, on="entity", how="full", coalesce=True).filter(
        (here != there) & (pl.max_horizontal(here, there) >= _DETECTED)
    )
    rows = both.with_columns(pl.col("class", "was").fill_null("normal"), pl.col("score").fill_null(0.0))
    return [
        _anomaly(after, row, place)
        for row in rows.sort("score", "entity", descending=[True, False]).iter_rows(named=True)
    ]


def _anomaly(of: Knowledge, row: dict[str, Any], place: dict[str, int]) -> Insight:
    entity, now, was = row["entity"], row["class"], row["was"]
    worse = place[now] > place[was]
    if worse:
        title = f"{entity} is {now}"
        severity: Severity = "critical" if now == _CLASSES[-1] else "significant"
        known = f" It was {was} before." if row["score_was"] is not None else ""
        text = f"{row['why']} Score {row['score']:.2f}.{known}"
    else:
        title, severity = f"{entity} is no longer {was}", "info"
        text = f"Its score fell from {row['score_was']:.2f} to {row['score']:.2f}: it is {now} now."
    signals = {n.removeprefix("signal_"): v for n, v in row.items() if n.startswith("signal_")}
    heard = sorted(((v, n) for n, v in signals.items() if v is not None), reverse=True)[:_BARS]
    chart = _bars([n for _, n in heard], [v for v, _ in heard], "signal")
    return _insight(of, "anomaly", severity, title, text, chart, f"anomalies of {entity}", (entity,))


def _trends(before: Knowledge | None, after: Knowledge) -> list[Insight]:
    """Tell of episodes that overlap none of the same series that was told of at least as severely."""
    now = after.to_polars().filter(pl.col("severity").is_in(_TOLD))
    series = ["metric", "dimension", "value"]
    if before is not None:
        past = before.to_polars().filter(pl.col("severity").is_in(_TOLD))
        numbered = now.with_row_index("row")
        known = (
            numbered.join(
                past.select(*series, was_since="since", was_until="until", was="severity"),
                on=series,
                nulls_equal=True,
            )
            .filter(
                (pl.col("was_since") < pl.col("until"))
                & (pl.col("since") < pl.col("was_until"))
                & ((pl.col("was") == _TOLD[-1]) | (pl.col("severity") == pl.col("was")))
            )
            .select("row")
            .unique()
        )
        now = numbered.join(known, on="row", how="anti", maintain_order="left").drop("row")
    return [_episode(after, row) for row in now.iter_rows(named=True)]


def _episode(of: Knowledge, row: dict[str, Any]) -> Insight:
    what = row["metric"] + (f" of {row['dimension']} {row['value']}" if row["value"] else "")
    more = "more" if row["direction"] == "up" else "less"
    since = _local(row["since"], of.timezone)
    title = f"{what}: {more} than usual from {since}"
    text = (
        f"From {since} until {_local(row['until'], of.timezone)} ({of.timezone}): {row['observed']:,.6g} "
        f"where {row['expected']:,.6g} is expected, z {row['z']:+.1f}."
    )
    chart = _bars(["expected", "observed"], [row["expected"], row["observed"]], row["metric"])
    day = _local(row["since"], of.timezone)[:10]
    return _insight(of, "trend", row["severity"], title, text, chart, f"what happened on {day}", ())


def _ranks(before: Knowledge | None, after: Knowledge) -> list[Insight]:
    if before is None:
        return []
    highest = after.to_polars().sort("rank", "entity", descending=[True, False]).head(_RANKED)
    was = before.to_polars().sort("rank", "entity", descending=[True, False]).head(_RANKED)
    chart = _bars(highest["entity"].to_list(), highest["rank"].to_list(), "rank")
    found = []
    for place, entity in enumerate(highest["entity"], start=1):
        if entity not in was["entity"]:
            title = f"{entity} is among the {_RANKED} highest ranks"
            text = f"It is at place {place}; in the run before it was not among the first {_RANKED}."
            found.append(
                _insight(after, "graph", "notable", title, text, chart, f"describe {entity}", (entity,))
            )
    for entity in was.filter(~pl.col("entity").is_in(highest["entity"].implode()))["entity"]:
        title = f"{entity} is no longer among the {_RANKED} highest ranks"
        text = f"It was among the first {_RANKED} in the run before."
        found.append(_insight(after, "graph", "info", title, text, chart, f"describe {entity}", (entity,)))
    return found


def _local(moment: datetime, timezone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M}"


_MAKERS: dict[str, Callable[[Knowledge | None, Knowledge], list[Insight]]] = {
    "anomalies": _anomalies,
    "trends": _trends,
    "pagerank": _ranks,
}
INSIGHT_KINDS = tuple(_MAKERS)
"""The kinds of knowledge that give insights."""

_OVERVIEW = {"anomalies": "anomalies", "trends": "trends", "pagerank": "most important entities"}
