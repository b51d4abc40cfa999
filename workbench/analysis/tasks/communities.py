"""Communities of the window graph."""

from __future__ import annotations

from typing import Any, ClassVar

import polars as pl

from workbench.analysis.tasks.base import Context, Outcome, Task, labelled, numbered
from workbench.compute import backends, run

__all__ = ["Communities"]


class Communities(Task):
    """Communities of the weighted window graph by Leiden, attribute types left out.

    Source: Traag, Waltman and van Eck 2019; spec 5.1.
    """

    defaults: ClassVar[dict[str, Any]] = {"resolution": 1.0, "min_weight": 1}

    def run(self, context: Context) -> Outcome:
        """Return ``entity``, ``type``, ``key``, ``community`` (0 is the largest) and ``size``."""
        edges, ids = context.graph.edge_list(min_weight=context.parameters["min_weight"])
        resolution = context.parameters["resolution"]
        kernel = run(backends, context.device, "communities", edges, resolution=resolution, seed=context.seed)
        table = numbered(labelled(context.graph, ids, kernel.table), "community")
        return Outcome(table.to_arrow(compat_level=pl.CompatLevel.oldest()), "leiden", kernel)
