"""Sequences: events of one subject in an order within a span of time, for all subjects at once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow.compute as pc

from workbench.analysis.activity import event_types, from_us
from workbench.config.schedule import span_text
from workbench.errors import UnknownNameError
from workbench.rules.verdict import Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.config.anomaly_rule import Sequence_, SequenceStep
    from workbench.rules.scene import Scene

__all__ = ["completions", "sequence"]

_MICROSECOND = timedelta(microseconds=1)
_NEVER = np.iinfo(np.int64).min


def sequence(scene: Scene, wanted: Sequence_) -> Verdict:
    """Return whose events completed the pattern in the period, and how often.

    An event that completes it counts once, with the latest beginning that leads to it.

    Raises:
        UnknownNameError: If the subjects are in no events of a type.
    """
    steps = [step for step in wanted.pattern for _ in range(step.times)]
    first = scene.since - wanted.within // _MICROSECOND
    known = event_types(scene.world.schema, scene.type_)
    for step in steps:
        name = scene.world.schema.event_names.get(step.event, step.event)
        if name not in known:
            raise UnknownNameError(f"event type of {scene.type_}", step.event, known)
    events = scene.activity.events.filter(pl.col("ts") >= first)
    matches = {id(step): _matching(scene, step, events, first) for step in wanted.pattern}
    ts = events["ts"].to_numpy()
    begun = completions(events["actor"], ts, [matches[id(step)] for step in steps])
    complete = (begun != _NEVER) & (ts - begun <= wanted.within // _MICROSECOND) & (ts >= scene.since)
    actors = events["actor"].to_numpy()[complete]
    values = np.bincount(actors, minlength=len(scene)).astype(np.float64)
    latest = np.full(len(scene), -1)
    np.maximum.at(latest, actors, ts[complete])
    said = ", ".join(f"{s.times} × {s.event}" if s.times > 1 else s.event for s in wanted.pattern)  # noqa: RUF001

    def reason(row: int) -> str:
        at = from_us(int(latest[row])).isoformat(" ", "seconds")
        times = "once" if values[row] == 1 else f"{values[row]:,.0f} times"
        return f"{said} within {span_text(wanted.within)}, {times}, the last at {at}"

    last = scene.world.schema.event_names.get(steps[-1].event, steps[-1].event)
    return Verdict(values > 0, values, np.ones(len(scene)), reason, last)


def completions(actor: pl.Series, ts: NDArray[np.int64], steps: list[NDArray[np.bool_]]) -> NDArray[np.int64]:
    """Return for each event the latest time at which a pattern began that it completes.

    Args:
        actor: Whose event it is; events are sorted by actor and time.
        ts: When it was.
        steps: For each step of the pattern, which events it may be.

    >>> actor, ts = pl.Series([0, 0, 0, 1, 1]), np.array([1, 5, 9, 2, 3])
    >>> a, b = np.array([1, 1, 0, 0, 1], bool), np.array([0, 0, 1, 1, 0], bool)
    >>> [t if t > 0 else None for t in completions(actor, ts, [a, b]).tolist()]
    [None, None, 5, None, None]
    """
    begun = np.where(steps[0], ts, _NEVER)
    for step in steps[1:]:
        # of everything before an event, its own actor's
        earlier = (
            pl.DataFrame({"actor": actor, "begun": begun})
            .select(pl.col("begun").cum_max().shift(1).over("actor").fill_null(_NEVER))
            .to_series()
            .to_numpy()
        )
        begun = np.where(step, earlier, _NEVER)
    return begun


def _matching(scene: Scene, step: SequenceStep, events: pl.DataFrame, first: int) -> NDArray[np.bool_]:
    name = scene.world.schema.event_names.get(step.event, step.event)
    typed = (events["event_type"] == name).to_numpy()
    if not step.where:
        return typed
    condition = None
    for field, value in step.where.items():
        wanted = list(value) if isinstance(value, tuple) else [value]
        part = pc.field(field).isin(wanted)
        condition = part if condition is None else condition & part
    found = scene.world.scan(
        name,
        since=from_us(first).isoformat(),
        until=from_us(scene.until).isoformat(),
        where=condition,
        columns=["_segment", "_id"],
    ).read_all()
    chosen = pl.DataFrame(found).select(
        pl.col("_segment").cast(pl.String).str.to_date().cast(pl.Int32).alias("day"), "_id"
    )
    marked = events.select("day", "_id").join(
        chosen.unique().with_columns(pl.lit(True).alias("chosen")),
        on=["day", "_id"],
        how="left",
        maintain_order="left",
    )
    return np.asarray(typed & marked["chosen"].fill_null(value=False).to_numpy())
