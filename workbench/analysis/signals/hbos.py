"""How empty the places are that an actor has in the histograms of all features."""

from __future__ import annotations

import numpy as np

from workbench.analysis.signals._peers import tail_of, too_few
from workbench.analysis.signals.base import Finding, Scope, Signal

__all__ = ["Hbos", "hbos"]


class Hbos(Signal):
    """Histograms of the standardised features. Source: Goldstein and Dengel 2012."""

    weight = 0.05

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's summed rarity."""
        if reason := too_few(scope):
            return scope.nothing(reason)
        return Finding(tail_of(scope, hbos(scope.points)))


def hbos(points: np.ndarray) -> np.ndarray:
    """Return the histogram-based outlier score of each row: the sum of -log(height + 0.1) over the columns.

    Histograms have √n bins of equal width, heights up to 1.

    >>> bool(hbos(np.append(np.arange(50.0), 500.0)[:, None]).argmax() == 50)
    True
    """
    bins = max(int(np.sqrt(len(points))), 2)
    total = np.zeros(len(points))
    for column in np.ascontiguousarray(points.T):
        order = np.argsort(column)
        edges = np.histogram_bin_edges(column, bins)
        starts = np.searchsorted(column[order], edges[1:-1])
        heights = np.diff(starts, prepend=0, append=len(column))
        total[order] -= np.repeat(np.log(heights / max(heights.max(), 1) + 0.1), heights)
    return total
