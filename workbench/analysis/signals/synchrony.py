"""Whether an actor keeps meeting the same others at the same place and time."""

from __future__ import annotations

import numpy as np
import polars as pl

from workbench.analysis.signals._alike import in_company
from workbench.analysis.signals._pairs import codes
from workbench.analysis.signals._several import Several
from workbench.analysis.signals.base import Finding, Scope, Signal
from workbench.analysis.tails import FEWEST, SMALLEST, upper_tail

__all__ = ["Synchrony"]

_MINUTES = 5
_MINUTE_US = 60_000_000
_DAY_MINUTES = 1440
_EVENING = 2.0  # how much busier than a day's mean the time is in which most come


class Synchrony(Signal):
    """Meetings with the same others at the same neighbours within five minutes, on several days.

    A meeting counts by how improbable it is: at a neighbour to which many come all day, to meet somebody
    is nothing. A pair's first meeting is chance and does not count.
    """

    weight = 0.5

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's meetings."""
        found = Several(scope, "synchrony")
        active = scope.matrix.events > 0
        for end, edges in scope.met.items():
            if active.sum() < FEWEST:
                continue
            met = _repeated(edges, scope.since)
            found.add(
                _rarity(met["surprise"].to_numpy(), active.sum()),
                met["actor"].to_numpy(),
                np.where(active, 1.0, np.nan),
                feature=f"days of {end.edge} in company",
                source=end.edge,
                other=met["neighbour"],
                value=met["days"],
                typical=1.0,
            )
        return found.smallest("no edge type of events")


def _rarity(surprise: np.ndarray, active: int) -> np.ndarray:
    """Return the probability of meetings as surprising: of any again, and that they are no more so.

    A surprise is as rare as it says. Where many met again, their bulk says so, too.
    """
    rarity = np.exp(-surprise)
    if len(surprise) >= FEWEST:
        rarity = np.maximum(rarity, upper_tail(surprise))
    found: np.ndarray = np.maximum(rarity * len(surprise) / active, SMALLEST)
    return found


def _visitors(edges: pl.DataFrame) -> np.ndarray:
    """Return how many came to each edge's neighbour on its day."""
    neighbour, day = codes(edges), edges["day"].to_numpy()
    by_day = np.argsort(day, kind="stable")
    found = np.empty(len(day), np.int32)
    for rows in np.split(by_day, np.flatnonzero(np.diff(day[by_day])) + 1):
        met = neighbour[rows]
        found[rows] = np.bincount(met)[met]
    return found


def _repeated(edges: pl.DataFrame, since: int) -> pl.DataFrame:
    """Return ``actor``, ``surprise`` of repeated meetings, most ``days`` and ``neighbour``.

    Those count that met on several days, and again since a time.
    """
    window = _MINUTES * _MINUTE_US
    chance = pl.Series("chance", _visitors(edges) * (_EVENING * 2 * _MINUTES / _DAY_MINUTES))
    rare = edges.select("actor", "neighbour", "day", "first", chance).filter(chance < 1)
    came = in_company(rare, window).select(
        "actor",
        "neighbour",
        "day",
        pl.col("first").alias("ts"),
        (-pl.col("chance").log()).alias("surprise"),
        (pl.col("first") // window).alias("turn"),
    )
    both = pl.concat([came, came.with_columns(pl.col("turn") + 1)])
    others = both.select("neighbour", "turn", other="actor", then="ts")
    pairs = (
        both.join(others, on=["neighbour", "turn"])
        .filter((pl.col("actor") != pl.col("other")) & ((pl.col("ts") - pl.col("then")).abs() < window))
        .unique(["actor", "other", "neighbour", "day"])
        .filter(pl.len().over("actor", "other") > 1)  # nearly all meet once
        .sort("actor", "other", "day", "neighbour")
        .group_by("actor", "other", maintain_order=True)
        .agg(
            (pl.col("surprise").sum() - pl.col("surprise").max()).alias("surprise"),
            pl.col("day").n_unique().alias("days"),
            pl.col("neighbour").mode().min(),
            pl.col("ts").max().alias("last"),
        )
        .filter((pl.col("days") > 1) & (pl.col("last") >= since))
    )
    return (
        pairs.sort("actor", "surprise", "other", descending=[False, True, False])
        .group_by("actor", maintain_order=True)
        .agg(
            pl.col("surprise").sum(),
            pl.col("days").max(),
            pl.col("neighbour").first(),
        )
    )
