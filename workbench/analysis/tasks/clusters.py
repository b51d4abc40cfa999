"""Clusters of actors that behave alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import polars as pl

from workbench.analysis.profile import cluster_labels
from workbench.analysis.stable import renumbered
from workbench.analysis.tasks.base import Context, Outcome, Task
from workbench.analysis.window import period_features
from workbench.compute import Points, backends, run
from workbench.graph.keys import parse_keys

__all__ = ["Clusters"]


class Clusters(Task):
    """Clusters of the actors by k-means on their standardised features; how many, by silhouette.

    Source: Lloyd 1982; Rousseeuw 1987; spec 5.1.
    """

    priority = "P3"
    period = 86_400.0
    inputs: ClassVar[tuple[str, ...]] = ("entities", "edges", "sightings", "properties")
    facts: ClassVar[tuple[str, ...]] = ("who", "features", "timezone")
    defaults: ClassVar[dict[str, Any]] = {"type": "", "lookback_days": 0, "fewest": 2, "most": 20}

    def run(self, context: Context) -> Outcome:
        """Return a row an actor.

        Columns: ``entity``, ``type``, ``key``, ``cluster``, ``size``, ``distance``, ``x``, ``y``, ``label``.
        The largest cluster comes first; in a first run it is 0. Later a cluster keeps the number of the one
        with which it shares most actors. ``distance`` is that to the cluster's own centre, ``x`` and ``y``
        are the first two principal components, in standardised units. ``label`` says what sets the cluster
        apart.
        """
        matrix, _ = period_features(context)
        points = Points(matrix.standardised)
        wanted = {name: context.parameters[name] for name in ("fewest", "most")}
        found = run(backends, context.device, "kmeans", points, seed=context.seed, **wanted)
        plane = run(backends, context.device, "pca", points)
        labels = cluster_labels(matrix, found.table["cluster"].to_numpy())
        entities = pl.Series("entity", matrix.entities)
        frame = pl.DataFrame(found.table).select(
            entities,
            pl.lit(matrix.type_).alias("type"),
            parse_keys(entities),
            "cluster",
            pl.len().over("cluster").cast(pl.Int64).alias("size"),
            "distance",
            pl.Series("x", plane.table["component_0"]),
            pl.Series("y", plane.table["component_1"]),
            pl.col("cluster").replace_strict(labels, return_dtype=pl.String).alias("label"),
        )
        table, drift = renumbered(context, "clusters", frame.sort("cluster", "distance", "entity"), "cluster")
        kernel = replace(
            found,
            metrics={**found.metrics, **plane.metrics, **drift},
            memory=max(found.memory, plane.memory),
        )
        return Outcome(table.to_arrow(compat_level=pl.CompatLevel.oldest()), "k-means", kernel)
