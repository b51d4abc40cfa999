"""Actors whose events say alike things."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from workbench.analysis.tasks.base import Context, Outcome, Task
from workbench.analysis.tasks.event_clusters import EventClusters
from workbench.analysis.window import actor_type
from workbench.compute import Points, backends, run
from workbench.errors import DriverUnavailableError
from workbench.graph.keys import format_entities
from workbench.vectors.entities import entity_vectors
from workbench.vectors.window import window_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.compute.base import KernelRun
    from workbench.config.entity_schema import EntitySchema

__all__ = ["Similarity"]


class Similarity(Task):
    """The nearest others of each actor by the vectors of what its events say: computed edges ``SimilarTo``.

    Source: spec 5.1.
    """

    priority = "P3"
    period = 86_400.0
    inputs: ClassVar[tuple[str, ...]] = ("texts", "sightings", "entities")
    facts: ClassVar[tuple[str, ...]] = ("who",)
    version: ClassVar[int] = 2
    defaults: ClassVar[dict[str, Any]] = {"type": "", "k": 10, "days": 7, "most_exact": 20_000}

    @classmethod
    def lacks(cls, schema: EntitySchema) -> str:
        """Return what a schema lacks: actors, or texts."""
        return super().lacks(schema) or EventClusters.lacks(schema)

    def run(self, context: Context) -> Outcome:
        """Return a row for each actor and each of its nearest others.

        Columns: ``edge`` (``SimilarTo``), ``source``, ``target``, ``place`` (from 1), ``similarity``, and of
        which days' events it is: ``first_day``, ``last_day``, ``days`` (how many of them there were).
        Similarity is the cosine of the vectors without what all have in common. Of more than ``most_exact``
        actors the search is approximate, and the metric ``recall`` says which part of the nearest it found.
        Where no device can do that a sample of so many is compared, drawn by the seed; the metric
        ``left_out`` says how many were not, and the reason why.
        """
        parameters = context.parameters
        type_ = actor_type(context.schema, parameters["type"] or None)
        derived = {f.segment for f in context.snapshot.files("texts")}
        segments = [s for s in context.segments if s in derived][-parameters["days"] :]
        keys, points = _actors(context, type_, segments)
        drawn, kernel = _nearest(context, points)
        keys = keys.gather(drawn)
        names = format_entities(pl.Series([type_] * len(keys), dtype=pl.String), keys)
        pairs = pl.DataFrame(kernel.table)
        table = pl.DataFrame(
            {
                "edge": pl.Series(["SimilarTo"] * pairs.height, dtype=pl.String),
                "source": names.gather(pairs["row"]),
                "target": names.gather(pairs["neighbour"]),
                "place": pairs["place"] + 1,
                "similarity": 1.0 - pairs["distance"],
            }
        )
        of = {"first_day": segments[0], "last_day": segments[-1], "days": len(segments)}
        of_days = [pl.lit(value).alias(name) for name, value in of.items()]
        table = table.with_columns(of_days).sort("source", "place")
        kernel.metrics["left_out"] = float(len(points) - len(drawn))
        return Outcome(table.to_arrow(compat_level=pl.CompatLevel.oldest()), "nearest neighbours", kernel)


def _actors(context: Context, type_: str, segments: list[str]) -> tuple[pl.Series, Points]:
    """Return the keys of the actors whose texts tell them apart, and their vectors."""
    found = entity_vectors(context.by_segment, type_, window_of(context.snapshot, segments, context.embed))
    own = found.own()
    rows = np.flatnonzero(own.any(axis=1))
    return found.keys.gather(rows), Points(own[rows].astype(np.float64))


def _nearest(context: Context, points: Points) -> tuple[NDArray[np.int64], KernelRun]:
    """Return the rows that were compared and the nearest of each: of all, if need be approximately."""
    most, k, seed = context.parameters["most_exact"], context.parameters["k"], context.seed
    reason = ""
    if len(points) > most:
        options = {"k": k, "method": "approximate", "seed": seed}
        try:
            return np.arange(len(points)), run(backends, context.device, "neighbours", points, **options)
        except DriverUnavailableError as unavailable:
            reason = unavailable.message
    drawn = points.sample(most, seed)
    near = Points(points.values[drawn])
    found = run(backends, context.device, "neighbours", near, k=k)
    return drawn, replace(found, reason="; ".join(filter(None, (reason, found.reason))))
