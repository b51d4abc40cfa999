"""Random numbers that depend on the seed, on what they are for and on the day, and on nothing else."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.samples.gaming.text import mixed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LADDER", "STAGES", "keys", "ladder", "lognormal", "stream"]

STAGES = (
    "people",
    "devices",
    "catalogue",
    "members_plan",
    "benign",
    "anomalies",
    "visits",
    "anomalous",
    "incidents",
)
"""What random numbers are drawn for."""

LADDER = 4096
"""Entries of a table that turns 12 random bits into a draw."""


def stream(seed: int, stage: str, day: int = -1) -> np.random.Generator:
    """Return the random numbers of one stage and one day, independent of every other's."""
    key = (STAGES.index(stage), day + 1)
    return np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(seed, spawn_key=key)))


def keys(seed: int, identifiers: NDArray[Any]) -> NDArray[np.uint64]:
    """Return 64 random bits for each identifier: what hangs on one does not hang on its neighbours."""
    return mixed(mixed(identifiers) ^ mixed(np.array([seed]))[0])


def ladder(weights: NDArray[Any], size: int = LADDER) -> NDArray[np.int16]:
    """Return codes in proportion to their weights: a draw is a look-up with ``size`` equal chances.

    >>> ladder(np.array([1, 3]), 8).tolist()
    [0, 0, 1, 1, 1, 1, 1, 1]
    """
    bounds = np.cumsum(np.asarray(weights, dtype=float))
    steps = (np.arange(size) + 0.5) / size * bounds[-1]
    places: NDArray[np.int16] = np.searchsorted(bounds, steps, side="right").astype(np.int16)
    return places


def lognormal(median: float, spread: float, size: int = LADDER) -> NDArray[np.float32]:
    """Return quantiles of a log-normal distribution at ``size`` equal chances."""
    normal = NormalDist(0.0, spread)
    steps = [math.exp(normal.inv_cdf((n + 0.5) / size)) for n in range(size)]
    return (median * np.array(steps)).astype(np.float32)
