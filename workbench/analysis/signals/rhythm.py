"""Whether each actor is active at other hours of the day than it used to be."""

from __future__ import annotations

import numpy as np
import polars as pl

from workbench.analysis.activity import local_hour
from workbench.analysis.signals.base import Finding, Scope, Signal, evidence
from workbench.analysis.tails import SMALLEST, calibrated, normal_score
from workbench.partials.documents import DAY_US

__all__ = ["Rhythm"]

_HOURS = 3
_BINS = 24 // _HOURS
_PRIOR = 10.0  # active hours of everybody's day
_FEWEST_BEFORE, _FEWEST_NOW = 15, 5


class Rhythm(Signal):
    """The hours of the local day at which an actor is active, against its own history, by a G-test.

    Counted is on how many days it was active within each three hours: a thousand events in an hour are
    one active time. What moves for everybody, summer time for example, is taken out.
    """

    weight = 0.5

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's shift; none with little history or activity."""
        from scipy.special import gammaincc  # noqa: PLC0415  (loaded when anomalies are)

        before, now = self._profiles(scope)
        enough = (before.sum(1) >= _FEWEST_BEFORE) & (now.sum(1) >= _FEWEST_NOW)
        if not enough.any():
            return Finding(np.full(len(scope), np.nan), reason="too little activity to know hours by")
        usual, lately = before[enough].sum(0) + 1, now[enough].sum(0) + 1
        expected = before + _PRIOR * usual / usual.sum()
        expected = expected * (lately / lately.sum()) / (usual / usual.sum())
        expected *= now.sum(1, keepdims=True) / expected.sum(1, keepdims=True)
        # a share learned from few hours is uncertain by itself
        trust = before.sum(1) / (before.sum(1) + now.sum(1) + _PRIOR)
        terms = np.where(now > 0, now * np.log(np.maximum(now, 1) / np.maximum(expected, 1e-9)), 0.0)
        statistic = np.maximum(2 * terms.sum(1), 0) * trust
        tail = calibrated(
            np.where(enough, np.clip(gammaincc((_BINS - 1) / 2, statistic / 2), SMALLEST, 1.0), np.nan)
        )
        most = ((now - expected) / np.sqrt(np.maximum(expected, 0.5))).argmax(1)
        chosen = np.flatnonzero(enough)
        hours = np.array([f"{m * _HOURS:02}:00-{(m + 1) * _HOURS:02}:00" for m in range(_BINS)], object)
        rows = evidence(
            chosen,
            kind="rhythm",
            feature="active hours",
            source=hours[most[chosen]],
            value=now[chosen, most[chosen]],
            typical=expected[chosen, most[chosen]],
            z=normal_score(tail[chosen]),
            since=scope.since,
            until=scope.until,
        )
        return Finding(tail, rows)

    @staticmethod
    def _profiles(scope: Scope) -> tuple[np.ndarray, np.ndarray]:
        """Return active days by actor and hours of the day, in the history and in the period."""
        times = scope.activity.events.select(
            "actor",
            ((scope.until - 1 - pl.col("ts")) // DAY_US).alias("d"),
            (local_hour(scope.context.timezone).cast(pl.Int32) // _HOURS).alias("bin"),
            (pl.col("ts") >= scope.since).alias("now"),
        ).unique()
        found = times.group_by("actor", "bin", "now").len()
        profiles = np.zeros((2, len(scope), _BINS))
        profiles[
            found["now"].cast(pl.Int8).to_numpy(), found["actor"].to_numpy(), found["bin"].to_numpy()
        ] = found["len"].to_numpy()
        return profiles[0], profiles[1]
