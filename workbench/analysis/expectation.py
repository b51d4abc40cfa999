"""What an actor's past suggests: rates of events, their weekly season, their spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.analysis.tails import FEWEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["dispersion", "growth", "rates", "weekday_factors"]

_LEAST_SPREAD = 0.02  # relative variance of rates among actors, at least
_PRIOR_BLOCKS = 4.0  # of all actors' dispersion
_WEEK = 7


def rates(
    seen: NDArray[np.float64],
    exposure: NDArray[np.float64],
    activity: NDArray[np.float64],
    clumps: NDArray[np.float64] | float = 1.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each actor's daily rate of an event type, and how many events it is worth to know it.

    Events that come in clumps, many in one visit, are worth as many as there are clumps.

    The rate is shrunk to what the actor's activity in all event types suggests: rates of rare events hardly
    differ among actors beyond chance, and then nobody's is zero. How much they differ is estimated by
    moments; a rate has a gamma distribution around what is suggested.

    Source: Robbins 1956; Morris 1983 (empirical Bayes for Poisson rates).
    """
    active = activity * exposure
    suggested = activity * seen.sum() / max(active.sum(), 1e-9)
    mean = suggested * exposure
    excess = np.square(seen - mean).sum() - (clumps * mean).sum()
    spread = max(excess / max(np.square(mean).sum(), 1e-9), _LEAST_SPREAD)
    shape = 1 / spread
    worth = seen / clumps
    rate = (worth + shape) / (exposure / clumps + shape / np.maximum(suggested, 1e-9))
    return np.where(suggested > 0, rate, 0.0), worth + shape


def weekday_factors(past: NDArray[np.float32], days: int) -> NDArray[np.float64]:
    """Return the factor of each day, period and history, by its place in the week; 1 with under two weeks."""
    total = days + past.shape[1]
    if past.shape[1] < 2 * _WEEK:
        return np.ones(total)
    daily = past.sum(0, dtype=np.float64)
    place = np.arange(days, total) % _WEEK
    # the median over weeks: one extraordinary day does not make every such weekday one
    factor = np.array([np.median(daily[place == p]) for p in range(_WEEK)])
    mean = factor.mean()
    factor = factor / mean if mean > 0 else np.ones(_WEEK)
    found: NDArray[np.float64] = np.maximum(factor, 0.05)[np.arange(total) % _WEEK]
    return found


def growth(
    now: NDArray[np.float64], expected: NDArray[np.float64], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return by which factor all actors together did more on each day than expected; 1 for under 50.

    What one actor has beyond five standard deviations does not count: its burst is not everybody's.
    """
    if known.sum() < FEWEST:
        return np.ones(now.shape[1])
    mean = expected[known]
    seen = now[known]
    factor = np.ones(now.shape[1])
    for _ in range(3):  # a day on which everybody did more moves the bound, too
        bound = mean * factor + 5 * np.sqrt(mean * factor + 1)
        factor = np.minimum(seen, bound).sum(0) / np.maximum(mean.sum(0), 1e-9)
    return np.clip(factor, 0.05, 50.0)


def dispersion(
    past: NDArray[np.float32],
    exposed: NDArray[np.bool_],
    rate: NDArray[np.float64],
    week: NDArray[np.float64],
    block: int,
) -> NDArray[np.float64]:
    """Return variance over mean of each actor's counts in blocks of days, shrunk to everybody's.

    Blocks are so many days long; what happens to everybody in a block is left out. At least 1, as of a
    Poisson distribution.
    """
    blocks = past.shape[1] // block
    if blocks < 2:
        return np.ones(len(past))
    shape = (len(past), blocks, block)
    used = blocks * block
    whole = exposed[:, :used].reshape(shape).all(2)
    counts = past[:, :used].reshape(shape).sum(2, dtype=np.float64)
    level = week[:used].reshape(blocks, block).sum(1)
    shared = np.where(whole, counts, 0).sum(0) / np.maximum(
        (np.where(whole, rate[:, None] * level, 0)).sum(0), 1e-9
    )
    mean = rate[:, None] * level * np.where(shared > 0, shared, 1.0)
    residual = np.where(whole, np.square(counts - mean) / np.maximum(mean, 1e-9), 0.0)
    # rare events make huge residuals of tiny expectations: these say nothing about spread
    telling = whole & (mean > 0.05)
    number = telling.sum(1)
    own = np.where(telling, residual, 0.0).sum(1)
    everyone = own.sum() / max(number.sum(), 1)
    shrunk: NDArray[np.float64] = (own + _PRIOR_BLOCKS * everyone) / (number + _PRIOR_BLOCKS)
    return np.maximum(shrunk, 1.0)
