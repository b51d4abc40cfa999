"""Figures of the window graph as a whole."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import numpy as np
import polars as pl

from workbench.analysis.tasks.base import Context, Outcome, Task, measured
from workbench.compute import backends, run

__all__ = ["GraphStatistics"]

_QUANTILES = {"degree_p50": 0.5, "degree_p90": 0.9, "degree_p99": 0.99, "degree_max": 1.0}
_SURE = 1.96  # standard errors: 95 %


class GraphStatistics(Task):
    """Sizes, degrees, density and distances of the window graph, as a whole and by type.

    Everything is exact but ``mean_hops``, which is from drawn entities; ``error`` says how far off it may be,
    with a chance of 95 %. Source: spec 5.1.
    """

    defaults: ClassVar[dict[str, Any]] = {"sources": 16}

    def run(self, context: Context) -> Outcome:
        """Return ``metric``, ``type`` (null: of the whole graph), ``value`` and ``error``."""
        begin = time.perf_counter()
        graph = context.graph
        stats = graph.stats()
        rows: list[tuple[str, str | None, float, float]] = [
            ("density", None, stats.density, 0.0),
            ("degree_mean", None, stats.average_degree, 0.0),
            ("components", None, float(stats.components), 0.0),
            ("largest_component", None, float(stats.largest_component), 0.0),
            *(("nodes", name, float(count), 0.0) for name, count in sorted(stats.nodes.items())),
            *(("edges", name, float(count), 0.0) for name, count in sorted(stats.edges.items())),
        ]
        degrees = pl.DataFrame(graph.degree()).select("type", "degree")
        rows += [(name, None, _quantile(degrees["degree"], q), 0.0) for name, q in _QUANTILES.items()]
        for type_ in sorted(stats.nodes):
            mine = degrees.filter(pl.col("type") == type_)["degree"]
            rows += [(name, type_, _quantile(mine, q), 0.0) for name, q in _QUANTILES.items()]
        mean, error = self._hops(context)
        rows.append(("mean_hops", None, mean, error))
        table = pl.DataFrame(
            rows,
            schema={"metric": pl.String, "type": pl.String, "value": pl.Float64, "error": pl.Float64},
            orient="row",
        )
        metrics = {"nodes": float(len(graph)), "edges": float(graph.window.edges.num_rows)}
        return measured(table, "graph statistics", begin, metrics, "numpy", "scipy")

    @staticmethod
    def _hops(context: Context) -> tuple[float, float]:
        """Return the mean number of hops between entities that a path joins, and how far off it may be."""
        edges, _ = context.graph.edge_list()
        joined = np.unique(np.concatenate([edges.table[end].to_numpy() for end in ("source", "target")]))
        number = min(context.parameters["sources"], len(joined))
        if not number:
            return 0.0, 0.0
        drawn = np.sort(np.random.default_rng(context.seed).choice(joined, number, replace=False))
        means = []
        for source in drawn:
            hops = run(backends, context.device, "hops", edges, source=int(source)).table["hops"].to_numpy()
            means.append(float(hops[hops > 0].mean()))
        whole = number == len(joined)
        error = 0.0 if whole else _SURE * float(np.std(means, ddof=1)) / number**0.5 if number > 1 else np.inf
        return float(np.mean(means)), error


def _quantile(values: pl.Series, share: float) -> float:
    found = values.quantile(share, interpolation="lower")
    return 0.0 if found is None else float(found)
