"""What visits are made of: which event follows which, how soon, and what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from workbench.samples.gaming.population import HUB, SIZES
from workbench.samples.gaming.streams import ladder, lognormal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.samples.gaming.population import Errors, Games, Popups

__all__ = [
    "ACTIONS",
    "ERROR",
    "GAME",
    "LOGIN",
    "POPUP",
    "PROFILES",
    "SEQUENCES",
    "Sequence",
    "Tables",
    "tables",
]

LOGIN, GAME, ERROR, POPUP = range(4)
ACTIONS = ("view", "click", "close", "later")

# What a visit of each profile is made of after its opening: logins, games, errors, pop-ups. The first
# five are the members' tempers, the rest only somebody who plans it has.
PROFILES = {
    "mixed": (0.006, 0.32, 0.46, 0.214),
    "player": (0.004, 0.50, 0.40, 0.096),
    "looker": (0.006, 0.24, 0.40, 0.354),
    "troubled": (0.016, 0.20, 0.68, 0.104),
    "brief": (0.02, 0.25, 0.48, 0.25),
    "machine": (0.002, 0.90, 0.08, 0.018),
    "clicker": (0.01, 0.10, 0.20, 0.69),
    "stuck": (0.004, 0.06, 0.90, 0.036),
    "thief": (0.01, 0.30, 0.60, 0.09),
}

# How much likelier than by chance a column's event follows a row's.
_FOLLOWS = np.array(
    [
        [1.0, 1.0, 0.9, 2.2],  # login
        [0.5, 2.6, 1.2, 0.7],  # game
        [1.5, 0.7, 2.6, 0.6],  # error
        [0.5, 1.6, 0.6, 1.5],  # pop-up
    ]
)

_GAPS = ((34.0, 1.15), (22.0, 0.06), (20.0, 0.45))  # median seconds, spread: people, machines, both
_LATENCY = (620.0, 1.1)
_CLICKS = ((0.50, 0.13, 0.29, 0.08), (0.12, 0.80, 0.06, 0.02))  # of ACTIONS: people, frauds
_CALLS_AFTER = {  # calls of the interface that fail after an event
    LOGIN: (0, 1, 13, 4, 3, 9),
    GAME: (2, 16, 5, 3, 11, 10),
    ERROR: tuple(range(20)),
    POPUP: (7, 15, 8, 12, 19, 14),
}


class Sequence(NamedTuple):
    """Events that are planted one after another in some visits.

    Attributes:
        steps: Event type (place in TYPES) and rank of the subject among the middling popular ones.
        share: Of all visits.
    """

    steps: tuple[tuple[int, int], ...]
    share: float


SEQUENCES = (
    Sequence(((ERROR, 3), (POPUP, 1), (GAME, 2)), 0.012),
    Sequence(((POPUP, 4), (GAME, 7), (GAME, 8)), 0.008),
    Sequence(((ERROR, 9), (ERROR, 10), (POPUP, 6)), 0.008),
    Sequence(((GAME, 12), (ERROR, 14), (GAME, 12), (POPUP, 9)), 0.005),
    Sequence(((POPUP, 11), (ERROR, 17), (GAME, 20)), 0.003),
    Sequence(((GAME, 25), (GAME, 26), (GAME, 27), (POPUP, 15)), 0.0015),
)
_MIDDLING = {GAME: 60, ERROR: 12, POPUP: 10}  # rank of the most popular subject that a sequence uses


@dataclass(frozen=True)
class Tables:
    """Look-up tables that turn random bits into behaviour.

    Attributes:
        follows: ``[profile, event before, 12 bits]`` → the next event's type, flat.
        gaps: ``[kind of gaps, 12 bits]`` → seconds until the next event, flat.
        games: ``[community, 12 bits]`` → game, flat; the last row is the games that everybody plays.
        errors: ``[event before, 12 bits]`` → error, flat.
        popups: ``[12 bits]`` → pop-up.
        actions: ``[kind of clicks, 12 bits]`` → place in :data:`ACTIONS`, flat.
        latency: ``[12 bits]`` → milliseconds.
        planted: ``[16 bits]`` → place in :data:`SEQUENCES`, -1 for none.
        steps: ``[sequence, step]`` → event type, -1 after the last step.
        subjects: ``[sequence, step]`` → what it is about.
    """

    follows: NDArray[np.int8]
    gaps: NDArray[np.float32]
    games: NDArray[np.int16]
    errors: NDArray[np.int16]
    popups: NDArray[np.int16]
    actions: NDArray[np.int8]
    latency: NDArray[np.int32]
    planted: NDArray[np.int8]
    steps: NDArray[np.int8]
    subjects: NDArray[np.int16]


def tables(games: Games, popups: Popups, errors: Errors) -> Tables:
    """Return the look-up tables of a world."""
    follows = [ladder(row) for shares in PROFILES.values() for row in _transitions(np.array(shares))]
    played = []
    for block in (*range(SIZES["communities"]), HUB):
        own = np.flatnonzero(games.community == block)
        played.append(own[ladder(games.popularity[own])])
    after = []
    for state in (LOGIN, GAME, ERROR, POPUP):
        likelier = np.where(np.isin(errors.call, _CALLS_AFTER[state]), 1.0, 0.06)
        after.append(ladder(errors.popularity * likelier))
    planted = ladder(np.array([s.share for s in SEQUENCES] + [1 - sum(s.share for s in SEQUENCES)]), 1 << 16)
    planted[planted == len(SEQUENCES)] = -1
    steps, subjects = _plant(games, popups, errors)
    return Tables(
        follows=np.concatenate(follows).astype(np.int8),
        gaps=np.concatenate([lognormal(*kind) for kind in _GAPS]),
        games=np.concatenate(played).astype(np.int16),
        errors=np.concatenate(after),
        popups=ladder(popups.popularity),
        actions=np.concatenate([ladder(np.array(kind)) for kind in _CLICKS]).astype(np.int8),
        latency=lognormal(*_LATENCY).astype(np.int32),
        planted=planted.astype(np.int8),
        steps=steps,
        subjects=subjects,
    )


def _transitions(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return which event follows which such that, in the long run, each has its share.

    Flows in proportion to how likely one follows another, scaled until every row and every column
    sums up to the share (Sinkhorn): then what comes into a state goes out of it.
    """
    flow = _FOLLOWS * shares[:, None] * shares
    for _ in range(200):
        flow *= (shares / flow.sum(axis=1))[:, None]
        flow *= shares / flow.sum(axis=0)
    chances: NDArray[np.float64] = flow / flow.sum(axis=1, keepdims=True)
    return chances


def _plant(games: Games, popups: Popups, errors: Errors) -> tuple[NDArray[np.int8], NDArray[np.int16]]:
    """Return event types and subjects of the sequences' steps."""
    whole = np.where(games.community == HUB, 0.0, games.popularity)
    ranked = {
        GAME: np.argsort(-whole),
        ERROR: np.argsort(-errors.popularity),
        POPUP: np.argsort(-popups.popularity),
    }
    longest = max(len(sequence.steps) for sequence in SEQUENCES)
    steps = np.full((len(SEQUENCES), longest), -1, dtype=np.int8)
    subjects = np.full((len(SEQUENCES), longest), -1, dtype=np.int16)
    for row, sequence in enumerate(SEQUENCES):
        for column, (state, rank) in enumerate(sequence.steps):
            steps[row, column] = state
            subjects[row, column] = ranked[state][_MIDDLING[state] + rank]
    return steps, subjects
