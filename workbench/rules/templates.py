"""The templates that are about one subject's features: spike, threshold, absence, drift."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from workbench.analysis.activity import from_us
from workbench.config.schedule import span_text
from workbench.rules.clusters import cluster_of
from workbench.rules.verdict import Verdict, compare, figure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.config.anomaly_rule import Absence, Drift, Spike, Threshold
    from workbench.rules.scene import Scene

__all__ = ["absence", "drift", "spike", "threshold"]

_COUNTED = frozenset({"count", "distinct", "visits"})
_MIXED = frozenset({"count", "distinct"})
_BASELINES = {
    "own_history": "its usual",
    "population_mean": "the mean of all",
    "cluster_centroid": "its cluster's mean",
}


def spike(scene: Scene, wanted: Spike) -> Verdict:
    """Return who has many times the baseline of a feature; of counts a baseline below 1 is taken for 1."""
    feature = scene.feature(wanted.feature)
    values = scene.values(wanted.feature)
    base, samples = _baseline(scene, wanted, values)
    base = np.where(samples >= wanted.min_samples, base, np.nan)
    if feature.kind in _COUNTED:
        base = np.maximum(base, 1.0)
    limit = np.where(base > 0, base * wanted.multiplier, np.nan)
    told, period = _BASELINES[wanted.baseline], span_text(scene.lookback)

    def reason(row: int) -> str:
        times = values[row] / base[row]
        return (
            f"{figure(values[row])} {feature.text} in {period}, {figure(times)} times {told} "
            f"of {figure(base[row])}"
        )

    event_type = feature.source if feature.kind == "count" else ""
    return Verdict(compare(values, ">=", limit), values, limit, reason, event_type)


def _baseline(
    scene: Scene, wanted: Spike, values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the baseline of each subject and how many samples it is made of."""
    if wanted.baseline == "own_history":
        before = scene.before(wanted.feature)
        known = np.isfinite(before)
        number = known.sum(axis=0)
        total = np.where(known, before, 0.0).sum(axis=0)
        return np.divide(total, number, out=np.full(len(total), np.nan), where=number > 0), number
    active = (scene.events > 0) & np.isfinite(values)
    group = (
        cluster_of(scene) if wanted.baseline == "cluster_centroid" else np.zeros(len(scene), dtype=np.int64)
    )
    frame = pl.DataFrame({"group": group, "value": np.where(active, values, 0.0), "active": active})
    sums = frame.with_columns(
        pl.col("value").sum().over("group").alias("sum"), pl.col("active").sum().over("group").alias("n")
    )
    total, number = sums["sum"].to_numpy(), sums["n"].to_numpy().astype(np.float64)
    number = np.where(group < 0, 0.0, number)
    return np.divide(total, number, out=np.full(len(total), np.nan), where=number > 0), number


def threshold(scene: Scene, wanted: Threshold) -> Verdict:
    """Return who is beyond a value, of those who did anything in the period."""
    feature = scene.feature(wanted.feature)
    values = np.where(scene.events > 0, scene.values(wanted.feature), np.nan)

    def reason(row: int) -> str:
        return (
            f"{figure(values[row])} {feature.text} in {span_text(scene.lookback)} "
            f"({wanted.operator} {figure(wanted.value)})"
        )

    event_type = feature.source if feature.kind == "count" else ""
    limit = np.full(len(scene), wanted.value)
    return Verdict(compare(values, wanted.operator, wanted.value), values, limit, reason, event_type)


def absence(scene: Scene, wanted: Absence) -> Verdict:
    """Return who had more than the threshold of a feature before and has no more of it now."""
    feature = scene.feature(wanted.feature)
    values = scene.values(wanted.feature)
    before = np.nan_to_num(scene.before(wanted.feature)).max(axis=0, initial=0.0)
    hit = compare(np.nan_to_num(values), "<=", wanted.threshold) & (before > wanted.threshold)
    last = np.full(len(scene), -1)
    chosen = pl.col("event_type") == feature.source if feature.kind == "count" else pl.lit(True)
    seen = scene.activity.events.filter(chosen).group_by("actor").agg(pl.col("ts").max())
    last[seen["actor"].to_numpy()] = seen["ts"].to_numpy()

    def reason(row: int) -> str:
        day = from_us(int(last[row])).astimezone(ZoneInfo(scene.world.timezone)).date()
        seen = f", the last on {day}" if last[row] >= 0 else ""
        return (
            f"{figure(values[row])} {feature.text} in {wanted.lookback_days} days, "
            f"up to {figure(before[row])} in as many days before{seen}"
        )

    return Verdict(hit, np.nan_to_num(values), np.full(len(scene), wanted.threshold), reason)


def drift(scene: Scene, wanted: Drift) -> Verdict:
    """Return whose mixture of features is far from the mean of the periods before."""
    names = wanted.features or tuple(n for n, f in scene.features.items() if f.kind in _MIXED)
    now = np.stack([np.nan_to_num(scene.values(name)) for name in names], axis=1)
    before = np.stack([scene.before(name) for name in names], axis=2)
    known = np.isfinite(before).any(axis=2)
    number = known.sum(axis=0)
    mean = np.nan_to_num(before).sum(axis=0) / np.maximum(number, 1)[:, None]
    lengths = np.sqrt(np.square(now).sum(1) * np.square(mean).sum(1))
    cosine = np.divide((now * mean).sum(1), lengths, out=np.full(len(scene), np.nan), where=lengths > 0)
    distance = np.clip(1 - cosine, 0.0, 1.0)
    enough = (number >= wanted.min_samples) & (scene.events >= wanted.min_events)
    distance = np.where(enough, distance, np.nan)

    def reason(row: int) -> str:
        share, usual = now[row] / now[row].sum(), mean[row] / mean[row].sum()
        most = int(np.abs(share - usual).argmax())
        return (
            f"its mixture is {figure(distance[row])} from that of {number[row]} periods before: "
            f"{share[most]:.0%} of it {scene.features[names[most]].text} instead of {usual[most]:.0%}"
        )

    limit = np.full(len(scene), wanted.threshold)
    return Verdict(compare(distance, ">=", wanted.threshold), distance, limit, reason)
