"""Communities of the window graph."""

from __future__ import annotations

from typing import Any, ClassVar

import polars as pl

from workbench.analysis.tasks.base import Context, Outcome, Task, labelled, numbered
from workbench.compute import backends, run

__all__ = ["Communities"]


class Communities(Task):
    """Communities of the weighted window graph, attribute types left out.

    By Leiden, or with ``method`` by Louvain (``louvain``) or ``label_propagation``.
    Source: Traag, Waltman and van Eck 2019; spec 5.1.
    """

    defaults: ClassVar[dict[str, Any]] = {"method": "leiden", "resolution": 1.0, "min_weight": 1}

    def run(self, context: Context) -> Outcome:
        """Return ``entity``, ``type``, ``key``, ``community`` (0 is the largest) and ``size``."""
        edges, ids = context.graph.edge_list(min_weight=context.parameters["min_weight"])
        options = {name: context.parameters[name] for name in ("method", "resolution")}
        kernel = run(backends, context.device, "communities", edges, seed=context.seed, **options)
        table = numbered(labelled(context.graph, ids, kernel.table), "community")
        return Outcome(table.to_arrow(compat_level=pl.CompatLevel.oldest()), options["method"], kernel)
