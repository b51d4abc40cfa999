"""How far each actor's counts are from what its own past suggests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.analysis.activity import event_types
from workbench.analysis.expectation import dispersion, growth, rates, weekday_factors
from workbench.analysis.signals.base import Finding, Scope, Signal, evidence
from workbench.analysis.tails import at_least, at_most, calibrated, normal_score
from workbench.partials.documents import DAY_US

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Change"]

_HALF_LIFE = 28.0  # days after which a day of history counts half


class Change(Signal):
    """Counts by event type over the period, and of its busiest day, against the actor's own history.

    The expectation is the actor's daily rate, recent days counting more, times the day of the week's and
    the day's own factor among all actors: what happens to everybody is no anomaly of anybody. The variance is
    the actor's own, shrunk towards everybody's; an actor with two events cannot stand out.
    """

    weight = 0.4

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of the most unusual count of each actor; none without history."""
        names = {f.source: f.name for f in scope.matrix.features if f.kind == "count"}
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


def _activity(scope: Scope) -> NDArray[np.float64]:
    """Return each actor's events a day of its history, of all types; an unknown one's are everybody's."""
    events = scope.daily()[:, scope.days :].sum(1, dtype=np.float64)
    known = scope.seen_days
    everyone = events.sum() / max(known.sum(), 1)
    found: NDArray[np.float64] = (events + everyone) / (known + 1)
    return found


class _Judged:
    """Counts of one event type beside their expectation."""

    def __init__(self, scope: Scope, counts: NDArray[np.float32], activity: NDArray[np.float64]) -> None:
        days, history = scope.days, scope.history
        self.scope = scope
        self.now = counts[:, :days].astype(np.float64)
        past, ago = counts[:, days:], np.arange(history)
        week = weekday_factors(past, days)
        exposed = ago[None, :] < scope.seen_days[:, None]
        recency = 0.5 ** (ago / _HALF_LIFE)
        seen = (past * recency).sum(1, dtype=np.float64)
        exposure = np.where(exposed, recency * week[days:], 0.0).sum(1)
        rate, _ = rates(seen, exposure, activity)
        clumps = dispersion(past, exposed, rate, week[days:], 1)
        rate, certainty = rates(seen, exposure, activity, clumps)
        self.expected = rate[:, None] * week[:days]
        self.expected *= growth(self.now, self.expected, scope.seen_days > 0)
        block = max(min(days, history // 4), 1)
        narrow = dispersion(past, exposed, rate, week[days:], 1)
        wide = narrow if block == 1 else dispersion(past, exposed, rate, week[days:], block)

        self.total, self.mean = self.now.sum(1), self.expected.sum(1)
        spread = wide * (self.mean + self.mean**2 / certainty)
        self.more = at_least(self.total, self.mean, spread)
        self.less = at_most(self.total, self.mean, spread)
        spread = narrow[:, None] * (self.expected + self.expected**2 / certainty[:, None])
        by_day = at_least(self.now, self.expected, spread)
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
            z=np.where(self.more <= self.less, normal_score(self.more), -normal_score(self.less)),
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
