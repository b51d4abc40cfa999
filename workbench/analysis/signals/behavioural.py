"""The origin's behavioural signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from workbench.analysis.signals.base import Finding, Scope, Signal, evidence
from workbench.partials.documents import DAY_US

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["Behavioural"]

_DAYS = 7
_TELLING = 0.3  # from here on the evidence is looked for


class Behavioural(Signal):
    """1 - cosine of the features of the last 24 hours and their mean over the 7 days before, within [0, 1].

    A zero vector or no history gives 0.
    """

    profile: ClassVar[Literal["classic", "ensemble"]] = "classic"
    weight = 0.3

    def find(self, scope: Scope) -> Finding:
        """Return the signal of each actor."""
        ends = [scope.until - day * DAY_US for day in range(_DAYS + 1)]
        days = [np.nan_to_num(scope.features(end - DAY_US, end).values) for end in ends if end > scope.start]
        if len(days) < 2:
            return Finding(np.zeros(len(scope)))
        now, before = days[0], np.mean(days[1:], axis=0)
        lengths = np.sqrt(np.square(now).sum(1) * np.square(before).sum(1))
        cosine = np.divide((now * before).sum(1), lengths, out=np.ones(len(scope)), where=lengths > 0)
        signal = np.clip(1 - cosine, 0.0, 1.0)
        return Finding(signal, _evidence(scope, now, before, np.flatnonzero(signal >= _TELLING)))


def _evidence(
    scope: Scope, now: NDArray[np.float64], before: NDArray[np.float64], actors: NDArray[np.int64]
) -> pl.DataFrame:
    """Return the feature of each actor that changed most, in units of a count's standard deviation."""
    change = ((now - before) / np.sqrt(before + 1))[actors]
    most = np.abs(change).argmax(1) if len(actors) else np.empty(0, np.int64)
    names = np.array(scope.matrix.names, object)
    counted = np.array([f.source if f.kind == "count" else "" for f in scope.matrix.features], object)
    return evidence(
        actors,
        kind="day",
        feature=names[most],
        source=counted[most],
        value=now[actors, most],
        typical=before[actors, most],
        z=change[np.arange(len(actors)), most],
        since=scope.until - DAY_US,
        until=scope.until,
    )
