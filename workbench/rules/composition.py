"""Compositions: and, or, not over signals and features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import UsageError
from workbench.rules.trend import worst
from workbench.rules.verdict import Verdict, compare, figure

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from workbench.config.anomaly_rule import Condition
    from workbench.rules.scene import Scene
    from workbench.rules.trend import Series

__all__ = ["composition"]


def composition(scene: Scene, wanted: Condition, series: Callable[[], Series]) -> Verdict:
    """Return for whom a condition holds; ``value`` is that of its first signal or feature.

    Args:
        scene: The subjects.
        wanted: The condition.
        series: Returns the series, for the signal ``trend``.

    Raises:
        UsageError: If a signal that it needs is not available here.
    """
    if wanted.not_ is not None:
        inner = composition(scene, wanted.not_, series)
        return Verdict(~inner.hit, inner.value, inner.limit, lambda _: "")  # what is not needs no words
    if parts := wanted.and_ or wanted.or_:
        verdicts = [composition(scene, part, series) for part in parts]
        joined = np.logical_and if wanted.and_ else np.logical_or
        hit = joined.reduce([verdict.hit for verdict in verdicts])
        value, limit = verdicts[-1].value, verdicts[-1].limit
        for verdict in verdicts[-2::-1]:  # of the first that holds
            value, limit = (
                np.where(verdict.hit, ours, theirs)
                for ours, theirs in ((verdict.value, value), (verdict.limit, limit))
            )

        def reason(row: int) -> str:
            return ", and ".join(said for v in verdicts if v.hit[row] and (said := v.reason(row)))

        return Verdict(hit, value, limit, reason, verdicts[0].event_type)
    return _leaf(scene, wanted, series)


def _leaf(scene: Scene, wanted: Condition, series: Callable[[], Series]) -> Verdict:
    limit = wanted.threshold or 0.0
    if wanted.feature is not None:
        feature = scene.feature(wanted.feature)
        values = np.where(scene.events > 0, scene.values(wanted.feature), np.nan)
        event_type, told = (feature.source if feature.kind == "count" else ""), feature.text

        def reason(row: int) -> str:
            return f"{figure(values[row])} {told}"
    else:
        values, event_type = _signal(scene, wanted, series), ""

        def reason(row: int) -> str:
            said = f"{wanted.signal} {figure(values[row])}"
            if wanted.signal == "z_score":
                name, z = scene.strongest(row)
                said += f" ({name} {z:+.1f})"
            return said

    hit = compare(values, wanted.operator, limit)
    return Verdict(hit, values, np.full(len(scene), limit), reason, event_type)


def _signal(scene: Scene, wanted: Condition, series: Callable[[], Series]) -> NDArray[np.float64]:
    if wanted.signal == "trend":
        z = worst(series(), wanted.metric, scene.since, scene.until)
        return np.where(scene.events > 0, z, np.nan)
    values, missing = scene.signal(str(wanted.signal))
    if missing:
        raise UsageError(f"the signal {wanted.signal} is not available: {missing}.")
    return values
