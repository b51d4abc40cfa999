"""Names of what trends measure beside the events of a type."""

from __future__ import annotations

import polars as pl

__all__ = [
    "CLUSTERS",
    "COMMUNITIES",
    "DISTINCT",
    "NEW",
    "SHARE",
    "SIZE",
    "is_level",
    "is_of_entities",
    "is_of_knowledge",
    "may_have_no_series",
]

DISTINCT = "distinct "
NEW = "new "
SHARE = "share of "
COMMUNITIES = "number of communities"
CLUSTERS = "number of clusters"
SIZE = "size of cluster "


def is_of_knowledge(metric: pl.Expr) -> pl.Expr:
    """Return whether metrics are about results of compute.

    >>> pl.select(is_of_knowledge(pl.lit("size of cluster 3"))).item()
    True
    """
    return metric.is_in([COMMUNITIES, CLUSTERS]) | metric.str.starts_with(SIZE)


def is_of_entities(metric: pl.Expr) -> pl.Expr:
    """Return whether metrics count the entities of a type."""
    return metric.str.starts_with(DISTINCT) | metric.str.starts_with(NEW)


def may_have_no_series(metric: str) -> bool:
    """Return whether a metric is one whatever events there are: of entities, or of what compute finds.

    >>> may_have_no_series("number of clusters"), may_have_no_series("Departure")
    (True, False)
    """
    named = pl.lit(metric)
    return bool(pl.select(is_of_entities(named) | is_of_knowledge(named)).item())


def is_level(metric: pl.Expr) -> pl.Expr:
    """Return whether metrics say how many there are on a day: over several days their mean counts, no sum."""
    return metric.str.starts_with(DISTINCT) | is_of_knowledge(metric)
