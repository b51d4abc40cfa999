"""What anomalous members do on a day: their visits are changed or dropped, others are added."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.samples.gaming.anomalies.plan import KINDS
from workbench.samples.gaming.behaviour import PROFILES
from workbench.samples.gaming.streams import stream
from workbench.samples.gaming.visits import DAY, PER_DAY, opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from workbench.samples.gaming.world import World

__all__ = ["behave"]

_HOUR = DAY // 24
_MINUTE = _HOUR // 60
_PROFILE = {name: place for place, name in enumerate(PROFILES)}
_MACHINES, _SEMI = 1, 2  # kinds of gaps
_EVENING = 19 * _HOUR


@dataclass
class _Scene:
    """A day on which somebody acts.

    Attributes:
        world: What is planned.
        day: Index of the day.
        visits: The day's visits of members that act; changed in place.
        kept: Which of them happen.
        added: Visits that happen besides, and the act of each.
        rng: The day's random numbers.
    """

    world: World
    day: int
    visits: NDArray[Any]
    kept: NDArray[np.bool_]
    rng: np.random.Generator
    added: list[tuple[NDArray[Any], NDArray[Any]]] = field(default_factory=list)

    def own(self, acts: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return places of the members' own visits within their acts' spans, and the act of each."""
        order = np.argsort(acts["member"], kind="stable")
        acts = acts[order]
        place = np.searchsorted(acts["member"], self.visits["member"])
        place = np.minimum(place, len(acts) - 1)
        of = acts[place]
        within = of["member"] == self.visits["member"]
        within &= (self.visits["start"] >= of["start"]) & (self.visits["start"] < of["end"])
        return np.flatnonzero(within), of[within]

    def add(self, acts: NDArray[Any], count: NDArray[Any], first: NDArray[Any] | int) -> tuple[Any, Any]:
        """Return ``count`` new visits of each act's member, ``first`` after midnight, and their acts."""
        acts = np.repeat(acts, count)
        made = sum(len(visits) for visits, _ in self.added)
        visits = opened(self.world, self.day, acts["member"], self.rng, PER_DAY // 2 + made)
        visits["start"] += np.repeat(np.broadcast_to(first, len(count)), count)
        self.added.append((visits, acts))
        return visits, acts


def behave(world: World, day: int, visits: NDArray[Any]) -> NDArray[Any]:
    """Return the visits of a day as they are with what is planned; the others' stay as they are."""
    acts = world.acts[(world.acts["start"] < (day + 1) * DAY) & (world.acts["end"] > day * DAY)]
    if not len(acts):
        return visits
    involved = world.involved[visits["member"]]
    scene = _Scene(
        world, day, visits[involved], np.ones(int(involved.sum()), bool), stream(world.seed, "anomalous", day)
    )
    for code, kind in enumerate(KINDS):
        mine = acts[acts["kind"] == code]
        if len(mine):
            _ACTS[kind.name](scene, mine)
    visits = visits.copy()
    visits[involved] = scene.visits
    kept = np.ones(len(visits), bool)
    kept[involved] = scene.kept
    tomorrow = (day + 1) * DAY
    within = [
        new[(new["start"] >= of["start"]) & (new["start"] < np.minimum(of["end"], tomorrow))]
        for new, of in scene.added
    ]
    return np.concatenate([visits[kept], *within])


def _takeover(scene: _Scene, acts: NDArray[Any]) -> None:
    rng = scene.rng
    night = (rng.uniform(0, 5, len(acts)) * _HOUR).astype(np.int64) + np.maximum(
        acts["start"] - scene.day * DAY, 0
    )
    visits, of = scene.add(acts, 1 + rng.poisson(0.3 + 2.2 * acts["strength"]), night)
    visits["start"] += (rng.uniform(0, 6, len(visits)) * _HOUR).astype(np.int64)
    visits["device"] = of["device"]
    visits["profile"], visits["community"] = _PROFILE["thief"], of["community"]
    visits["taste"] = visits["key"]
    visits["pace"] *= 0.5
    visits["login"] = True
    opening = of["start"] >= scene.day * DAY
    visits["failed"] = np.where(opening, rng.integers(1, 5, len(visits)), 0)
    visits["unknown"] = 0
    length = (4 + rng.exponential(6 + 14 * of["strength"])).astype(np.int32)
    visits["n"] = _long_enough(visits, length)


def _bot(scene: _Scene, acts: NDArray[Any]) -> None:
    at, of = scene.own(acts)
    part = scene.visits[at]
    part["gaps"] = np.where(of["strength"] > 0.4, _MACHINES, _SEMI)
    part["profile"], part["game"] = _PROFILE["machine"], of["game"]
    part["game_share"] = 150 + 100 * of["strength"]
    part["n"] = _long_enough(part, (part["n"] * (1.5 + 4 * of["strength"])).astype(np.int32))
    part["pace"] = 1.0
    scene.visits[at] = part


def _farm(scene: _Scene, acts: NDArray[Any]) -> None:
    rng = scene.rng
    begin = _same(scene, acts, 0, 16) * _HOUR
    comes = (rng.random(len(acts)) < 0.55 + 0.4 * acts["strength"]).astype(int)
    turn = (begin + acts["place"] * 11 * _MINUTE).astype(np.int64)
    visits, of = scene.add(acts, comes, turn)
    visits["device"], visits["game"], visits["game_share"] = of["device"], of["game"], 180
    visits["login"], visits["gaps"] = True, _SEMI
    visits["n"] = _long_enough(visits, 4 + rng.poisson(6, len(visits)))


def _stuffing(scene: _Scene, acts: NDArray[Any]) -> None:
    rng = scene.rng
    begin = (_same(scene, acts, 0, 18) * _HOUR + acts["place"] * 3 * _MINUTE).astype(np.int64)
    visits, of = scene.add(acts, 1 + rng.poisson(2.0 * acts["strength"]), begin)
    visits["start"] += (rng.random(len(visits)) * 4 * _HOUR).astype(np.int64)
    visits["device"] = of["device"] + (rng.random(len(visits)) * of["devices"]).astype(np.int32)
    visits["failed"], visits["unknown"] = 1 + rng.poisson(1.5, len(visits)), 0
    visits["login"] = rng.random(len(visits)) < 1 / 12
    visits["sequence"], visits["gaps"] = -1, _MACHINES
    visits["pace"] = 0.05
    visits["n"] = visits["failed"] + visits["login"]


def _churn(scene: _Scene, acts: NDArray[Any]) -> None:
    at, of = scene.own(acts)
    scene.kept[at] = scene.rng.random(len(at)) < 0.15 * (1 - of["strength"])


def _spree(scene: _Scene, acts: NDArray[Any]) -> None:
    rng = scene.rng
    begin = (rng.uniform(0, 20, len(acts)) * _HOUR).astype(np.int64)
    visits, of = scene.add(acts, 2 + rng.poisson(1 + 3 * acts["strength"]), begin)
    visits["start"] += (rng.uniform(0, 4, len(visits)) * _HOUR).astype(np.int64)
    visits["profile"] = _PROFILE["player"]
    visits["pace"] *= 0.6
    visits["n"] = _long_enough(visits, (visits["n"] * (1.5 + 2.5 * of["strength"])).astype(np.int32))


def _storm(scene: _Scene, acts: NDArray[Any]) -> None:
    rng = scene.rng
    begin = (rng.uniform(6, 23, len(acts)) * _HOUR).astype(np.int64)
    visits, of = scene.add(acts, 1 + rng.poisson(acts["strength"]), begin)
    visits["start"] += (rng.uniform(0, 1, len(visits)) * _HOUR).astype(np.int64)
    visits["profile"], visits["error"] = _PROFILE["stuck"], of["error"]
    visits["error_share"] = 140 + 110 * of["strength"]
    visits["pace"] *= 0.3
    visits["n"] = _long_enough(
        visits, (visits["n"] + rng.exponential(10 + 50 * of["strength"])).astype(np.int32)
    )


def _fraud(scene: _Scene, acts: NDArray[Any]) -> None:
    rng = scene.rng
    begin = (rng.uniform(0, 22, len(acts)) * _HOUR).astype(np.int64)
    visits, of = scene.add(acts, rng.poisson(0.6 + 0.8 * acts["strength"]), begin)
    visits["start"] += (rng.uniform(0, 2, len(visits)) * _HOUR).astype(np.int64)
    visits["device"] = of["device"] + of["place"] % of["devices"]
    visits["profile"], visits["clicks"] = _PROFILE["clicker"], 1
    visits["popup"], visits["popup_share"] = of["popup"], 150 + 90 * of["strength"]
    visits["pace"] *= 0.5
    visits["n"] = _long_enough(visits, 4 + rng.poisson(5 + 8 * of["strength"]))


def _ring(scene: _Scene, acts: NDArray[Any]) -> None:
    rng = scene.rng
    meets = _same(scene, acts, 0, 1) < 0.45 + 0.4 * acts["strength"]
    present = (meets & (rng.random(len(acts)) < 0.9)).astype(int)
    begin = _EVENING + (_same(scene, acts, -6, 3, salt=1) * _HOUR).astype(np.int64)
    visits, of = scene.add(acts, present, begin)
    visits["start"] += (rng.random(len(visits)) * 3 * _MINUTE).astype(np.int64)
    visits["game"], visits["game_share"] = of["game"], 200
    visits["profile"] = _PROFILE["player"]
    visits["n"] = _long_enough(visits, 5 + rng.poisson(6, len(visits)))


def _drift(scene: _Scene, acts: NDArray[Any]) -> None:
    at, of = scene.own(acts)
    part = scene.visits[at]
    done = (part["start"] - of["start"]) / np.maximum(of["end"] - of["start"], 1)
    moved = scene.rng.random(len(at)) < done
    part["community"] = np.where(moved, of["community"], part["community"])
    growth = 1 + done * (0.3 + 1.2 * of["strength"])
    part["n"] = _long_enough(part, (part["n"] * growth).astype(np.int32))
    scene.visits[at] = part


def _burst(scene: _Scene, acts: NDArray[Any]) -> None:
    rng = scene.rng
    lasts = np.maximum(1, np.ceil((acts["end"] - acts["start"]) / DAY)).astype(int)
    turn = np.clip(scene.day - acts["start"] // DAY, 0, lasts - 1)
    low, high = turn * acts["devices"] // lasts, (turn + 1) * acts["devices"] // lasts
    late = np.where(acts["start"] < (scene.day + 1) * DAY - 8 * _HOUR, high - low, 0)
    late = np.where(scene.day - acts["start"] // DAY < lasts, late, 0)
    begin = np.maximum(acts["start"] - scene.day * DAY, 0)
    visits, of = scene.add(acts, late, begin)
    index = np.arange(len(visits)) - np.repeat(np.cumsum(late) - late, late)
    visits["start"] += (rng.random(len(visits)) * 8 * _HOUR).astype(np.int64)
    visits["device"] = of["device"] + np.repeat(low, late) + index
    visits["login"], visits["unknown"] = True, 0
    visits["n"] = _long_enough(visits, 1 + rng.poisson(3, len(visits)))


def _shift(scene: _Scene, acts: NDArray[Any]) -> None:
    at, of = scene.own(acts)
    start = scene.visits["start"][at] - scene.day * DAY
    scene.visits["start"][at] = scene.day * DAY + (start + of["shift"] * _HOUR) % DAY


def _same(scene: _Scene, acts: NDArray[Any], low: float, high: float, salt: int = 0) -> NDArray[np.float64]:
    """Return a number for each act, the same for all of an incident on a day."""
    rng = stream(scene.world.seed, "incidents", scene.day * 2 + salt)
    number = int(scene.world.acts["incident"].max()) + 1
    numbers: NDArray[np.float64] = rng.uniform(low, high, number)[acts["incident"]]
    return numbers


def _long_enough(visits: NDArray[Any], length: NDArray[Any]) -> NDArray[np.int32]:
    """Return a length that what is fixed of the visits fits into: the opening and a sequence."""
    opening = visits["unknown"].astype(np.int32) + visits["failed"] + visits["login"]
    least = opening + 1 + 4 * (visits["sequence"] >= 0)
    fitting: NDArray[np.int32] = np.maximum(length, least).astype(np.int32)
    return fitting


_ACTS: dict[str, Callable[[_Scene, NDArray[Any]], None]] = {
    "account takeover": _takeover,
    "bot": _bot,
    "device farm": _farm,
    "credential stuffing": _stuffing,
    "silent churn": _churn,
    "spree": _spree,
    "error storm": _storm,
    "popup fraud": _fraud,
    "ring": _ring,
    "slow drift": _drift,
    "new-device burst": _burst,
    "time-zone shift": _shift,
}
