"""What an actor's past suggests: rates of events, their weekly season, their spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.analysis.runs import starts
from workbench.analysis.tails import FEWEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Cells", "dispersion", "growth", "rates", "weekday_factors"]

_LEAST_SPREAD = 0.02  # relative variance of rates among actors, at least
_PRIOR_BLOCKS = 4.0  # of all actors' dispersion
_LEAST_TELLING = 0.05
_WEEK = 7
_AT_ONCE = 16_384  # actors: what is computed of them stays in a processor's cache


@dataclass(frozen=True)
class Cells:
    """Counts of events by actor and day, where there are any: one in ten, so that nothing is made dense.

    Attributes:
        actor: Of each cell, in order.
        day: Of each cell, in order for each actor; day 0 is the last.
        count: The number of events.
        actors: How many there are.
        days: How many there are.
    """

    actor: NDArray[np.int64]
    day: NDArray[np.int64]
    count: NDArray[np.float64]
    actors: int
    days: int

    @classmethod
    def of(
        cls,
        actor: NDArray[np.integer],
        day: NDArray[np.integer],
        count: NDArray[Any],
        shape: tuple[int, int],
    ) -> Cells:
        """Return the cells of counts in any order: those of an actor and day are added up.

        >>> Cells.of(np.array([1, 0, 1]), np.array([0, 1, 0]), np.array([2, 1, 3]), (2, 2)).count.tolist()
        [1.0, 5.0]
        """
        place = actor * np.int64(shape[1]) + day
        first = starts(place)  # most of a cell follow one another
        place, cell = np.unique(place[first], return_inverse=True)
        count = np.bincount(cell, np.add.reduceat(count, first)).astype(np.float64, copy=False)
        return cls(*np.divmod(place, shape[1]), count, *shape)

    def between(self, first: int, end: int) -> Cells:
        """Return the cells of some days, the first of which becomes day 0."""
        inside = (self.day >= first) & (self.day < end)
        return Cells(
            self.actor[inside], self.day[inside] - first, self.count[inside], self.actors, end - first
        )

    def blocks(self, length: int, whole: NDArray[np.int64]) -> Cells:
        """Return the counts of blocks of so many days, of each actor only as many as it has whole ones."""
        number = self.days // length
        block = self.day // length
        inside = block < whole[self.actor]
        block, count = (self.actor * number + block)[inside], self.count[inside]
        first = starts(block)
        count = np.add.reduceat(count, first)
        return Cells(*np.divmod(block[first], number), count, self.actors, number)

    def smallest(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return of each actor with any cell the place of its smallest value, of equal ones the first."""
        first = starts(self.actor)
        least = np.minimum.reduceat(values, first)
        places = np.flatnonzero(values == np.repeat(least, np.diff(first, append=len(values))))
        return places[starts(self.actor[places])]

    def by_actor(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of values of the cells for each actor."""
        return np.bincount(self.actor, values, self.actors).astype(np.float64, copy=False)

    def by_day(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of values of the cells for each day."""
        return np.bincount(self.day, values, self.days).astype(np.float64, copy=False)


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


def weekday_factors(daily: NDArray[np.float64], days: int) -> NDArray[np.float64]:
    """Return the factor of each day, period and history, by its place in the week; 1 with under two weeks.

    Args:
        daily: The number of events on each day of the history, the last first.
        days: The length of the period after it.
    """
    total = days + len(daily)
    if len(daily) < 2 * _WEEK:
        return np.ones(total)
    place = np.arange(days, total) % _WEEK
    # the median over weeks: one extraordinary day does not make every such weekday one
    factor = np.array([np.median(daily[place == p]) for p in range(_WEEK)])
    mean = factor.mean()
    factor = factor / mean if mean > 0 else np.ones(_WEEK)
    found: NDArray[np.float64] = np.maximum(factor, 0.05)[np.arange(total) % _WEEK]
    return found


def growth(
    now: Cells, rate: NDArray[np.float64], week: NDArray[np.float64], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return by which factor all actors together did more on each day than expected; 1 for under 50.

    What one actor has beyond five standard deviations does not count: its burst is not everybody's.

    Args:
        now: The counts of the period.
        rate: The daily rate of each actor.
        week: The factor of each day.
        known: Which actors count.
    """
    factor = np.ones(now.days)
    if known.sum() < FEWEST:
        return factor
    some = known[now.actor]
    actor, day, count = now.actor[some], now.day[some], now.count[some]
    mean = rate[actor] * week[day]
    everyone = np.maximum(rate[known].sum() * week, 1e-9)
    for _ in range(3):  # a day on which everybody did more moves the bound, too
        expected = mean * factor[day]
        bound = expected + 5 * np.sqrt(expected + 1)
        factor = np.bincount(day, np.minimum(count, bound), now.days) / everyone
    return np.clip(factor, 0.05, 50.0)


def dispersion(
    past: Cells, known: NDArray[np.int64], rate: NDArray[np.float64], week: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return variance over mean of each actor's counts, shrunk to everybody's.

    What happens to everybody on a day is left out. At least 1, as of a Poisson distribution.

    Args:
        past: The counts of the history, by days or by longer blocks.
        known: For how many of these before the period each actor has been known: no cell lies before.
        rate: The daily rate of each actor.
        week: The factor of each of them.
    """
    if past.days < 2:
        return np.ones(past.actors)
    # the rates of those that have been known for so long, summed up
    exposed = np.bincount(known, rate, past.days + 1)[:0:-1].cumsum()[::-1]
    shared = past.by_day(past.count) / np.maximum(week * exposed, 1e-9)
    level = week * np.where(shared > 0, shared, 1.0)
    own, number = np.empty(past.actors), np.empty(past.actors)
    for at in range(0, past.actors, _AT_ONCE):
        some = slice(at, at + _AT_ONCE)
        own[some], number[some] = _idle(rate[some], level, known[some])
    mean = rate[past.actor] * level[past.day]
    residual = np.square(past.count - mean) / np.maximum(mean, 1e-9) - mean
    own += past.by_actor(np.where(mean > _LEAST_TELLING, residual, 0.0))
    everyone = own.sum() / max(number.sum(), 1)
    shrunk: NDArray[np.float64] = (own + _PRIOR_BLOCKS * everyone) / (number + _PRIOR_BLOCKS)
    return np.maximum(shrunk, 1.0)


def _idle(
    rate: NDArray[np.float64], level: NDArray[np.float64], known: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the squared residuals over the means of actors without any event, summed up, and their number.

    Rare events make huge residuals of tiny expectations: these say nothing about spread, and are left out.
    """
    own, number = np.zeros(len(rate)), np.zeros(len(rate))
    for place, factor in enumerate(level):
        mean = rate * factor
        telling = (mean > _LEAST_TELLING) & (known > place)
        own += mean * telling
        number += telling
    return own, number
