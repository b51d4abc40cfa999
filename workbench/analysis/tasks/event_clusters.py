"""Clusters of recent events that say alike things."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from workbench.analysis.activity import from_us, to_us
from workbench.analysis.tasks.base import Context, Outcome, Task
from workbench.compute import Points, backends, run
from workbench.errors import UnknownNameError
from workbench.vectors.corpus import read_corpus

if TYPE_CHECKING:
    from workbench.compute import KernelRun
    from workbench.config.entity_schema import EntitySchema

__all__ = ["METHODS", "EventClusters"]

METHODS = ("dbscan", "hdbscan")
_HOUR_US = 3_600_000_000


class EventClusters(Task):
    """Clusters of the vectors of recent events' texts by density; a text counts as often as it is said.

    ``hdbscan`` counts each text once. Source: Ester et al. 1996; Campello, Moulavi and Sander 2013; spec 5.1.
    """

    priority = "P1"
    period = 300.0
    inputs: ClassVar[tuple[str, ...]] = ("texts",)
    facts: ClassVar[tuple[str, ...]] = ("who",)
    defaults: ClassVar[dict[str, Any]] = {
        "hours": 24,
        "method": "dbscan",
        "eps": 0.3,
        "min_points": 5,
        "most_texts": 10_000,
    }

    @classmethod
    def lacks(cls, schema: EntitySchema) -> str:
        """Return what a schema lacks: texts."""
        return (
            "" if any(rule.text for rule in schema.events.values()) else "no event type has a text template"
        )

    def run(self, context: Context) -> Outcome:
        """Return a row a text, the largest cluster first and what is in none last.

        Columns: ``cluster`` (-1: none), ``size`` (events in the cluster), ``event_type``, ``text``,
        ``events``, ``share`` (of all events of the period), ``label``: the cluster's most frequent text.
        The metric ``left_out`` says how many of the rarest texts were too many.

        Raises:
            UnknownNameError: If there is no such method.
            DriverUnavailableError: If no embedder can run here.
        """
        parameters = context.parameters
        if parameters["method"] not in METHODS:
            raise UnknownNameError("method", parameters["method"], METHODS, where="event_clusters")
        said = _said(context, parameters["hours"])
        kept = said.head(parameters["most_texts"])
        labels, kernel = _clustered(context, kept)
        frame = kept.with_columns(pl.Series("cluster", labels, dtype=pl.Int32))
        table = (
            frame.with_columns(
                pl.col("events").sum().over("cluster").alias("size"),
                (pl.col("events") / max(int(said["events"].sum()), 1)).alias("share"),
                pl.col("text").first().over("cluster").alias("label"),
            )
            .sort(
                pl.col("cluster") < 0,
                "cluster",
                pl.col("events"),
                "text",
                descending=[False, False, True, False],
            )
            .select("cluster", "size", "event_type", "text", "events", "share", "label")
        )
        metrics = {**kernel.metrics, "left_out": float(said.height - kept.height)}
        kernel = replace(kernel, metrics=metrics)
        return Outcome(table.to_arrow(compat_level=pl.CompatLevel.oldest()), parameters["method"], kernel)


def _said(context: Context, hours: int) -> pl.DataFrame:
    """Return ``event_type``, ``text`` and ``events`` of the last hours, the most frequent first."""
    until = to_us(context.asof) + 1
    since = until - hours * _HOUR_US
    first = from_us(since).date().isoformat()
    derived = {f.segment for f in context.snapshot.files("texts")}
    corpus = read_corpus(context.snapshot, [s for s in context.segments if s >= first and s in derived])
    recent = corpus.postings.filter((corpus.times >= since) & (corpus.times < until))
    counted = recent.group_by("text").agg(pl.len().cast(pl.Int64).alias("events"))
    texts = corpus.texts.with_row_index("number").with_columns(pl.col("number").cast(counted["text"].dtype))
    return (
        texts.join(counted, left_on="number", right_on="text")
        .select("event_type", "text", "events")
        .sort("events", "text", "event_type", descending=[True, False, False])
    )


def _clustered(context: Context, said: pl.DataFrame) -> tuple[np.ndarray, KernelRun]:
    """Return the cluster of each text; one without any known word is like no other."""
    vectors = np.empty((0, 1))
    if said.height:
        vectors = context.embed(said["text"].to_list()).astype(np.float64)
    known = np.linalg.norm(vectors, axis=1) > 0
    points = Points(np.ascontiguousarray(vectors[known]))
    parameters = context.parameters
    options: dict[str, Any] = {"min_points": parameters["min_points"]}
    if parameters["method"] == "dbscan":
        weight = said["events"].to_numpy()[known].astype(np.float64)
        options |= {"eps": parameters["eps"], "weight": weight}
    kernel = run(backends, context.device, parameters["method"], points, **options)
    labels = np.full(len(known), -1, np.int32)
    labels[known] = kernel.table["cluster"].to_numpy()
    return labels, kernel
