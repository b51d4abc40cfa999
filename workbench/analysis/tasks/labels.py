"""What groups are called."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from workbench.analysis.tasks.base import Context, Outcome, Task, measured

if TYPE_CHECKING:
    from workbench.knowledge import Knowledge

__all__ = ["Labels"]

_SCHEMA = {
    "kind": pl.String(),
    "group": pl.Int64(),
    "size": pl.Int64(),
    "label": pl.String(),
    "source": pl.String(),
}
_TEMPLATE = "template"
_NAMED = 2


class Labels(Task):
    """A label for each cluster and community, from what sets it apart; ``source`` says who worded it."""

    priority = "P3"
    period = 86_400.0
    after: ClassVar[tuple[str, ...]] = ("clusters", "communities", "event_clusters")
    inputs: ClassVar[tuple[str, ...]] = ("entities", "edges", "sightings", "properties", "texts")
    facts: ClassVar[tuple[str, ...]] = ("attributes", "features", "timezone")
    defaults: ClassVar[dict[str, Any]] = {"fewest": 3, "most_groups": 200}

    def run(self, context: Context) -> Outcome:
        """Return ``kind``, ``group``, ``size``, ``label`` and ``source`` (``template``), the largest first.

        They are those of the newest runs of clusters, communities and clusters of events.
        """
        begin = time.perf_counter()
        found = [pl.DataFrame(schema=_SCHEMA)]
        for kind, label in (
            ("clusters", _clusters),
            ("event_clusters", _clusters),
            ("communities", _communities),
        ):
            if context.knowledge.runs(kind):
                found.append(label(kind, context.knowledge.read(kind), context))
        table = (
            pl.concat(found)
            .filter(pl.col("size") >= context.parameters["fewest"])
            .sort("kind", "size", "group", descending=[False, True, False])
            .group_by("kind", maintain_order=True)
            .head(context.parameters["most_groups"])
        )
        return measured(table, "labels from templates", begin, {"labels": float(table.height)}, "polars")


def _clusters(kind: str, knowledge: Knowledge, _: Context) -> pl.DataFrame:
    rows = knowledge.to_polars().filter(pl.col("cluster") >= 0)
    return (
        rows.group_by("cluster")
        .agg(pl.col("size").first(), pl.col("label").first())
        .select(
            pl.lit(kind).alias("kind"),
            pl.col("cluster").cast(pl.Int64).alias("group"),
            pl.col("size").cast(pl.Int64),
            "label",
            pl.lit(_TEMPLATE).alias("source"),
        )
    )


def _communities(kind: str, knowledge: Knowledge, context: Context) -> pl.DataFrame:
    """Name each community by its entities with the most edges, and by what it is made of."""
    least = context.parameters["fewest"]
    entities = knowledge.to_polars().filter(pl.col("size") >= least)
    degree = pl.DataFrame(context.graph.degree().select(["entity", "degree"]))
    ranked = entities.join(degree, on="entity", how="left").sort(
        "community", pl.col("degree").fill_null(0), "entity", descending=[False, True, False]
    )
    heads = ranked.group_by("community", maintain_order=True).agg(
        pl.col("entity").head(_NAMED).str.join(" and ").alias("heads"), pl.col("size").first()
    )
    parts = (
        entities.group_by("community", "type")
        .len()
        .sort("community", "len", "type", descending=[False, True, False])
        .group_by("community", maintain_order=True)
        .agg(pl.concat_str(pl.col("len").cast(pl.String), pl.lit(" "), "type").str.join(", ").alias("parts"))
    )
    return heads.join(parts, on="community").select(
        pl.lit(kind).alias("kind"),
        pl.col("community").cast(pl.Int64).alias("group"),
        pl.col("size").cast(pl.Int64),
        pl.concat_str(pl.lit("around "), "heads", pl.lit(": "), "parts").alias("label"),
        pl.lit(_TEMPLATE).alias("source"),
    )
