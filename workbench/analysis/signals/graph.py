"""The origin's graph signal."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import polars as pl

from workbench.analysis.signals.base import Finding, Scope, Signal
from workbench.compute import backends, run
from workbench.partials.documents import DAY_US

__all__ = ["Graph"]

_NEW, _SPAN = 0.5, 0.3
_TIMES, _COMMUNITIES = 3, 3


class Graph(Signal):
    """0.5 for many new neighbours in the last 24 hours, and 0.3 for neighbours in more than 3 communities.

    Many are more than three times the actor's average of new neighbours per day before. Without history
    the first part is 0. Communities are those of the window graph.
    """

    profile: ClassVar[Literal["classic", "ensemble"]] = "classic"
    weight = 0.2

    def find(self, scope: Scope) -> Finding:
        """Return the signal of each actor."""
        context = scope.context
        edges, ids = context.graph.edge_list()
        kernel = run(backends, context.device, "communities", edges, seed=context.seed)
        community = pl.DataFrame(
            {"neighbour": context.graph.entities_of(ids), "community": pl.Series(kernel.table["community"])}
        )
        return Finding(self._new(scope) + self._span(scope, community), kernel=kernel)

    @staticmethod
    def _new(scope: Scope) -> np.ndarray:
        counted = {end.edge for end in scope.new_edges}
        edges = scope.activity.edges.filter(pl.col("edge").is_in(list(counted)))
        first = edges.group_by("actor", "edge", "outgoing", "neighbour").agg(pl.col("first").min())
        last_day = scope.until - DAY_US
        per_actor = first.group_by("actor").agg(
            (pl.col("first") >= last_day).sum().alias("now"),
            (pl.col("first") < last_day).sum().alias("before"),
            pl.col("first").min().alias("start"),
        )
        days = -((last_day - per_actor["start"].to_numpy()) // -DAY_US)
        before = per_actor["before"].to_numpy()
        many = (before > 0) & (per_actor["now"].to_numpy() > _TIMES * before / np.maximum(days, 1))
        values = np.zeros(len(scope))
        values[per_actor["actor"].to_numpy()] = _NEW * many
        return values

    @staticmethod
    def _span(scope: Scope, community: pl.DataFrame) -> np.ndarray:
        table = scope.context.graph.edges()
        edges = pl.DataFrame(table.select(["source", "target"])).cast(pl.String)
        both = pl.concat([edges, edges.select(source="target", target="source")])
        spans = (
            both.join(community, left_on="target", right_on="neighbour")
            .group_by("source")
            .agg(pl.col("community").n_unique())
        )
        actors = pl.DataFrame({"source": scope.activity.names()}).join(
            spans, on="source", how="left", maintain_order="left"
        )
        return _SPAN * (actors["community"].fill_null(0).to_numpy() > _COMMUNITIES)
