"""The clusters of a workspace: ``db.clusters``."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from workbench.analysis.activity import from_us
from workbench.analysis.profile import cluster_profile
from workbench.analysis.window import World, period, window_features
from workbench.errors import UnknownNameError, UsageError
from workbench.graph.keys import format_entity, parse_entity
from workbench.tabular import Tabular

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.knowledge import Knowledge, KnowledgeStore

__all__ = ["Clusters"]


class _World(World, Protocol):
    @property
    def knowledge(self) -> KnowledgeStore: ...
    def compute(self, task: str) -> Knowledge: ...


class Clusters(Tabular):
    """The newest clusters, a row each: ``cluster``, ``size``, ``share`` and ``label``.

    They are computed at first use where there are none yet.
    """

    def __init__(self, world: _World) -> None:
        self._world = world
        self.timezone = world.timezone

    @cached_property
    def knowledge(self) -> Knowledge:
        """Return the run that they come from: a row an actor."""
        if "clusters" in self._world.knowledge.kinds():
            return self._world.knowledge.read("clusters")
        return self._world.compute("clusters")

    def to_arrow(self) -> pa.Table:
        """Return ``cluster``, ``size``, ``share`` and ``label``, the largest first."""
        frame = self.knowledge.to_polars().group_by("cluster", "size", "label").agg().sort("cluster")
        frame = frame.select(
            "cluster", "size", (pl.col("size") / pl.col("size").sum()).alias("share"), "label"
        )
        return frame.to_arrow(compat_level=pl.CompatLevel.oldest())

    def of(self, entity: str) -> dict[str, Any]:
        """Return the row of one actor: its cluster with size and label, and how near it is to the centre.

        Raises:
            UnknownNameError: If the run has no such actor.
        """
        rows = self.knowledge.to_polars().filter(pl.col("entity") == format_entity(*parse_entity(entity)))
        if rows.is_empty():
            raise UnknownNameError("clustered entity", entity, self.knowledge.table["entity"].to_pylist())
        return rows.row(0, named=True)

    def members(self, cluster: int) -> pl.DataFrame:
        """Return the actors of a cluster, the most typical first.

        Raises:
            UsageError: If there is no such cluster.
        """
        rows = self.knowledge.to_polars().filter(pl.col("cluster") == cluster)
        if rows.is_empty():
            numbers = ", ".join(map(str, self.knowledge.to_polars()["cluster"].unique().sort()))
            raise UsageError(f"there is no cluster {cluster!r}; there are {numbers}.")
        return rows.sort("distance", "entity")

    def profile(self) -> pl.DataFrame:
        """Return what sets each cluster apart, the most telling features of a cluster first.

        Columns: ``cluster``, ``size``, ``feature``, ``mean``, ``population_mean``, ``z``. Features are read
        again from the partials that the run saw.

        Raises:
            UsageError: If the window no longer holds them.
        """
        run = self.knowledge.run
        alive = set(self._world.snapshot.segments)
        if not {run.segments[0], run.segments[1]} <= alive:
            raise UsageError(
                f"the clusters are of {run.segments[0]} to {run.segments[1]}, not all in the window now.",
                fix="Compute them again.",
            )
        segments = [run.segments[0]]
        since, until = period(datetime.fromisoformat(run.asof), segments, run.parameters["lookback_days"])
        type_ = run.parameters["type"] or None
        matrix = window_features(self._world, type_, from_us(since), from_us(until))
        rows = pl.DataFrame({"entity": pl.Series(matrix.entities)}).join(
            self.knowledge.to_polars().select("entity", "cluster"),
            on="entity",
            how="left",
            maintain_order="left",
        )
        if rows["cluster"].null_count():
            raise UsageError(
                "the window's documents are others than the clusters saw.", fix="Compute them again."
            )
        return cluster_profile(matrix, rows["cluster"].to_numpy())

    def _title(self) -> str:
        return self.knowledge._title()  # noqa: SLF001  (a table's title is its run's)
