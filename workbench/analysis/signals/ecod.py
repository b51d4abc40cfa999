"""How far out an actor lies in the tails of all features together."""

from __future__ import annotations

import numpy as np

from workbench.analysis.signals._peers import active, peer_points, tail_of
from workbench.analysis.signals.base import Finding, Scope, Signal
from workbench.analysis.tails import FEWEST

__all__ = ["Ecod", "ecod"]


class Ecod(Signal):
    """Empirical cumulative distributions of the standardised features. Source: Li et al. 2022."""

    weight = 0.05

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's summed tails."""
        rows = active(scope)
        if len(rows) < FEWEST:
            reason = f"{len(rows)} actors are too few to compare"
            return Finding(np.full(len(scope), np.nan), reason=reason)
        return Finding(tail_of(scope, ecod(peer_points(scope))))


def ecod(points: np.ndarray) -> np.ndarray:
    """Return the ECOD outlier score of each row.

    In each column -log of the empirical left, right and (by the sign of the skewness) skewed tail; each is
    summed over the columns and the largest sum is the score.

    >>> ecod(np.array([[1.0], [2.0], [3.0], [99.0]])).round(2).tolist()
    [1.39, 0.69, 0.69, 1.39]
    """
    number = len(points)
    ordered = np.sort(points, axis=0)
    left, right = np.empty_like(points), np.empty_like(points)
    for place in range(points.shape[1]):
        column = ordered[:, place]
        left[:, place] = np.searchsorted(column, points[:, place], side="right") / number
        right[:, place] = 1 - np.searchsorted(column, points[:, place], side="left") / number
    left, right = -np.log(left), -np.log(right)
    skewness = np.power(points - points.mean(0), 3).mean(0)
    skewed = np.where(skewness < 0, left, right)
    sums = np.stack([left.sum(1), right.sum(1), skewed.sum(1)])
    found: np.ndarray = sums.max(0)
    return found
