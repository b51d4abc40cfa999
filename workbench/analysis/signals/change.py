"""How far each actor's counts are from what its own past suggests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.analysis.activity import event_types
from workbench.analysis.features import declared_features
from workbench.analysis.signals.base import Finding, Scope, Signal, evidence
from workbench.analysis.tails import FEWEST, calibrated, count_tails, normal_score
from workbench.partials.documents import DAY_US

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Change"]

_HALF_LIFE = 28.0  # days after which a day of history counts half
_LEAST_SPREAD = 0.02  # relative variance of rates among actors, at least
_PRIOR_BLOCKS = 4.0  # of all actors' dispersion
_WEEK = 7


class Change(Signal):
    """Counts by event type over the period, and of its busiest day, against the actor's own history.

    The expectation is the actor's daily rate, recent days counting more, times the day of the week's and
    the day's own factor among all actors: what happens to everybody is no anomaly of anybody. The variance is
    the actor's own, shrunk towards everybody's; an actor with two events cannot stand out.
    """

    weight = 1.0

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of the most unusual count of each actor; none without history."""
        names = {f.source: f.name for f in _count_features(scope)}
        unknown = scope.seen_days == 0
        if not scope.history or unknown.all():
            return Finding(np.full(len(scope), np.nan), reason="no history before the period")
        activity = _activity(scope)
        tails, rows = [], []
        for event_type in event_types(scope.context.schema, scope.type_):
            judged = _Judged.of(scope, event_type, activity)
            if judged is None:
                continue
            # each judged by its own bulk: more than usual has another tail than less than usual
            tails += [calibrated(tail) for tail in (judged.more, judged.less, judged.burst)]
            rows += judged.evidence(names.get(event_type, event_type), event_type)
        if not tails:
            return Finding(np.full(len(scope), np.nan), reason="no events")
        smallest = np.minimum(np.min(tails, axis=0) * len(tails), 1.0)
        return Finding(np.where(unknown, np.nan, smallest), pl.concat(rows))


def _count_features(scope: Scope) -> list[object]:
    context = scope.context
    return [
        f for f in declared_features(context.schema, context.features, scope.type_) if f.kind == "count"
    ]


def _activity(scope: Scope) -> NDArray[np.float64]:
    """Return each actor's events a day of its history, of all types; that of an unknown one is everybody's."""
    past = scope.activity.events.filter(pl.col("ts") < scope.since).group_by("actor").len()
    events = np.zeros(len(scope))
    events[past["actor"].to_numpy()] = past["len"].to_numpy()
    known = scope.seen_days
    everyone = events.sum() / max(known.sum(), 1)
    return (events + everyone) / (known + 1)


class _Judged:
    """Counts of one event type beside their expectation."""

    def __init__(self, scope: Scope, counts: NDArray[np.float32], activity: NDArray[np.float64]) -> None:
        days, history = scope.days, scope.history
        self.scope = scope
        self.now = counts[:, :days].astype(np.float64)
        past, ago = counts[:, days:], np.arange(history)
        week = _weekday_factors(past, days)
        exposed = ago[None, :] < scope.seen_days[:, None]
        recency = 0.5 ** (ago / _HALF_LIFE)
        seen = (past * recency).sum(1, dtype=np.float64)
        exposure = np.where(exposed, recency * week[days:], 0.0).sum(1)
        rate, certainty = _rates(seen, exposure, activity)
        self.expected = rate[:, None] * week[:days]
        self.expected *= _growth(self.now, self.expected, scope.seen_days > 0)
        block = max(min(days, history // 4), 1)
        wide = _dispersion(past, exposed, rate, week[days:], block)
        narrow = wide if block == 1 else _dispersion(past, exposed, rate, week[days:], 1)

        self.total, self.mean = self.now.sum(1), self.expected.sum(1)
        spread = wide * (self.mean + self.mean**2 / certainty)
        self.more, self.less = count_tails(self.total, self.mean, spread)
        spread = narrow[:, None] * (self.expected + self.expected**2 / certainty[:, None])
        by_day = count_tails(self.now, self.expected, spread)[0]
        self.day = by_day.argmin(1)
        self.burst = np.minimum(by_day.min(1) * days, 1.0)

    @classmethod
    def of(cls, scope: Scope, event_type: str, activity: NDArray[np.float64]) -> _Judged | None:
        counts = scope.daily(event_type)
        return cls(scope, counts, activity) if counts.any() else None

    def evidence(self, feature: str, event_type: str) -> list[pl.DataFrame]:
        everyone = np.arange(len(self.total))
        since, until = self.scope.since, self.scope.until
        period = evidence(
            everyone,
            kind="change",
            feature=feature,
            source=event_type,
            value=self.total,
            typical=self.mean,
            z=np.where(
                self.more <= self.less, normal_score(self.more), -normal_score(self.less)
            ),
            since=since,
            until=until,
        )
        end = until - self.day * DAY_US
        burst = evidence(
            everyone,
            kind="burst",
            feature=feature,
            source=event_type,
            value=self.now[everyone, self.day],
            typical=self.expected[everyone, self.day],
            z=normal_score(self.burst),
            since=end - DAY_US,
            until=end,
        )
        return [period, burst]


def _rates(
    seen: NDArray[np.float64], exposure: NDArray[np.float64], activity: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each actor's daily rate of an event type, and how many events it is worth to know it.

    The rate is shrunk to what the actor's activity in all event types suggests: rates of rare events hardly
    differ among actors beyond chance, and then nobody's is zero. How much they differ is estimated by
    moments; a rate has a gamma distribution around what is suggested.

    Source: Robbins 1956; Morris 1983 (empirical Bayes for Poisson rates).
    """
    active = activity * exposure
    suggested = activity * seen.sum() / max(active.sum(), 1e-9)
    mean = suggested * exposure
    excess = np.square(seen - mean).sum() - mean.sum()
    spread = max(excess / max(np.square(mean).sum(), 1e-9), _LEAST_SPREAD)
    shape = 1 / spread
    rate = (seen + shape) / (exposure + shape / np.maximum(suggested, 1e-9))
    return np.where(suggested > 0, rate, 0.0), seen + shape


def _weekday_factors(past: NDArray[np.float32], days: int) -> NDArray[np.float64]:
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
    return np.maximum(factor, 0.05)[np.arange(total) % _WEEK]


def _growth(
    now: NDArray[np.float64], expected: NDArray[np.float64], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return by which factor all actors together did more on each day than expected; 1 for fewer than 50.

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


def _dispersion(
    past: NDArray[np.float32],
    exposed: NDArray[np.bool_],
    rate: NDArray[np.float64],
    week: NDArray[np.float64],
    block: int,
) -> NDArray[np.float64]:
    """Return variance over mean of each actor's counts in blocks of days, shrunk towards everybody's, at least 1."""
    blocks = past.shape[1] // block
    if blocks < 2:
        return np.ones(len(past))
    shape = (len(past), blocks, block)
    used = blocks * block
    whole = exposed[:, :used].reshape(shape).all(2)
    counts = past[:, :used].reshape(shape).sum(2, dtype=np.float64)
    level = week[:used].reshape(blocks, block).sum(1)
    # what happens to everybody in a block is no dispersion of anybody
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
    return np.maximum((own + _PRIOR_BLOCKS * everyone) / (number + _PRIOR_BLOCKS), 1.0)
