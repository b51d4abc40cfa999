"""How the generated world is peopled: accounts with their devices, games with their communities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.samples.gaming.population import (
    CALLS,
    HUB,
    NEVER,
    SIZES,
    ZONES,
    Devices,
    Errors,
    Games,
    Members,
    Popups,
    shares,
)
from workbench.samples.gaming.streams import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ALIVE", "TEMPERS", "catalogue", "people"]

TEMPERS = (0.46, 0.24, 0.12, 0.12, 0.06)
"""Shares of the members: mixed, players, lookers at pop-ups, troubled by errors, brief ones."""

ALIVE = 0.895
"""Share of the accounts that may come on an average day."""

_PRESENCE_FALL = 0.55  # of the probability to come, by rank
_ACTIVE = 50_000 / 958_000  # members a day for each event
_HUBS = 48
_PLATFORMS = (0.27, 0.19, 0.20, 0.15, 0.06, 0.06, 0.05, 0.02)
_CURRENCIES = (0.6, 0.3, 0.1)
_VIP_SHARES = (0.58, 0.22, 0.11, 0.06, 0.022, 0.008)
_LIVING = (0.35, 0.33, 0.22, 0.10)  # no recognised device, an own one, a household's, a café's


def catalogue(seed: int) -> tuple[Games, Popups, Errors]:
    """Return the games, pop-ups and errors of a world."""
    rng = stream(seed, "catalogue")
    number, communities, providers = SIZES["games"], SIZES["communities"], SIZES["providers"]
    community = _communities(rng, number - _HUBS, communities)
    community = np.concatenate([np.full(_HUBS, HUB), community]).astype(np.int8)
    own = rng.permuted(np.tile(np.arange(providers), (communities, 1)), axis=1)[:, :3]
    provider = np.where(
        rng.random(number) < 0.55,
        own[np.maximum(community, 0), rng.integers(0, 3, number)],
        rng.choice(providers, number, p=shares(1 / np.arange(2, providers + 2))),
    )
    provider[:_HUBS] = rng.choice(providers, _HUBS, p=shares(1 / np.arange(2, providers + 2)))
    popularity = np.empty(number)
    for block in range(HUB, communities):
        games = np.flatnonzero(community == block)
        popularity[games] = shares(1 / np.arange(1, len(games) + 1) ** (0.75 if block == HUB else 0.85))
    order = rng.permutation(number)  # a code says nothing about what it stands for
    offered = Games(provider[order].astype(np.int8), community[order], popularity[order])
    popups = Popups(rng.permutation(shares(1 / np.arange(1, SIZES["popups"] + 1) ** 1.05)))
    ranks = rng.permutation(SIZES["errors"]) + 1
    errors = Errors(
        (np.arange(SIZES["errors"]) % CALLS).astype(np.int8), shares(1 / ranks.astype(float) ** 1.15)
    )
    return offered, popups, errors


def people(seed: int, number: int, spare: int, days: int, events_per_day: int) -> tuple[Members, Devices]:
    """Return the accounts and their devices.

    Args:
        seed: Of the world.
        number: How many accounts come by themselves.
        spare: How many more there are that come only if somebody makes them.
        days: Of the log.
        events_per_day: Of the log; gives how many members come on a day.
    """
    rng = stream(seed, "people")
    total = number + spare
    rank = np.empty(total)
    chosen = rng.permutation(total)
    rank[chosen] = np.arange(1, total + 1)
    dormant = rank > number
    presence = _presence(rank, number, events_per_day)
    presence[dormant] = 0
    standing = np.log(rank) / np.log(number) + rng.normal(0, 0.12, total)
    vip_bounds = np.quantile(standing, np.cumsum(_VIP_SHARES[::-1])[:-1])
    joined, left = _lifespans(rng, presence, days)
    away_from, away_to = _absences(rng, presence, days)
    platform = rng.choice(len(_PLATFORMS), total, p=shares(np.array(_PLATFORMS)))
    devices, owned = _devices(stream(seed, "devices"), platform.astype(np.int8), days)
    members = Members(
        zone=rng.choice(len(ZONES), total, p=shares(np.array([share for _, share in ZONES]))).astype(np.int8),
        chronotype=rng.choice(3, total, p=(0.25, 0.5, 0.25)).astype(np.int8),
        currency=rng.choice(3, total, p=_CURRENCIES).astype(np.int8),
        platform=owned.platform,
        affiliate=rng.permutation(SIZES["affiliates"])[
            rng.choice(SIZES["affiliates"], total, p=shares(1 / np.arange(1, SIZES["affiliates"] + 1) ** 1.1))
        ].astype(np.int16),
        vip=(len(_VIP_SHARES) - 1 - np.searchsorted(vip_bounds, standing)).astype(np.int8),
        login_method=rng.choice(SIZES["login_methods"], total, p=(0.52, 0.18, 0.12, 0.08, 0.04, 0.06)).astype(
            np.int8
        ),
        community=_communities(rng, total, SIZES["communities"]),
        temper=rng.choice(len(TEMPERS), total, p=TEMPERS).astype(np.int8),
        presence=presence.astype(np.float32),
        appetite=np.exp(rng.normal(0, 0.55, total) + 0.5 * (presence**0.5 - 0.3)).astype(np.float32),
        joined=joined,
        left=left,
        away_from=away_from,
        away_to=away_to,
        device=owned.device,
        machines=owned.machines,
        second=owned.second,
        replaced=owned.replaced,
        successor=owned.successor,
        is_test=rng.random(total) < 0.0004,
    )
    return members, devices


def _presence(rank: NDArray[np.float64], number: int, events_per_day: int) -> NDArray[np.float64]:
    """Return probabilities to come that fall with the rank and give the day's number of members."""
    aim = min(_ACTIVE * events_per_day / ALIVE, 0.6 * number)
    falling = (np.arange(1, number + 1) + number * 2e-4) ** -_PRESENCE_FALL
    scale = aim / falling.sum()
    for _ in range(20):
        scale *= aim / np.minimum(scale * falling, 0.92).sum()
    presence: NDArray[np.float64] = np.minimum(scale * (rank + number * 2e-4) ** -_PRESENCE_FALL, 0.92)
    return presence


