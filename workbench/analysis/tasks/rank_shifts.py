"""Who rose and who fell in the ranks."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import polars as pl

from workbench.analysis.stable import at_the_end, before
from workbench.analysis.tasks.base import Context, Outcome, Task, measured
from workbench.analysis.tasks.pagerank import PageRank

__all__ = ["RankShifts"]


class RankShifts(Task):
    """How the places of entities among those of their type differ from the run before; spec 5.1."""

    after: ClassVar[tuple[str, ...]] = ("pagerank",)
    defaults: ClassVar[dict[str, Any]] = {"most_places": 1_000}

    def run(self, context: Context) -> Outcome:
        """Return a row an entity, those that moved most first.

        Columns: ``entity``, ``type``, ``key``, ``place``, ``place_before`` (each among its type's; null:
        not there), ``shift`` (places gained), ``rank``, ``rank_before`` and ``change``: ``rose``, ``fell``,
        ``same``, ``new`` or ``gone``. Only those of the first ``most_places`` of a type, now or before.
        """
        begin = time.perf_counter()
        most = context.parameters["most_places"]
        ranks = context.with_parameters(PageRank.complete({}))
        known = at_the_end(ranks, "pagerank")
        now = _places(known.table if known else PageRank().run(ranks).table)
        earlier = before(ranks, "pagerank")
        old = _places(earlier.table) if earlier else now.clear()
        table = now.join(old, on=["entity", "type", "key"], how="full", coalesce=True, suffix="_before")
        within = (pl.col("place") <= most) | (pl.col("place_before") <= most)
        shift = pl.col("place_before") - pl.col("place")
        change = (
            pl.when(pl.col("place").is_null())
            .then(pl.lit("gone"))
            .when(pl.col("place_before").is_null())
            .then(pl.lit("new"))
            .when(shift > 0)
            .then(pl.lit("rose"))
            .when(shift < 0)
            .then(pl.lit("fell"))
            .otherwise(pl.lit("same"))
        )
        columns = ("entity", "type", "key", "place", "place_before", "shift", "rank", "rank_before", "change")
        table = (
            table.filter(within.fill_null(value=False))
            .with_columns(shift.alias("shift"), change.alias("change"))
            .select(columns)
            .sort(pl.col("shift").abs(), "entity", descending=[True, False], nulls_last=True)
        )
        counts = {
            f"{name}": float((table["change"] == name).sum()) for name in ("rose", "fell", "new", "gone")
        }
        return measured(table, "rank shifts", begin, counts, "polars")


def _places(table: Any) -> pl.DataFrame:
    return pl.DataFrame(table).select("entity", "type", "key", "rank", place="place_in_type")
