"""Connected components of the window graph."""

from __future__ import annotations

import polars as pl

from workbench.analysis.tasks.base import Context, Outcome, Task, labelled, numbered
from workbench.compute import backends, run

__all__ = ["Components"]


class Components(Task):
    """Weakly connected components of the window graph, attribute types left out; spec 5.1."""

    def run(self, context: Context) -> Outcome:
        """Return ``entity``, ``type``, ``key``, ``component`` (0 is the largest) and ``size``."""
        edges, ids = context.graph.edge_list()
        kernel = run(backends, context.device, "components", edges)
        table = numbered(labelled(context.graph, ids, kernel.table), "component")
        return Outcome(table.to_arrow(compat_level=pl.CompatLevel.oldest()), "connected components", kernel)
