"""Which members behave anomalously, in which way, when and how strongly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from workbench.samples.gaming.population import HUB, NEVER, SIZES
from workbench.samples.gaming.streams import stream
from workbench.samples.gaming.visits import DAY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.samples.gaming.population import Errors, Games, Members, Popups

__all__ = ["ACT", "KINDS", "PREVALENCE", "Kind", "plan"]

PREVALENCE = 0.005
"""Share of the members active in the log that behave anomalously."""

ACT = np.dtype(
    [
        ("kind", "i1"),  # place in KINDS
        ("incident", "i4"),  # what belongs together, such as the members of one ring
        ("member", "i4"),
        ("place", "i4"),  # among the members of the incident
        ("device", "i4"),  # first of the devices that come with it, -1 for none
        ("devices", "i2"),  # how many
        ("start", "i8"),  # microseconds after the midnight of the log's first day
        ("end", "i8"),
        ("strength", "f4"),  # 0 to 1
        ("game", "i2"),
        ("error", "i2"),
        ("popup", "i2"),
        ("community", "i1"),
        ("shift", "i8"),  # hours
    ]
)


class Kind(NamedTuple):
    """A kind of anomalies.

    Attributes:
        name: What it is called.
        days: Shortest and longest span; the last kinds' reach to the end of the log.
        group: Fewest and most members of an incident.
        devices: Fewest and most devices that come with an incident (with each member for groups of 1).
        presence: Lowest and highest probability to come of the members that are chosen.
        spare: Whether the members come only because of it.
        to_end: Whether it lasts until the log ends.
        note: What happens.
    """

    name: str
    days: tuple[int, int]
    group: tuple[int, int] = (1, 1)
    devices: tuple[int, int] = (0, 0)
    presence: tuple[float, float] = (0.04, 0.6)
    spare: bool = False
    to_end: bool = False
    note: str = ""


KINDS = (
    Kind(
        "account takeover",
        (1, 4),
        devices=(1, 1),
        note="failed logins, then another's visits from a new device, at the owner's night, other games",
    ),
    Kind(
        "bot",
        (4, 14),
        presence=(0.1, 0.8),
        note="a machine's even gaps, hardly anything but one game",
    ),
    Kind(
        "device farm",
        (3, 7),
        group=(8, 20),
        devices=(1, 1),
        spare=True,
        note="new accounts come one after another from one device, to one game",
    ),
    Kind(
        "credential stuffing",
        (1, 1),
        group=(6, 14),
        devices=(2, 3),
        presence=(0.0, 0.6),
        note="within hours, logins of many members fail from a few devices; one in twelve succeeds",
    ),
    Kind(
        "silent churn",
        (6, 20),
        presence=(0.3, 1.0),
        to_end=True,
        note="a regular member hardly comes any more, or never",
    ),
    Kind(
        "spree",
        (1, 3),
        note="far more and longer visits than usual, quickly from game to game",
    ),
    Kind(
        "error storm",
        (1, 3),
        presence=(0.1, 0.6),
        note="the member's client repeats one failing call",
    ),
    Kind(
        "popup fraud",
        (3, 8),
        group=(4, 9),
        devices=(1, 3),
        presence=(0.0, 0.2),
        note="accounts on shared devices claim one pop-up again and again",
    ),
    Kind(
        "ring",
        (5, 14),
        group=(4, 8),
        presence=(0.05, 0.4),
        note="members open the same game within minutes of one another, evening after evening",
    ),
    Kind(
        "slow drift",
        (12, 30),
        presence=(0.25, 0.9),
        to_end=True,
        note="visits move little by little to another community's games and grow longer",
    ),
    Kind(
        "new-device burst",
        (1, 2),
        devices=(4, 12),
        note="logins from device after device that nobody has seen before",
    ),
    Kind(
        "time-zone shift",
        (5, 20),
        presence=(0.25, 0.8),
        to_end=True,
        note="the member comes at other hours, otherwise as ever",
    ),
)


def plan(
    seed: int, days: int, members: Members, catalogue: tuple[Games, Popups, Errors], devices: int
) -> tuple[NDArray[Any], int]:
    """Return what is planned, a row of :data:`ACT` a member, and how many devices it needs.

    A fifth of a percent of the members cannot be split over twelve kinds in a very small log: each
    kind has at least one incident.

    Args:
        seed: Of the world.
        days: Of the log.
        members: Accounts.
        catalogue: Games, pop-ups and errors.
        devices: How many there are; the new ones' codes follow.
    """
    rng = stream(seed, "anomalies")
    quota = PREVALENCE * _active(members, days) / len(KINDS)
    free = (members.joined <= 0) & (members.left >= days) & (members.away_from == NEVER) & ~members.is_test
    rows: list[NDArray[Any]] = []
    incident = devices_made = 0
    for code, kind in enumerate(KINDS):
        sizes = _groups(rng, kind, quota)
        chosen = _choose(rng, kind, members, free, int(sizes.sum()))
        sizes = sizes[np.cumsum(sizes) <= len(chosen)] if len(chosen) < sizes.sum() else sizes
        acts = _incidents(rng, code, sizes, chosen[: int(sizes.sum())], days, catalogue)
        number = rng.integers(kind.devices[0], kind.devices[1] + 1, len(sizes))
        first = np.where(number > 0, devices + devices_made + np.cumsum(number) - number, -1)
        acts["device"], acts["devices"] = first[acts["incident"]], number[acts["incident"]]
        acts["community"] = (members.community[acts["member"]] + acts["community"]) % SIZES["communities"]
        acts["incident"] += incident
        incident += len(sizes)
        devices_made += int(number.sum())
        free[acts["member"]] = False
        rows.append(acts)
    return np.concatenate(rows), devices_made


def _active(members: Members, days: int) -> float:
    """Return how many members may be expected to come at all."""
    lived = np.maximum(np.minimum(members.left, days) - np.maximum(members.joined, 0), 0)
    return float(np.sum(1 - (1 - members.presence.astype(float)) ** lived))


def _groups(rng: np.random.Generator, kind: Kind, quota: float) -> NDArray[np.int64]:
    """Return sizes of incidents with about ``quota`` members in all."""
    low, high = kind.group
    sizes = rng.integers(low, high + 1, max(1, round(quota / low)))
    return sizes[: max(1, int(np.searchsorted(np.cumsum(sizes), quota + (low + high) / 4)))]


def _choose(
    rng: np.random.Generator, kind: Kind, members: Members, free: NDArray[np.bool_], number: int
) -> NDArray[np.int64]:
    """Return members that behave so: by chance, among those that come as often as it takes."""
    low, high = kind.presence
    dormant = members.presence == 0
    fit = dormant if kind.spare else free & ~dormant
    distance = np.maximum(low - members.presence, members.presence - high) if not kind.spare else 0.0
    score = rng.random(len(members)) + np.where(distance <= 0, 0.0, 1.0 + np.maximum(distance, 0))
    pool = np.flatnonzero(fit)
    return pool[np.argsort(score[pool], kind="stable")[:number]]


def _incidents(  # noqa: PLR0913, PLR0917  (the facts of one kind)
    rng: np.random.Generator,
    code: int,
    sizes: NDArray[np.int64],
    members: NDArray[np.int64],
    days: int,
    catalogue: tuple[Games, Popups, Errors],
) -> NDArray[Any]:
    """Return the acts of one kind, without their devices; ``community`` is still a distance."""
    kind, number = KINDS[code], len(sizes)
    games, popups, errors = catalogue
    long = np.minimum(rng.integers(kind.days[0], kind.days[1] + 1, number), max(1, round(0.7 * days)))
    first = (rng.uniform(0.15, 1.0, number) * (days - long)).astype(np.int64)
    if kind.to_end:
        first = days - long
    begin = first * DAY + (rng.uniform(0, 0.6, number) * DAY).astype(np.int64)
    whole = kind.to_end or kind.group[1] > 1
    begin = np.where(whole, first * DAY, begin)
    acts = np.zeros(int(sizes.sum()), dtype=ACT)
    of = np.repeat(np.arange(number), sizes)
    acts["kind"], acts["incident"], acts["member"] = code, of, members
    acts["place"] = np.arange(len(acts)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    acts["start"] = begin[of]
    acts["end"] = np.minimum(begin + long * DAY, days * DAY)[of]
    acts["strength"] = rng.random(number)[of]
    own = np.flatnonzero(games.community != HUB)
    acts["game"] = rng.choice(own, number)[of]
    acts["error"] = rng.choice(len(errors), number, p=errors.popularity)[of]
    acts["popup"] = rng.choice(len(popups), number, p=popups.popularity)[of]
    acts["community"] = rng.integers(1, SIZES["communities"], number)[of]
    acts["shift"] = rng.integers(6, 13, number)[of]
    return acts
