"""How empty the places are that an actor has in the histograms of all features."""

from __future__ import annotations

import numpy as np

from workbench.analysis.signals._peers import active, peer_points, tail_of
from workbench.analysis.signals.base import Finding, Scope, Signal
from workbench.analysis.tails import FEWEST

__all__ = ["Hbos", "hbos"]


class Hbos(Signal):
    """Histograms of the standardised features. Source: Goldstein and Dengel 2012."""

    weight = 0.05

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's summed rarity."""
        rows = active(scope)
        if len(rows) < FEWEST:
            reason = f"{len(rows)} actors are too few to compare"
            return Finding(np.full(len(scope), np.nan), reason=reason)
        return Finding(tail_of(scope, hbos(peer_points(scope))))


def hbos(points: np.ndarray) -> np.ndarray:
    """Return the histogram-based outlier score of each row: the sum of -log(height + 0.1) over the columns.

    Histograms have √n bins of equal width, heights up to 1.

    >>> bool(hbos(np.append(np.arange(50.0), 500.0)[:, None]).argmax() == 50)
    True
    """
    bins = max(int(np.sqrt(len(points))), 2)
    total = np.zeros(len(points))
    for column in points.T:
        heights, edges = np.histogram(column, bins)
        place = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, bins - 1)
        total -= np.log(heights[place] / max(heights.max(), 1) + 0.1)
    return total
