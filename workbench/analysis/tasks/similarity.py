"""Actors whose events say alike things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from workbench.analysis.tasks.base import Context, Outcome, Task
from workbench.analysis.tasks.event_clusters import EventClusters
from workbench.analysis.window import actor_type
from workbench.compute import Points, backends, run
from workbench.graph.keys import format_entities
from workbench.vectors.entities import entity_vectors
from workbench.vectors.window import window_of

if TYPE_CHECKING:
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
    defaults: ClassVar[dict[str, Any]] = {"type": "", "k": 10, "days": 7, "most_actors": 20_000}

    @classmethod
    def lacks(cls, schema: EntitySchema) -> str:
        """Return what a schema lacks: actors, or texts."""
        return super().lacks(schema) or EventClusters.lacks(schema)

    def run(self, context: Context) -> Outcome:
        """Return a row for each actor and each of its nearest others.

        Columns: ``edge`` (``SimilarTo``), ``source``, ``target``, ``place`` (from 1), ``similarity``, and of
        which days' events it is: ``first_day``, ``last_day``, ``days`` (how many of them there were).
        Similarity is the cosine of the vectors without what all have in common. Of more than ``most_actors``
        a sample is compared, drawn by the seed; the metric ``left_out`` says how many were not.
        """
        parameters = context.parameters
        type_ = actor_type(context.schema, parameters["type"] or None)
        derived = {f.segment for f in context.snapshot.files("texts")}
        segments = [s for s in context.segments if s in derived][-parameters["days"] :]
        window = window_of(context.snapshot, segments, context.embed)
        found = entity_vectors(context.snapshot, type_, window)
        rows = np.flatnonzero(np.linalg.norm(found.own, axis=1) > 0)
        points = Points(np.ascontiguousarray(found.own[rows], np.float64))
        drawn = points.sample(parameters["most_actors"], context.seed)
        near = Points(np.ascontiguousarray(points.values[drawn]))
        kernel = run(backends, context.device, "neighbours", near, k=parameters["k"])
        keys = found.keys.gather(rows[drawn])
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