def _lifespans(
    rng: np.random.Generator, presence: NDArray[np.float64], days: int
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return first and last days: some accounts are new, some of those that come rarely are given up."""
    number = len(presence)
    new = rng.random(number) < 0.12
    joined = np.where(new, rng.integers(0, max(days, 1), number), 0)
    gone = (rng.random(number) < 0.10) & (presence < 0.3)
    left = np.where(gone, joined + 1 + rng.integers(0, max(days, 1), number), NEVER)
    return joined.astype(np.int16), left.astype(np.int16)


def _absences(
    rng: np.random.Generator, presence: NDArray[np.float64], days: int
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return the days of absences: of a few, a week or two, and they come back if the log lasts so long."""
    number = len(presence)
    away = rng.random(number) < 0.03
    start = np.where(away, rng.integers(0, max(days, 1), number), NEVER)
    return start.astype(np.int16), np.minimum(start + rng.integers(5, 13, number), NEVER).astype(np.int16)


def _communities(rng: np.random.Generator, number: int, communities: int) -> NDArray[np.int8]:
    """Return a community for each of ``number``, some up to three times as large as others."""
    return rng.choice(communities, number, p=shares(np.linspace(3, 1, communities))).astype(np.int8)


@dataclass(frozen=True)
class _Owned:
    platform: NDArray[np.int8]
    device: NDArray[np.int32]
    machines: NDArray[np.int16]
    second: NDArray[np.int32]
    replaced: NDArray[np.int16]
    successor: NDArray[np.int32]


def _devices(rng: np.random.Generator, platform: NDArray[np.int8], days: int) -> tuple[Devices, _Owned]:
    """Return the devices and who comes with which: an own one, a household's, one of a café's machines."""
    number = len(platform)
    living = rng.choice(4, number, p=_LIVING)
    place = rng.permutation(number)
    device = np.full(number, -1, dtype=np.int32)
    machines = np.ones(number, dtype=np.int16)
    made: list[NDArray[np.int8]] = []
    kinds: list[NDArray[np.int8]] = []
    count = 0

    def add(platforms: NDArray[Any], kind: int) -> NDArray[np.int32]:
        nonlocal count
        made.append(platforms.astype(np.int8))
        kinds.append(np.full(len(platforms), kind, dtype=np.int8))
        count += len(platforms)
        return np.arange(count - len(platforms), count, dtype=np.int32)

    own = np.flatnonzero(living == 1)
    device[own] = add(platform[own], 0)
    shared = place[living[place] == 2]
    sizes = rng.choice((2, 3, 4, 5), len(shared), p=(0.45, 0.27, 0.18, 0.10))
    household = np.searchsorted(np.cumsum(sizes), np.arange(len(shared)), side="right")
    homes = int(household[-1]) + 1 if len(shared) else 0
    device[shared] = add(rng.choice(8, homes, p=shares(np.array(_PLATFORMS))), 1)[household]
    guests = place[living[place] == 3]
    cafes = max(1, round(len(guests) / 90))
    at = rng.choice(cafes, len(guests), p=shares(1 / np.arange(1, cafes + 1) ** 0.5))
    size = np.clip(np.bincount(at, minlength=cafes) // 12, 2, 40)
    first = np.cumsum(size) - size
    new = add(np.full(int(size.sum()), 2, dtype=np.int8), 2)
    device[guests], machines[guests] = new[first[at]], size[at]
    second = np.full(number, -1, dtype=np.int32)
    two = np.flatnonzero((rng.random(number) < 0.12) & (living != 3))
    second[two] = add(rng.choice(8, len(two), p=shares(np.array(_PLATFORMS))), 0)
    successor = np.full(number, -1, dtype=np.int32)
    replaced = np.full(number, NEVER, dtype=np.int16)
    broken = np.flatnonzero((living == 1) & (rng.random(number) < 0.005 * days))
    successor[broken] = add(platform[broken], 0)
    replaced[broken] = rng.integers(0, max(days, 1), len(broken))
    platforms = np.concatenate(made)
    preferred = np.where(device >= 0, platforms[device], platform).astype(np.int8)
    return Devices(platforms, np.concatenate(kinds)), _Owned(
        preferred, device, machines, second, replaced, successor
    )
