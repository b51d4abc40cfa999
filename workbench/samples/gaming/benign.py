"""What is unusual in the generated world and no anomaly: a campaign, an outage, new heavy members."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.samples.gaming.behaviour import ERROR, GAME, LOGIN, POPUP
from workbench.samples.gaming.population import HUB, NEVER, SIZES
from workbench.samples.gaming.streams import keys, stream
from workbench.samples.gaming.visits import DAY, PER_DAY, opened

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.samples.gaming.events import Events
    from workbench.samples.gaming.population import Errors, Games, Members, Popups
    from workbench.samples.gaming.world import World

__all__ = ["Benign", "added", "disturb", "plan"]

_HOUR = DAY // 24
_RECRUITS = 0.012  # of the accounts come through the campaign
_NEW_HEAVY = 0.0006  # of the accounts
_SEES, _TRIES = 0.5, 0.35  # of pop-ups and of games while the campaign runs
_FAILS, _SAYS = 0.75, 0.85  # of logins and games while nothing works; of errors that say so


@dataclass(frozen=True)
class Benign:
    """What looks like an anomaly and is none; times are microseconds after the log's first midnight.

    Attributes:
        campaign: From when to when the marketing burst lasts.
        popup: Everybody sees it then.
        game: Many try it then.
        affiliate: New members come through it.
        recruits: They join on the campaign's day.
        outage: From when to when hardly any call succeeds.
        error: What the calls say then.
        new_heavy: Members that join within the log and play much from their first day.
    """

    campaign: tuple[int, int]
    popup: int
    game: int
    affiliate: int
    recruits: NDArray[np.int64]
    outage: tuple[int, int]
    error: int
    new_heavy: NDArray[np.int64]


def plan(
    seed: int, days: int, members: Members, catalogue: tuple[Games, Popups, Errors]
) -> tuple[Members, Benign]:
    """Return the members with those that are new for a reason, and what is planned."""
    rng = stream(seed, "benign")
    games, _, errors = catalogue
    joined, presence = members.joined.copy(), members.presence.copy()
    affiliate, appetite = members.affiliate.copy(), members.appetite.copy()
    left, away = members.left.copy(), members.away_from.copy()
    order = rng.permutation(np.flatnonzero(members.presence > 0))
    recruits = order[: max(3, round(_RECRUITS * len(order)))]
    heavy = order[len(recruits) :][: max(1, round(_NEW_HEAVY * len(order)))]
    begin = int(days * rng.uniform(0.35, 0.65)) * DAY + int(rng.uniform(9, 15) * _HOUR)
    through = int(rng.integers(0, SIZES["affiliates"]))
    joined[recruits], affiliate[recruits] = begin // DAY, through
    joined[heavy] = rng.integers(days // 4, max(days // 4 + 1, days * 3 // 4), len(heavy))
    left[recruits] = left[heavy] = away[heavy] = NEVER
    presence[heavy] = rng.uniform(0.7, 0.92, len(heavy))
    appetite[heavy] *= 2.5
    broken = int(days * rng.uniform(0.1, 0.9)) * DAY + int(rng.uniform(8, 20) * _HOUR)
    own = np.flatnonzero(games.community != HUB)
    benign = Benign(
        campaign=(begin, begin + int(rng.uniform(5, 8) * _HOUR)),
        popup=int(rng.integers(0, SIZES["popups"])),
        game=int(rng.choice(own)),
        affiliate=through,
        recruits=np.sort(recruits),
        outage=(broken, broken + int(rng.uniform(0.7, 1.6) * _HOUR)),
        error=int(np.argsort(-errors.popularity)[6]),
        new_heavy=np.sort(heavy),
    )
    changed = replace(
        members,
        joined=joined,
        presence=presence,
        affiliate=affiliate,
        appetite=appetite,
        left=left,
        away_from=away,
    )
    return changed, benign


def added(world: World, day: int, visits: NDArray[Any]) -> NDArray[Any]:
    """Return the visits of a day with those that the campaign brings."""
    begin, end = world.benign.campaign
    if day != begin // DAY:
        return visits
    rng = stream(world.seed, "benign", day)
    come = world.benign.recruits[rng.random(len(world.benign.recruits)) < 0.6]
    new = opened(world, day, come, rng, PER_DAY // 4)
    new["start"] = rng.integers(begin, min(end, (day + 1) * DAY), len(new))
    return np.concatenate([visits, new])


def disturb(world: World, events: Events, visits: NDArray[Any]) -> None:
    """Change what happens while the campaign or the outage lasts; which events, hangs on their visits."""
    benign = world.benign
    for begin, end in (benign.campaign, benign.outage):
        at = np.flatnonzero((events.ts >= begin) & (events.ts < end))
        if not len(at):
            continue
        chance = keys(world.seed, visits["id"][events.visit[at]] ^ events.ts[at]) / 2.0**64
        kind = events.type[at]
        if (begin, end) == benign.campaign:
            events.subject[at[(kind == POPUP) & (chance < _SEES)]] = benign.popup
            events.subject[at[(kind == GAME) & (chance < _TRIES)]] = benign.game
        else:
            failing = ((kind == LOGIN) | (kind == GAME)) & (chance < _FAILS)
            events.type[at[failing]] = ERROR
            says = failing | ((kind == ERROR) & (chance < _SAYS))
            events.subject[at[says]] = benign.error
