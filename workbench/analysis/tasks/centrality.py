"""How central each entity is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import polars as pl

from workbench.analysis.tasks.base import Context, Outcome, Task, labelled
from workbench.compute import backends, run

__all__ = ["Centrality"]

_FEWEST, _MOST = 16, 256
_WORK = 100_000_000  # edges that the searches from all sources walk, about


class Centrality(Task):
    """Degree, strength, core number and betweenness of every entity, attribute types left out.

    Betweenness is exact in small graphs, otherwise from drawn sources; ``error`` in the run's metrics bounds
    it then. Source: Seidman 1983; Brandes 2001; Brandes and Pich 2007; spec 5.1.
    """

    defaults: ClassVar[dict[str, Any]] = {"min_weight": 1, "exact_nodes": 2_000, "samples": 0}

    def run(self, context: Context) -> Outcome:
        """Return ``entity``, ``type``, ``key``, ``degree``, ``strength``, ``core``, ``betweenness``."""
        parameters = context.parameters
        edges, ids = context.graph.edge_list(min_weight=parameters["min_weight"])
        graph = edges.undirected()
        samples = parameters["samples"]
        if not samples and edges.nodes > parameters["exact_nodes"]:
            samples = int(np.clip(_WORK // max(graph.edges, 1), _FEWEST, _MOST))
        cores = run(backends, context.device, "core_numbers", edges)
        between = run(backends, context.device, "betweenness", edges, samples=samples, seed=context.seed)
        degree = np.bincount(graph.low, minlength=graph.nodes) + np.bincount(
            graph.high, minlength=graph.nodes
        )
        result = between.table.append_column("degree", [degree]).append_column("strength", [graph.strength()])
        frame = labelled(context.graph, ids, result.append_column("core", cores.table["core"]))
        columns = ("entity", "type", "key", "degree", "strength", "core", "betweenness")
        table = frame.select(columns).sort("betweenness", "degree", "entity", descending=[True, True, False])
        metrics = {**between.metrics, "largest_core": cores.metrics["largest"]}
        kernel = replace(
            between,
            seconds=between.seconds + cores.seconds,
            metrics=metrics,
            versions={**cores.versions, **between.versions},
        )
        return Outcome(table.to_arrow(compat_level=pl.CompatLevel.oldest()), "centrality", kernel)
