"""What the origin's signals share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.analysis.signals.base import Scope, evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["classic_evidence", "z_scores"]

_SHOWN = 3


def z_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (x - mean) / standard deviation by column; 0 without spread or without a value.

    >>> z_scores(np.array([[1.0, 5.0], [3.0, 5.0]])).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    known = np.isfinite(values)
    number = np.maximum(known.sum(0), 1)
    mean = np.where(known, values, 0.0).sum(0) / number
    centred = np.where(known, values - mean, 0.0)
    spread = np.sqrt(np.square(centred).sum(0) / number)
    found: NDArray[np.float64] = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    return found


def classic_evidence(scope: Scope, z: NDArray[np.float64]) -> pl.DataFrame:
    """Return the features of each actor with the largest z-scores, against the mean of all."""
    matrix = scope.matrix
    known = np.isfinite(matrix.values)
    mean = np.where(known, matrix.values, 0).sum(0) / np.maximum(known.sum(0), 1)
    order = np.argsort(-np.abs(z), axis=1, kind="stable")[:, :_SHOWN]
    everyone = np.arange(len(z))
    names = np.array(matrix.names, object)
    counted = np.array([f.source if f.kind == "count" else "" for f in matrix.features], object)
    rows = [
        evidence(
            everyone,
            kind="mean",
            feature=names[place],
            source=counted[place],
            value=matrix.values[everyone, place],
            typical=mean[place],
            z=z[everyone, place],
            since=scope.since,
            until=scope.until,
        )
        for place in order.T
    ]
    return pl.concat(rows)
