"""How even the intervals between an actor's events are, as no person's are."""

from __future__ import annotations

import numpy as np
import polars as pl

from workbench.analysis.signals._alike import among_alike
from workbench.analysis.signals.base import Finding, Scope, Signal, evidence
from workbench.analysis.tails import FEWEST, normal_score, upper_tail

__all__ = ["Regularity"]

_FEWEST_GAPS = 6
_WIDEST = 3.0  # a gap further than e^3 from the median says no more than that
_EVEN = 1e-3


class Regularity(Signal):
    """Gaps between the events of a visit: their mean distance from the median, on a logarithmic scale.

    People pause now briefly, now long; a machine keeps time. Compared is with actors that have about as
    many gaps.
    """

    weight = 0.4

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's evenness; none with fewer than 6 gaps."""
        gaps = _gaps(scope)
        rows = gaps["actor"].to_numpy()
        nothing = np.full(len(scope), np.nan)
        if len(rows) < FEWEST:
            return Finding(nothing, reason=f"{len(rows)} actors with enough events are too few to compare")
        spread = np.maximum(gaps["spread"].to_numpy(), _EVEN)
        number = gaps["number"].to_numpy().astype(np.float64)
        found = nothing.copy()
        found[rows] = upper_tail(among_alike(-np.log(spread), number))
        return Finding(
            found,
            evidence(
                rows,
                kind="regularity",
                feature="evenness of intervals",
                value=100 * spread,
                typical=float(100 * np.median(spread)),
                z=normal_score(found[rows]),
                since=scope.since,
                until=scope.until,
            ),
        )


def _gaps(scope: Scope) -> pl.DataFrame:
    """Return ``actor``, ``number`` of gaps within visits and ``spread``, the mean of |log gap - median|."""
    limit = round(scope.context.features.visit_minutes * 60_000_000)
    gap = pl.col("ts").diff().over("actor")
    logs = (
        scope.activity.events.filter(pl.col("ts") >= scope.since)
        .select("actor", gap.alias("gap"))
        .filter(pl.col("gap").is_between(1, limit))
        .select("actor", pl.col("gap").cast(pl.Float64).log().alias("log"))
    )
    off = (pl.col("log") - pl.col("log").median().over("actor")).abs().clip(0, _WIDEST)
    return (
        logs.select("actor", off.alias("off"))
        .group_by("actor")
        .agg(pl.col("off").mean().alias("spread"), pl.len().alias("number"))
        .filter(pl.col("number") >= _FEWEST_GAPS)
        .sort("actor")
    )
