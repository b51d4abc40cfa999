"""Clusters of actors that follow what comes, between the runs that look at everything."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from workbench.analysis.activity import to_us
from workbench.analysis.stable import before
from workbench.analysis.tasks.base import Context, Outcome, Task, measured
from workbench.analysis.window import period_features
from workbench.compute import Points, backends, run
from workbench.compute._points import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["StreamingClusters"]

_DEFAULT_K = 10
_BATCH = 1_024


class StreamingClusters(Task):
    """Centres of the actors' clusters, moved by the actors that were active since the last run.

    Mini-batch k-means whose weights decay, so that what is long ago counts less; as many clusters as the last
    full run found, 10 before there is one. Source: Sculley 2010; spec 5.1.
    """

    priority = "P0"
    period = 0.0
    inputs: ClassVar[tuple[str, ...]] = ("entities", "edges", "sightings", "properties")
    facts: ClassVar[tuple[str, ...]] = ("who", "features", "timezone")
    defaults: ClassVar[dict[str, Any]] = {"type": "", "lookback_days": 1, "half_life_hours": 24.0}

    def run(self, context: Context) -> Outcome:
        """Return a row a cluster and feature: ``cluster``, ``weight``, ``feature``, ``centre``.

        ``weight`` is the number of actors that the centre stands for, what is past decayed; ``centre`` is in
        standardised units. A cluster keeps its number as its centre moves.
        """
        begin = time.perf_counter()
        earlier = before(context, "streaming_clusters")
        seen = context.asof if earlier is None else datetime.fromisoformat(earlier.run.asof)
        matrix, tally = period_features(context)
        points = matrix.standardised
        if earlier is not None:
            points = points[tally.spans["last"].to_numpy() > to_us(seen)]
        state = None if earlier is None else _state(earlier.to_polars(), matrix.names)
        k = _number(context)
        if state is None or (len(state.weights) != k and len(points) >= k):
            moved = _first(context, points, k)
        else:
            hours = (context.asof - seen).total_seconds() / 3600
            moved = _moved(points, state, 0.5 ** (hours / context.parameters["half_life_hours"]))
        number, width = moved.centres.shape
        table = pl.DataFrame(
            {
                "cluster": np.repeat(np.arange(number, dtype=np.int32), width),
                "weight": np.repeat(moved.weights, width),
                "feature": list(matrix.names) * number,
                "centre": moved.centres.ravel(),
            },
            schema={"cluster": pl.Int32, "weight": pl.Float64, "feature": pl.String, "centre": pl.Float64},
        )
        metrics = {"k": float(number), "actors": float(len(points))}
        return measured(table, "mini-batch k-means", begin, metrics, "numpy", "polars")


@dataclass(frozen=True)
class _Centres:
    """Centres, a row each, and how many actors each stands for."""

    centres: NDArray[np.float64]
    weights: NDArray[np.float64]


def _number(context: Context) -> int:
    """Return how many clusters the last full run found."""
    runs = [run for run in context.knowledge.runs("clusters") if "k" in run.metrics]
    return int(runs[-1].metrics["k"]) if runs else _DEFAULT_K


def _state(table: pl.DataFrame, names: Sequence[str]) -> _Centres | None:
    """Return the centres of the run before, if they are of the same features."""
    width = len(names)
    if not table.height or table["feature"].head(width).to_list() != list(names):
        return None
    return _Centres(
        table["centre"].to_numpy().reshape(-1, width), table["weight"].gather_every(width).to_numpy()
    )


def _first(context: Context, points: NDArray[np.float64], k: int) -> _Centres:
    """Return the centres of clusters found from scratch, the largest first."""
    number = max(min(k, len(np.unique(points, axis=0)) - 1), 1)
    if number == 1:
        middle = points.mean(0, keepdims=True) if len(points) else points
        return _Centres(middle, np.full(len(middle), float(len(points))))
    options = {"fewest": number, "most": number, "seed": context.seed}
    labels = run(backends, context.device, "kmeans", Points(points), **options).table["cluster"].to_numpy()
    groups = range(labels.max() + 1)
    return _Centres(
        np.stack([points[labels == c].mean(0) for c in groups]),
        np.bincount(labels).astype(np.float64),
    )


def _moved(points: NDArray[np.float64], state: _Centres, decay: float) -> _Centres:
    """Return the centres moved by new points: each is the mean of what it stands for, the past decayed."""
    centres, weights = state.centres.copy(), state.weights * decay
    for begin in range(0, len(points), _BATCH):
        batch = points[begin : begin + _BATCH]
        labels = nearest(batch, centres).argmin(1)
        counts = np.bincount(labels, minlength=len(centres)).astype(np.float64)
        sums = np.zeros_like(centres)
        np.add.at(sums, labels, batch)
        total = weights + counts
        hit = counts > 0
        centres[hit] = (centres[hit] * weights[hit, None] + sums[hit]) / total[hit, None]
        weights = total
    return _Centres(centres, weights)
