"""A day of the world: its visits, what crosses midnight, its events by type."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.samples.gaming.anomalies import behave
from workbench.samples.gaming.batch import TYPES, Batch
from workbench.samples.gaming.behaviour import ERROR, LOGIN, POPUP
from workbench.samples.gaming.benign import added, disturb
from workbench.samples.gaming.events import LONGEST_VISIT, crossing, unfold
from workbench.samples.gaming.visits import DAY, baseline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.samples.gaming.events import Events
    from workbench.samples.gaming.world import World

__all__ = ["day", "visits_of"]


def visits_of(world: World, day: int) -> NDArray[Any]:
    """Return the visits that start on a day, those of anomalies included."""
    return behave(world, day, added(world, day, baseline(world, day)))


def day(world: World, day: int) -> dict[str, Batch]:
    """Return the events of a UTC day by type: a pure function of the world and the day.

    Args:
        world: What is planned.
        day: Index of the day, from 0.
    """
    midnight = day * DAY
    tails = crossing(world, visits_of(world, day - 1), midnight)
    visits = np.concatenate([tails, visits_of(world, day)])
    events = unfold(world, visits)
    disturb(world, events, visits)
    start = np.ascontiguousarray(visits["start"])
    within = (events.ts >= midnight) & (events.ts < midnight + DAY)
    within &= events.ts - start[events.visit] <= LONGEST_VISIT
    epoch = int(datetime.combine(world.start, time(), UTC).timestamp()) * 1_000_000
    return {
        name: _batch(name, day, epoch, visits, events, np.flatnonzero(within & (events.type == code)))
        for code, name in enumerate(TYPES)
    }


def _batch(  # noqa: PLR0913, PLR0917  (the day that a batch is cut from)
    name: str, day: int, epoch: int, visits: NDArray[Any], events: Events, chosen: NDArray[np.int64]
) -> Batch:
    """Return the chosen events by time; at the same time, by visit."""
    place = chosen[np.argsort(events.ts[chosen], kind="stable")]
    ts, visit = events.ts[place], events.visit[place]
    identifier = visits["id"][visit]
    code = TYPES.index(name)
    member = visits["member"][visit]
    detail: dict[str, NDArray[Any]] = {}
    if code == LOGIN:
        detail["success"] = events.success[place]
    elif code == ERROR:
        member = np.where(events.unknown[place], np.int32(-1), member)
        detail["latency_ms"] = events.latency[place]
    elif code == POPUP:
        detail["action"] = events.action[place]
    return Batch(
        type=name,
        day=day,
        ts=ts + epoch,
        member=member,
        device=visits["device"][visit],
        visit=identifier,
        subject=events.subject[place].astype(np.int32),
        detail=detail,
    )
