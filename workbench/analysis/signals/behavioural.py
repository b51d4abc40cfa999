"""The origin's behavioural signal."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from workbench.analysis.signals.base import Finding, Scope, Signal
from workbench.partials.documents import DAY_US

__all__ = ["Behavioural"]

_DAYS = 7


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
        return Finding(np.clip(1 - cosine, 0.0, 1.0))
