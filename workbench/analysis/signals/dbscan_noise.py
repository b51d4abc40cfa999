"""The origin's density signal."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from workbench.analysis.signals.base import Finding, Scope, Signal

__all__ = ["DbscanNoise"]


class DbscanNoise(Signal):
    """The part of an actor's events that are noise among the vectors of all events' texts.

    DBSCAN with cosine distance 0.3 and 5 points, equal texts once with their number.
    """

    profile: ClassVar[Literal["classic", "ensemble"]] = "classic"
    weight = 0.3

    def find(self, scope: Scope) -> Finding:
        """Return nothing yet: the window holds no vectors of events."""
        return Finding(np.full(len(scope), np.nan), reason="the window has no vectors of events")
