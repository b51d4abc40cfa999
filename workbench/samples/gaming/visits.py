"""Who comes on a day, when, with which device and for how long: the visits before they have events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.samples.gaming.seasons import CHRONOTYPES, season, starts
from workbench.samples.gaming.streams import keys, stream
from workbench.samples.gaming.text import mixed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.samples.gaming.population import Members
    from workbench.samples.gaming.world import World

__all__ = ["DAY", "PER_DAY", "VISIT", "baseline", "length_for", "opened", "slots"]

DAY = 86_400_000_000
"""Microseconds of a day."""

PER_DAY = 1 << 26
"""Identifiers of visits that each day may give."""

VISIT = np.dtype(
    [
        ("id", "i8"),  # unique over the log
        ("key", "u8"),  # random bits: all that happens in the visit hangs on them
        ("start", "i8"),  # microseconds after the midnight of the log's first day
        ("member", "i4"),
        ("device", "i4"),
        ("n", "i4"),  # events
        ("pace", "f4"),  # factor of the gaps between them
        ("gaps", "i1"),  # kind of the gaps
        ("profile", "i1"),  # place in PROFILES
        ("community", "i1"),  # whose games are played
        ("unknown", "i2"),  # errors before anybody has logged in
        ("failed", "i2"),  # logins that fail
        ("login", "?"),  # whether one succeeds then; otherwise the member was still logged in
        ("sequence", "i1"),  # place in SEQUENCES, -1 for none
        ("game", "i2"),  # a game that takes a share of 255 of all games, -1 for none
        ("game_share", "u1"),
        ("error", "i2"),
        ("error_share", "u1"),
        ("popup", "i2"),
        ("popup_share", "u1"),
        ("clicks", "i1"),  # kind of what is done with pop-ups
        ("taste", "u8"),  # random bits: which of the community's games the member likes
    ]
)

_AGAIN, _AGAIN_REGULARS = 0.34, 0.9  # further visits on the same day; more of those that come often
_LOGIN, _UNKNOWN, _FAILED, _SHUT_OUT = 0.62, 0.035, 0.065, 0.02
_OPENING = _LOGIN + 1.5 * _UNKNOWN + 1.25 * _LOGIN * _FAILED


def slots(members: Members) -> NDArray[np.int8]:
    """Return the members' slots in a :class:`Season`."""
    return members.zone * np.int8(CHRONOTYPES) + members.chronotype


def length_for(members: Members, events_per_day: int, alive: float) -> float:
    """Return the factor of the visits' length with which an average day has so many events."""
    visits = members.presence * (1 + _AGAIN + _AGAIN_REGULARS * members.presence) * alive

    def events(scale: float) -> float:
        mean = scale * members.appetite
        return float(np.sum(visits * (_OPENING + 1 + 1 / np.expm1(1 / mean))))

    low, high = 0.01, 10_000.0
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if events(middle) < events_per_day else (low, middle)
    return float((low * high) ** 0.5)


def baseline(world: World, day: int) -> NDArray[Any]:
    """Return the visits that start on a UTC day, when nobody plans anything."""
    members = world.members
    rng = stream(world.seed, "visits", day)
    time = season(world.date(day))
    chance = members.presence * time.level[world.slots]
    coming = rng.random(len(members), dtype=np.float32) < chance
    coming &= (members.joined <= day) & (day < members.left)
    coming &= ~((members.away_from <= day) & (day < members.away_to))
    active = np.flatnonzero(coming)
    again = rng.poisson(_AGAIN + _AGAIN_REGULARS * members.presence[active])
    member = np.repeat(active, again + 1)
    visits = opened(world, day, member, rng, first=0)
    visits["start"] = day * DAY + starts(rng, time, world.slots[member])
    return visits


def opened(
    world: World, day: int, member: NDArray[Any], rng: np.random.Generator, first: int
) -> NDArray[Any]:
    """Return a usual visit of each member on a day, at its midnight; identifiers count from ``first``."""
    members, number = world.members, len(member)
    visits = np.zeros(number, dtype=VISIT)
    visits["id"] = (day + 1) * PER_DAY + first + np.arange(number)
    visits["key"] = keys(world.seed, visits["id"])
    visits["start"] = day * DAY
    visits["member"] = member
    visits["device"] = devices(world, day, member, rng)
    opening = _set_opening(visits, rng)
    more = rng.standard_exponential(number, dtype=np.float32) * members.appetite[member] * world.length
    shut_out = rng.random(number) < _SHUT_OUT
    visits["n"] = np.where(shut_out, visits["unknown"] + 2, opening + 1 + more.astype(np.int32))
    visits["unknown"] = np.where(shut_out, visits["n"], visits["unknown"])
    visits["pace"] = np.exp(0.35 * rng.standard_normal(number, dtype=np.float32))
    visits["profile"] = members.temper[member]
    visits["community"] = members.community[member]
    _plant(world, visits, opening, shut_out)
    visits["game"] = visits["error"] = visits["popup"] = -1
    visits["taste"] = mixed(member, 21)
    return visits


def _plant(
    world: World, visits: NDArray[Any], opening: NDArray[np.int32], shut_out: NDArray[np.bool_]
) -> None:
    """Give some visits a sequence, and the length that it takes."""
    sequence = world.tables.planted[(visits["key"] >> np.uint64(48)).astype(np.int64)]
    visits["sequence"] = np.where(shut_out, -1, sequence)
    steps = np.append((world.tables.steps >= 0).sum(axis=1), 0)[visits["sequence"]]
    visits["n"] = np.maximum(visits["n"], opening + steps)


def devices(world: World, day: int, member: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int32]:
    """Return the device that each member comes with on a day."""
    members = world.members
    spread = members.machines[member]
    main = members.device[member]
    main = np.where(members.replaced[member] <= day, members.successor[member], main)
    main = np.where(main >= 0, main + (rng.random(len(member)) * spread).astype(np.int32), main)
    second = members.second[member]
    other = (second >= 0) & (rng.random(len(member)) < 0.22)
    chosen: NDArray[np.int32] = np.where(other, second, main).astype(np.int32)
    return chosen


def _set_opening(visits: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int32]:
    """Set what happens until the member is logged in and return how many events that takes."""
    number = len(visits)
    draw = rng.random(number)
    visits["login"] = rng.random(number) < _LOGIN
    unknown = rng.random(number) < _UNKNOWN
    visits["unknown"] = np.where(unknown, 1 + (draw * 2).astype(np.int16), 0)
    failed = rng.random(number) < _FAILED
    visits["failed"] = np.where(failed & visits["login"], 1 + (draw > 0.8) + (draw > 0.95), 0)
    events: NDArray[np.int32] = visits["unknown"].astype(np.int32) + visits["failed"] + visits["login"]
    return events
