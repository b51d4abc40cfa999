"""What is true of the generated world and not written in its log: anomalies, look-alikes, sequences."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from workbench.samples.gaming.anomalies import KINDS
from workbench.samples.gaming.batch import TYPES
from workbench.samples.gaming.behaviour import SEQUENCES
from workbench.samples.gaming.days import visits_of
from workbench.samples.gaming.population import NEVER
from workbench.samples.gaming.visits import DAY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.samples.gaming.world import World

__all__ = ["truth"]

_TIME = pa.timestamp("us", tz="UTC")


def truth(world: World) -> dict[str, pa.Table]:
    """Return what is planted, entities by their codes.

    ``anomalies`` has a row for each member and each device that takes part (``kind``, ``incident``,
    ``entity_type``, ``entity``, ``from``, ``to``, ``first_day``, ``last_day``, ``strength`` from 0 to 1,
    ``note``), ``benign`` likewise what looks like an anomaly and is none, and ``sequences`` a row for
    each step with its sequence's support: the visits and the members that have it.
    """
    return {"anomalies": _anomalies(world), "benign": _benign(world), "sequences": _sequences(world)}


def _anomalies(world: World) -> pa.Table:
    acts = world.acts
    number = acts["devices"].astype(np.int64)
    # devices belong to the incident: one row each, not one for each member
    leading = np.flatnonzero((acts["place"] == 0) & (number > 0))
    of = np.repeat(leading, number[leading])
    turn = np.arange(len(of)) - np.repeat(np.cumsum(number[leading]) - number[leading], number[leading])
    rows = np.concatenate([acts, acts[of]])
    entity = np.concatenate([acts["member"], acts["device"][of] + turn]).astype(np.int32)
    return pa.table(
        {
            "kind": pa.array([KINDS[code].name for code in rows["kind"]], pa.string()),
            "incident": rows["incident"],
            "entity_type": pa.array(["member"] * len(acts) + ["device"] * len(of), pa.string()),
            "entity": entity,
            **_span(world, rows["start"], rows["end"]),
            "strength": rows["strength"],
            "note": pa.array([KINDS[code].note for code in rows["kind"]], pa.string()),
        }
    )


def _benign(world: World) -> pa.Table:
    members, benign = world.members, world.benign
    holiday = np.flatnonzero((members.presence > 0.2) & (members.away_from < world.days))
    until = world.days * DAY
    parts: list[tuple[str, str, NDArray[Any], Any, Any]] = [
        ("marketing burst", "popup", np.array([benign.popup]), *benign.campaign),
        ("marketing burst", "game", np.array([benign.game]), *benign.campaign),
        ("marketing burst", "affiliate", np.array([benign.affiliate]), *benign.campaign),
        ("marketing burst", "member", benign.recruits, *benign.campaign),
        ("outage", "error", np.array([benign.error]), *benign.outage),
        (
            "new heavy member",
            "member",
            benign.new_heavy,
            members.joined[benign.new_heavy].astype(np.int64) * DAY,
            until,
        ),
        (
            "holiday",
            "member",
            holiday,
            members.away_from[holiday].astype(np.int64) * DAY,
            members.away_to[holiday].astype(np.int64) * DAY,
        ),
        (
            "replaced device",
            "member",
            (changed := np.flatnonzero((members.replaced != NEVER) & (members.presence > 0.2))),
            members.replaced[changed].astype(np.int64) * DAY,
            until,
        ),
    ]
    begin, end = (
        np.concatenate([np.broadcast_to(part[place], len(part[2])) for part in parts]) for place in (3, 4)
    )
    return pa.table(
        {
            "kind": pa.array([part[0] for part in parts for _ in part[2]], pa.string()),
            "entity_type": pa.array([part[1] for part in parts for _ in part[2]], pa.string()),
            "entity": np.concatenate([part[2] for part in parts]).astype(np.int32),
            **_span(world, begin, np.minimum(end, until)),
        }
    )


def _sequences(world: World) -> pa.Table:
    """Count in which visits that begin within the log the sequences are."""
    found = [visits_of(world, day)[["sequence", "member"]] for day in range(world.days)]
    planted = [visits[visits["sequence"] >= 0] for visits in found]
    all_planted = np.concatenate(planted)
    visits = np.bincount(all_planted["sequence"], minlength=len(SEQUENCES))
    members = [
        len(np.unique(all_planted["member"][all_planted["sequence"] == n])) for n in range(len(visits))
    ]
    steps, subjects = world.tables.steps, world.tables.subjects
    sequence, step = np.nonzero(steps >= 0)
    return pa.table(
        {
            "sequence": sequence.astype(np.int32),
            "step": step.astype(np.int32),
            "type": pa.array([TYPES[code] for code in steps[sequence, step]], pa.string()),
            "subject": subjects[sequence, step].astype(np.int32),
            "visits": visits[sequence],
            "members": np.array(members, dtype=np.int64)[sequence],
        }
    )


def _span(world: World, begin: NDArray[Any], end: NDArray[Any]) -> dict[str, pa.Array]:
    epoch = int(datetime.combine(world.start, time(), UTC).timestamp()) * 1_000_000
    return {
        "from": pa.array(begin + epoch, pa.int64()).cast(_TIME),
        "to": pa.array(end + epoch, pa.int64()).cast(_TIME),
        "first_day": pa.array(begin // DAY, pa.int32()),
        "last_day": pa.array((end - 1) // DAY, pa.int32()),
    }
