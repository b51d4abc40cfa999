"""Communities of the window graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import polars as pl

from workbench.analysis.stable import renumbered
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
        """Return ``entity``, ``type``, ``key``, ``community`` and ``size``, the largest community first.

        In a first run 0 is the largest. Later a community keeps the number of the one with which it shares
        most entities, and a new one gets a number that none has had; metrics say how many stayed and moved.
        """
        parameters = context.parameters
        edges, ids = context.graph.edge_list(min_weight=parameters["min_weight"])
        options = {name: parameters[name] for name in ("method", "resolution")}
        kernel = run(backends, context.device, "communities", edges, seed=context.seed, **options)
        found = numbered(labelled(context.graph, ids, kernel.table), "community")
        table, metrics = renumbered(context, "communities", found, "community")
        kernel = replace(kernel, metrics={**kernel.metrics, **metrics})
        return Outcome(
            table.to_arrow(compat_level=pl.CompatLevel.oldest()), str(parameters["method"]), kernel
        )
