"""The clusters of a workspace: ``db.clusters``."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from workbench.analysis.activity import from_us
from workbench.analysis.profile import cluster_profile
from workbench.analysis.projection import METHODS, MOST, Projection, umap
from workbench.analysis.window import World, period, window_features
from workbench.compute import Points
from workbench.errors import UnknownNameError, UsageError
from workbench.graph.keys import format_entity, parse_entity
from workbench.tabular import Tabular

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from workbench.analysis.features import FeatureMatrix
    from workbench.compute.base import Device
    from workbench.knowledge import Knowledge, KnowledgeStore
    from workbench.settings import Settings

__all__ = ["Clusters"]


class _World(World, Protocol):
    settings: Settings

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
        rows = self.knowledge.to_polars()
        rows = rows.filter(pl.col("cluster") == cluster) if isinstance(cluster, int) else rows.clear()  # type: ignore[redundant-expr]
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
        return cluster_profile(*self._features())

    def projection(
        self, method: str = "pca", *, most: int = MOST, device: Device | None = None
    ) -> Projection:
        """Return the actors as points of a plane.

        ``pca`` gives the first two principal components, which are part of the run. ``umap`` (McInnes, Healy
        and Melville 2018) keeps near what is alike; it is computed now, of about ``most`` actors, evenly
        from each cluster.

        Args:
            method: ``pca`` or ``umap``.
            most: How many actors UMAP places.
            device: Where it runs; by default as the settings say.

        Raises:
            UnknownNameError: If there is no such method.
            DriverUnavailableError: If the device cannot run UMAP: without a GPU it needs umap-learn.
            UsageError: If the window no longer holds what the run saw.
        """
        if method not in METHODS:
            raise UnknownNameError("projection", method, METHODS)
        rows = self.knowledge.to_polars()
        if method == "pca":
            table = rows.select("entity", "x", "y").to_arrow(compat_level=pl.CompatLevel.oldest())
            return Projection(table, method, rows.height)
        chosen = device or self._world.settings.device
        seed = self.knowledge.run.seed
        return umap(*self.sample(most), of=rows.height, device=chosen, seed=seed)

    def sample(self, most: int) -> tuple[pl.Series, Points]:
        """Return about so many actors and what they are like, standardised.

        They come evenly from each cluster, and of each there is one at least.

        Raises:
            UsageError: If the window no longer holds what the run saw.
        """
        matrix, cluster = self._features()
        rows = pl.DataFrame({"entity": matrix.entities, "cluster": cluster}).with_row_index("row")
        if rows.height > most:
            rows = _evenly(rows.sort("cluster", "entity"), most).sort("row")
        return rows["entity"], Points(matrix.standardised[rows["row"].to_numpy()])

    def _features(self) -> tuple[FeatureMatrix, NDArray[np.int64]]:
        """Return the features that the run saw, read again, and the cluster of each row."""
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
        return matrix, rows["cluster"].to_numpy()

    def _title(self) -> str:
        return self.knowledge._title()  # noqa: SLF001  (a table's title is its run's)


def _evenly(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """Return as large a part of each cluster's rows, evenly spread in their order, the first among them."""
    place, size = pl.int_range(pl.len()).over("cluster"), pl.len().cast(pl.Int64).over("cluster")
    wanted = (size * most // rows.height).clip(1)
    return rows.filter((place * wanted // size > (place - 1) * wanted // size) | (place == 0))
