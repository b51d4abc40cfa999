"""Whether an actor that came regularly has stopped coming."""

from __future__ import annotations

import numpy as np

from workbench.analysis.runs import starts
from workbench.analysis.signals.base import Finding, Scope, Signal, evidence
from workbench.analysis.tails import FEWEST, normal_score, upper_tail
from workbench.partials.documents import DAY_US

__all__ = ["Silence"]

_FEWEST_DAYS = 4
_NEWS = 4  # periods: who has been away for longer was told of long ago
_PRIOR = (0.6, 4.0)  # of days with and without an event: most actors come rarely


class Silence(Signal):
    """The days since an actor's last event, against how often it came until then.

    The probability of such a silence is a beta-binomial's; those who come every day and miss four are as
    far out as those who come every other day and miss nine. Who has been away for four periods is history,
    and who came for a few days only never was a regular: days before the first one count as missed.
    """

    weight = 0.8

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's silence; none with fewer than four active days."""
        from scipy.special import betaln  # noqa: PLC0415  (loaded when anomalies are)

        seen = scope.daily()
        gap, active = np.zeros(len(scope)), seen.by_actor(np.ones(len(seen.count)))
        last = starts(seen.actor)
        gap[seen.actor[last]] = seen.day[last]
        actors = np.flatnonzero((active >= _FEWEST_DAYS) & (gap <= _NEWS * scope.days))
        if len(actors) < FEWEST:
            return scope.nothing(f"{len(actors)} actors with several active days are too few")
        found = np.full(len(scope), np.nan)
        gap, active = gap[actors], active[actors]
        before = scope.days + scope.history - gap
        came, missed = active - 1 + _PRIOR[0], before - active + _PRIOR[1]
        found[actors] = upper_tail(betaln(came, missed) - betaln(came, missed + gap))
        rate = active / before
        return Finding(
            found,
            evidence(
                actors,
                kind="silence",
                feature="days since the last event",
                value=gap,
                typical=1 / rate,
                z=normal_score(found[actors]),
                since=scope.until - (gap.astype(np.int64) * DAY_US),
                until=scope.until,
            ),
        )
