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

    from workbench.analysis.expectation import Cells

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
            return scope.nothing("no history before the period")
        activity = _activity(scope)
        number, smallest, rows = 0, np.ones(len(scope)), []
        for event_type in event_types(scope.context.schema, scope.type_):
            judged = _Judged.of(scope, event_type, activity)
            if judged is None:
                continue
            # each judged by its own bulk: more than usual has another tail than less than usual
            for tail in (judged.more, judged.less, judged.burst):
                smallest, number = np.minimum(smallest, calibrated(tail)), number + 1
            rows += judged.evidence(names.get(event_type, event_type), event_type)
        if not number:
            return scope.nothing("no events")
        smallest = np.minimum(smallest * number, 1.0)
        return Finding(np.where(unknown, np.nan, smallest), pl.concat(rows))


def _activity(scope: Scope) -> NDArray[np.float64]:
    """Return each actor's events a day of its history, of all types; an unknown one's are everybody's."""
    past = scope.daily().between(scope.days, scope.days + scope.history)
    events, known = past.by_actor(past.count), scope.seen_days
    everyone = events.sum() / max(known.sum(), 1)
    found: NDArray[np.float64] = (events + everyone) / (known + 1)
    return found


class _Judged:
    """Counts of one event type beside their expectation."""

    def __init__(self, scope: Scope, cells: Cells, activity: NDArray[np.float64]) -> None:
        days, history, known = scope.days, scope.history, scope.seen_days
        self.scope = scope
        now, past = cells.between(0, days), cells.between(days, days + history)
        week = weekday_factors(past.by_day(past.count), days)
        recency = 0.5 ** (np.arange(history) / _HALF_LIFE)
        seen = past.by_actor(past.count * recency[past.day])
        exposure = np.append(0.0, np.cumsum(recency * week[days:]))[known]
        rate, _ = rates(seen, exposure, activity)
        by_day = past.blocks(1, known)
        clumps = dispersion(by_day, known, rate, week[days:])
        rate, certainty = rates(seen, exposure, activity, clumps)
        factor = week[:days] * growth(now, rate, week[:days], known > 0)
        narrow = wide = dispersion(by_day, known, rate, week[days:])
        block = max(min(days, history // 4), 1)
        if block > 1:
            whole, blocks = known // block, history // block
            level = week[days:][: blocks * block].reshape(blocks, block).sum(1)
            wide = dispersion(past.blocks(block, whole), whole, rate, level)

        self.total, self.mean = now.by_actor(now.count), rate * factor.sum()
        spread = wide * (self.mean + self.mean**2 / certainty)
        self.more = at_least(self.total, self.mean, spread)
        self.less = at_most(self.total, self.mean, spread)

        actor, mean = now.actor, rate[now.actor] * factor[now.day]
        tails = at_least(now.count, mean, narrow[actor] * (mean + mean**2 / certainty[actor]))
        busiest = now.smallest(tails)
        self.active, self.day = actor[busiest], now.day[busiest]
        self.day_total, self.day_mean = now.count[busiest], mean[busiest]
        self.burst = np.ones(len(scope))
        self.burst[self.active] = np.minimum(tails[busiest] * days, 1.0)

    @classmethod
    def of(cls, scope: Scope, event_type: str, activity: NDArray[np.float64]) -> _Judged | None:
        cells = scope.daily(event_type)
        return cls(scope, cells, activity) if len(cells.count) else None

    def evidence(self, feature: str, event_type: str) -> list[pl.DataFrame]:
        since, until = self.scope.since, self.scope.until
        period = evidence(
            np.arange(len(self.total)),
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
            self.active,
            kind="burst",
            feature=feature,
            source=event_type,
            value=self.day_total,
            typical=self.day_mean,
            z=normal_score(self.burst[self.active]),
            since=end - DAY_US,
            until=end,
        )
        return [period, burst]
