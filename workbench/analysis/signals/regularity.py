"""How even the intervals between an actor's events are, as no person's are."""

from __future__ import annotations

import numpy as np

from workbench.analysis.runs import starts
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
        rows, number, spread = _gaps(scope)
        if len(rows) < FEWEST:
            return scope.nothing(f"{len(rows)} actors with enough events are too few to compare")
        spread = np.maximum(spread, _EVEN)
        found = np.full(len(scope), np.nan)
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


def _gaps(scope: Scope) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return actors, their numbers of gaps within visits, and the mean of |log gap - median| of each."""
    limit = scope.counting.visit_us
    events = scope.events
    actor, gap = events["actor"].to_numpy(), np.diff(events["ts"].to_numpy())
    inside = (actor[1:] == actor[:-1]) & (gap >= 1) & (gap <= limit)
    # one sort by actor and gap: events are in order of actors, and the median is in the middle of each's
    bits = limit.bit_length()
    key = actor[1:][inside].astype(np.int64) << bits
    key |= gap[inside]
    key.sort()
    first = starts(key >> bits)
    number = np.diff(first, append=len(key))
    log = np.log(key & ((1 << bits) - 1))
    middle = (log[first + (number - 1) // 2] + log[first + number // 2]) / 2
    log -= np.repeat(middle, number)
    spread = np.add.reduceat(np.minimum(np.abs(log, out=log), _WIDEST, out=log), first) / number
    enough = number >= _FEWEST_GAPS
    return (key[first] >> bits)[enough], number[enough].astype(np.float64), spread[enough]
