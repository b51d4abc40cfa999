"""PageRank of the window graph."""

from __future__ import annotations

from typing import Any, ClassVar

import polars as pl

from workbench.analysis.tasks.base import Context, Outcome, Task, labelled
from workbench.compute import backends, run

__all__ = ["PageRank"]


class PageRank(Task):
    """Rank of every entity in the weighted window graph, attribute types left out.

    Source: Page et al. 1999; spec 5.1.
    """

    defaults: ClassVar[dict[str, Any]] = {"damping": 0.85, "max_iterations": 50, "tolerance": 1e-6}

    def run(self, context: Context) -> Outcome:
        """Return ``entity``, ``type``, ``key``, ``rank``, ``place`` and ``place_in_type``, best first."""
        edges, ids = context.graph.edge_list()
        kernel = run(backends, context.device, "pagerank", edges, **context.parameters)
        table = labelled(context.graph, ids, kernel.table).sort(["rank", "entity"], descending=[True, False])
        table = table.with_columns(
            pl.int_range(1, pl.len() + 1).alias("place"),
            pl.int_range(1, pl.len() + 1).over("type").alias("place_in_type"),
        )
        return Outcome(table.to_arrow(compat_level=pl.CompatLevel.oldest()), "pagerank", kernel)
