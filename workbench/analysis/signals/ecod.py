"""How far out an actor lies in the tails of all features together."""

from __future__ import annotations

import numpy as np

from workbench.analysis.signals._peers import tail_of, too_few
from workbench.analysis.signals.base import Finding, Scope, Signal

__all__ = ["Ecod", "ecod"]


class Ecod(Signal):
    """Empirical cumulative distributions of the standardised features. Source: Li et al. 2022."""

    weight = 0.05

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's summed tails."""
        if reason := too_few(scope):
            return scope.nothing(reason)
        return Finding(tail_of(scope, ecod(scope.points)))


def ecod(points: np.ndarray) -> np.ndarray:
    """Return the ECOD outlier score of each row.

    In each column -log of the empirical left, right and (by the sign of the skewness) skewed tail; each is
    summed over the columns and the largest sum is the score.

    >>> ecod(np.array([[1.0], [2.0], [3.0], [99.0]])).round(2).tolist()
    [1.39, 0.69, 0.69, 1.39]
    """
    number = len(points)
    lefts, rights, skewed = np.zeros(number), np.zeros(number), np.zeros(number)
    for column in np.ascontiguousarray(points.T):
        order = np.argsort(column)
        ordered = column[order]
        # equal values have the same tails: the logarithm is of each value once
        starts = np.flatnonzero(np.diff(ordered, prepend=np.nan) != 0)
        ends = np.append(starts[1:], number)
        left, right = np.empty(number), np.empty(number)
        left[order] = np.repeat(-np.log(ends / number), ends - starts)
        right[order] = np.repeat(-np.log(1 - starts / number), ends - starts)
        lefts += left
        rights += right
        centred = column - column.mean()
        skewed += left if (centred * centred * centred).mean() < 0 else right
    found: np.ndarray = np.maximum(np.maximum(lefts, rights), skewed)
    return found
