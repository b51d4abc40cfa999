"""What the signals that compare actors with one another share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.analysis.signals.base import Scope, evidence
from workbench.analysis.tails import FEWEST, normal_score, upper_tail

if TYPE_CHECKING:
    import polars as pl

__all__ = ["peer_evidence", "spread_out", "tail_of", "too_few"]


def too_few(scope: Scope) -> str:
    """Return why the active actors cannot be compared; empty where they can."""
    number = len(scope.active)
    return f"{number} actors are too few to compare" if number < FEWEST else ""


def spread_out(scope: Scope, values: np.ndarray) -> np.ndarray:
    """Return figures of the active actors in the order of all, not a number for the others."""
    result = np.full(len(scope), np.nan)
    result[scope.active] = values
    return result


def tail_of(scope: Scope, statistic: np.ndarray) -> np.ndarray:
    """Return the upper-tail probability of a statistic of the active actors."""
    return spread_out(scope, upper_tail(statistic))


def peer_evidence(scope: Scope, probability: np.ndarray) -> pl.DataFrame:
    """Return the feature in which each active actor differs most from the others."""
    matrix, rows, points = scope.matrix, scope.active, scope.points
    most = np.abs(points).argmax(1)
    typical = np.nanmedian(matrix.values[rows], axis=0)
    names = np.array(matrix.names, object)
    counted = np.array([f.source if f.kind == "count" else "" for f in matrix.features], object)
    sign = np.sign(points[np.arange(len(rows)), most])
    return evidence(
        rows,
        kind="peers",
        feature=names[most],
        source=counted[most],
        value=matrix.values[rows, most],
        typical=typical[most],
        z=sign * normal_score(np.nan_to_num(probability[rows], nan=1.0)),
        since=scope.since,
        until=scope.until,
    )
