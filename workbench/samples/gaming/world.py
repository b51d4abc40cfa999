"""The generated world: who and what there is, and all that is planned to happen in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from workbench.samples.gaming.anomalies.plan import plan as plan_anomalies
from workbench.samples.gaming.behaviour import tables
from workbench.samples.gaming.benign import plan as plan_benign
from workbench.samples.gaming.peopling import ALIVE, catalogue, people
from workbench.samples.gaming.population import SIZES, Devices
from workbench.samples.gaming.streams import stream
from workbench.samples.gaming.visits import length_for, slots

if TYPE_CHECKING:
    from datetime import date

    from numpy.typing import NDArray

    from workbench.samples.gaming.behaviour import Tables
    from workbench.samples.gaming.benign import Benign
    from workbench.samples.gaming.population import Errors, Games, Members, Popups

__all__ = ["VipMoves", "World", "build"]

_ACCOUNTS = 600_000 / 958_000  # for each event of a day
_SPARE = 0.004  # of the accounts: come only if an anomaly makes them
_MOVES_A_DAY = 0.0012  # of the members


class VipMoves(NamedTuple):
    """Changes of VIP groups, by day.

    Attributes:
        day: From which the member is in the new group.
        member: Code of the member.
        tier: Code of the new group.
    """

    day: NDArray[np.int16]
    member: NDArray[np.int32]
    tier: NDArray[np.int8]


@dataclass(frozen=True)
class World:
    """Everything that is decided before the first event.

    Attributes:
        seed: All random numbers hang on it.
        start: First UTC day.
        days: Number of days.
        events_per_day: On an average day.
        members: Accounts.
        devices: Devices.
        games: Games.
        popups: Pop-ups.
        errors: Errors.
        moves: Changes of VIP groups.
        benign: What is unusual and no anomaly.
        acts: What anomalous members do, a row of ``ACT`` each; no rows where there are no anomalies.
        involved: By member, whether it has a row among the acts.
        tables: Behaviour.
        slots: Each member's slot in a season.
        length: Factor of the length of visits.
    """

    seed: int
    start: date
    days: int
    events_per_day: int
    members: Members
    devices: Devices
    games: Games
    popups: Popups
    errors: Errors
    moves: VipMoves
    benign: Benign
    acts: NDArray[Any]
    involved: NDArray[np.bool_]
    tables: Tables
    slots: NDArray[np.int8]
    length: float

    def date(self, day: int) -> date:
        """Return the date of a day, given by its index."""
        return self.start + timedelta(days=day)

    def vip_on(self, day: int) -> NDArray[np.int8]:
        """Return each member's VIP group on a day."""
        tiers = self.members.vip.copy()
        happened = int(np.searchsorted(self.moves.day, day, side="right"))
        tiers[self.moves.member[:happened]] = self.moves.tier[:happened]
        return tiers


def build(  # noqa: PLR0913  (the options of one log)
    seed: int,
    *,
    days: int,
    events_per_day: int,
    members: int | None,
    start: date,
    anomalies: bool,
) -> World:
    """Return a world; equal arguments give equal worlds.

    Args:
        seed: All random numbers hang on it.
        days: Number of UTC days.
        events_per_day: On an average day.
        members: Accounts that come by themselves; by default in proportion to the events.
        start: First day.
        anomalies: Whether some members behave anomalously. Everything else is the same without.
    """
    number = members or max(200, round(_ACCOUNTS * events_per_day))
    spare = max(60, round(_SPARE * number))
    games, popups, errors = catalogue(seed)
    accounts, devices = people(seed, number, spare, days, events_per_day)
    accounts, benign = plan_benign(seed, days, accounts, (games, popups, errors))
    acts, made = plan_anomalies(seed, days, accounts, (games, popups, errors), len(devices))
    if not anomalies:
        acts = acts[:0]
    involved = np.zeros(len(accounts), dtype=bool)
    involved[acts["member"]] = True
    return World(
        seed=seed,
        start=start,
        days=days,
        events_per_day=events_per_day,
        members=accounts,
        devices=_with_attackers(seed, devices, made),
        games=games,
        popups=popups,
        errors=errors,
        moves=_vip_moves(seed, accounts, days),
        benign=benign,
        acts=acts,
        involved=involved,
        tables=tables(games, popups, errors),
        slots=slots(accounts),
        length=length_for(accounts, events_per_day, ALIVE),
    )


def _with_attackers(seed: int, devices: Devices, number: int) -> Devices:
    """Return the devices and those that come with anomalies, which look like any other."""
    rng = stream(seed, "devices", 0)
    like = rng.integers(0, max(len(devices), 1), number)
    return Devices(
        np.concatenate([devices.platform, devices.platform[like]]),
        np.concatenate([devices.kind, np.full(number, 3, dtype=np.int8)]),
    )


def _vip_moves(seed: int, members: Members, days: int) -> VipMoves:
    """Return changes of VIP groups: regulars mostly rise by one, others mostly fall."""
    rng = stream(seed, "members_plan")
    member = np.flatnonzero(rng.random(len(members)) < _MOVES_A_DAY * days)
    day = np.sort(rng.integers(0, max(days, 1), len(member)))
    rising = rng.random(len(member)) < np.where(members.presence[member] > 0.2, 0.75, 0.3)
    tier = np.clip(members.vip[member] + np.where(rising, 1, -1), 0, SIZES["vip_groups"] - 1)
    moved = tier != members.vip[member]
    member = rng.permutation(member)
    return VipMoves(day[moved].astype(np.int16), member[moved].astype(np.int32), tier[moved].astype(np.int8))
