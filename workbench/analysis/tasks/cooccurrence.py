"""What goes together among the actors."""

from __future__ import annotations

import time
from itertools import combinations_with_replacement
from typing import Any, ClassVar

import polars as pl

from workbench.analysis.activity import event_edges, read_activity
from workbench.analysis.cooccurrence import COOCCURRENCE, cooccurring
from workbench.analysis.tasks.base import Context, Outcome, Task, measured
from workbench.analysis.window import actor_type, period
from workbench.errors import UnknownNameError
from workbench.graph.keys import format_entities

__all__ = ["Cooccurrence"]


class Cooccurrence(Task):
    """Pairs of entities that the same actors have, more often than by chance.

    Which types are paired stands in the feature configuration (``pairs``); by default all that an actor has
    edges to. Source: Dunning 1993; Bouma 2009; spec 5.1.
    """

    priority = "P1"
    period = 300.0
    inputs: ClassVar[tuple[str, ...]] = ("entities", "edges", "sightings")
    facts: ClassVar[tuple[str, ...]] = ("who", "features")
    defaults: ClassVar[dict[str, Any]] = {
        "type": "",
        "lookback_days": 7,
        "min_support": 5,
        "most": 10_000,
        "largest_p": 0.01,
    }

    def run(self, context: Context) -> Outcome:
        """Return a row a pair, the surest first.

        Columns: ``first_type``, ``second_type``, ``first``, ``second``, ``together`` (actors that have
        both), ``first_actors``, ``second_actors``, ``actors``, ``lift``, ``pmi``, ``npmi``, ``g``, ``p``.
        ``p`` is that of one pair; a pair is left out where it times the number of pairs is above
        ``largest_p``, as Bonferroni has it.

        Raises:
            UnknownNameError: If a declared type is not one that actors have edges to.
        """
        begin = time.perf_counter()
        parameters = context.parameters
        type_ = actor_type(context.schema, parameters["type"] or None)
        since, until = period(context.asof, context.segments, parameters["lookback_days"])
        activity = read_activity(
            context.snapshot, context.segments, context.schema, type_, since, until, events_since=until
        )
        types = {end.edge: end.neighbour for end in event_edges(context.schema, type_)}
        edges = activity.by_end(within=True)
        by_type = {
            name: _named(name, [part for (edge, _), part in edges.items() if types[edge] == name])
            for name in dict.fromkeys(types[edge] for edge, _ in edges)
        }
        found, tested = [], 0
        for one, other in _pairs(context, set(types.values())):
            if one in by_type and other in by_type:
                pairs = cooccurring(
                    by_type[one], by_type[other], parameters["min_support"], same=one == other
                )
                tested += pairs.height
                found.append(
                    pairs.select(
                        pl.lit(one).alias("first_type"), pl.lit(other).alias("second_type"), pl.all()
                    )
                )
        empty = pl.DataFrame(schema={"first_type": pl.String(), "second_type": pl.String(), **COOCCURRENCE})
        table = (
            pl.concat([empty, *found])
            .filter(pl.col("p") * tested <= parameters["largest_p"])
            .sort("g", "first", "second", descending=[True, False, False])
        )
        metrics = {"tested": float(tested), "significant": float(table.height)}
        return measured(table.head(parameters["most"]), "co-occurrence", begin, metrics, "polars", "scipy")


def _named(type_: str, parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Return each ``actor`` with the ``name`` of each neighbour of a type, once."""
    had = pl.concat(part.select("actor", "neighbour") for part in parts).unique()
    met = had["neighbour"].unique()
    names = format_entities(pl.Series([type_] * len(met), dtype=pl.String), met.cast(pl.String))
    kind = pl.Enum(names.sort())
    return had.select("actor", name=pl.col("neighbour").replace_strict(met, names.cast(kind)))


def _pairs(context: Context, known: set[str]) -> list[tuple[str, str]]:
    declared = context.features.pairs
    for name in {name for pair in declared for name in pair} - known:
        raise UnknownNameError("neighbour type", name, known, where="pairs of the feature configuration")
    return list(declared) or list(combinations_with_replacement(sorted(known), 2))
