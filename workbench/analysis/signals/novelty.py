"""How many neighbours are new to each actor, against how many usually are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.analysis.signals._alike import met_first
from workbench.analysis.signals._several import Several
from workbench.analysis.signals.base import Finding, Scope, Signal
from workbench.analysis.tails import FEWEST, at_least, calibrated, normal_score
from workbench.partials.documents import DAY_US

if TYPE_CHECKING:
    from workbench.analysis.activity import EdgeEnd

__all__ = ["Novelty"]

_PRIOR = 1.0  # periods of everybody's mean


class Novelty(Signal):
    """New neighbours in the period, by edge type, against the second half of the actor's history.

    A neighbour is new where history and period before do not have it. The first half of the history
    only says what is known already.
    """

    weight = 0.3

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's number of new neighbours; none without history."""
        half = scope.history // 2
        # who has not been known through the half that teaches has nothing to be compared with
        known = scope.seen_days > half
        if not half or not known.any():
            return scope.nothing("no history")
        found = Several(scope, "novelty")
        for end in scope.pairs:
            now, mean, tail = _count(scope, end, half, known)
            found.add(
                np.where(known, calibrated(tail), np.nan),
                np.arange(len(scope)),
                feature=f"new {end.edge} neighbours",
                source=end.edge,
                value=now,
                typical=mean,
                z=normal_score(tail),
            )
        return found.smallest("no edge type of events")


def _count(
    scope: Scope, end: EdgeEnd, half: int, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each actor's number, what is expected, and the tail probability."""
    learned = scope.since - half * DAY_US
    pairs = scope.pairs[end]
    first = pairs.over(np.minimum, scope.met[end]["first"].to_numpy())
    now = met_first(scope, pairs.actor, first, scope.since, scope.until)
    before = met_first(scope, pairs.actor, first, learned, scope.since)
    periods = half / scope.days
    everyone = before[known].sum() / (known.sum() * periods)
    mean = (before + _PRIOR * everyone) / (periods + _PRIOR)
    # what is new to everybody, a new item for example, is no anomaly of anybody
    bound = np.minimum(now, mean + 5 * np.sqrt(mean + 1))
    if known.sum() >= FEWEST:
        mean = mean * np.clip(bound[known].sum() / max(mean[known].sum(), 1e-9), 0.2, 5.0)
    up = at_least(now, mean, mean * (1 + 1 / (periods + _PRIOR)) + mean * _spread(bound, mean, known))
    return now, mean, up


def _spread(now: np.ndarray, mean: np.ndarray, known: np.ndarray) -> float:
    """Return by how much everybody's counts vary beyond a Poisson distribution's, at least 0."""
    telling = known & (mean > 0.05)
    if not telling.any():
        return 0.0
    return max(float(np.mean(np.square(now - mean)[telling] / mean[telling])) - 1, 0.0)
