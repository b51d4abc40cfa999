"""Whether each actor comes at other hours of the day than it used to."""

from __future__ import annotations

import numpy as np
import polars as pl

from workbench.analysis.signals.base import Finding, Scope, Signal, evidence
from workbench.analysis.tails import FEWEST, normal_score, upper_tail
from workbench.analysis.tally import HOUR_US, HOURS

__all__ = ["Rhythm"]

_SHOWN = 3  # hours that are named together
_WIDTH = 1.5  # hours, of the kernel
_PRIOR = 4.0  # visits at everybody's hours
_FEWEST_BEFORE, _FEWEST_NOW = 6, 2
_SHRINK = 5.0  # visits of everybody's variance


class Rhythm(Signal):
    """How much less likely the hours of an actor's visits are by its own past than that past's own were.

    The past is a smoothed density over the local day, an actor's own beside everybody's; a visit's
    likelihood is the logarithm of the two densities' ratio. Each past visit is judged by the others, so that
    one whose hours are all over the day surprises nobody.
    """

    weight = 0.4

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's shift; none with few visits."""
        before, now = _visits(scope)
        everyone = before.sum(0) + 1
        known = np.flatnonzero(before.sum(1) >= _FEWEST_BEFORE)
        before, now = before[known], now[known]
        enough = now.sum(1) >= _FEWEST_NOW
        if enough.sum() < FEWEST:
            return scope.nothing("too few visits to know hours by")
        surprise, expected = _surprise(before, now, everyone)
        chosen = known[enough]
        tail = np.full(len(scope), np.nan)
        tail[chosen] = upper_tail(surprise[enough])
        now, expected = now[enough], expected[enough]
        first = _in_turn(now - expected).argmax(1)
        rows = np.arange(len(chosen))
        hours = np.array([f"{h:02}:00-{(h + _SHOWN - 1) % HOURS + 1:02}:00" for h in range(HOURS)], object)
        told = evidence(
            chosen,
            kind="rhythm",
            feature="hours of visits",
            source=hours[first],
            value=_in_turn(now)[rows, first],
            typical=_in_turn(expected)[rows, first],
            z=normal_score(tail[chosen]),
            since=scope.since,
            until=scope.until,
        )
        return Finding(tail, told)


def _in_turn(hours: np.ndarray) -> np.ndarray:
    """Return the sums over each hour and the next two; the day is a circle."""
    found: np.ndarray = sum(np.roll(hours, -step, axis=1) for step in range(_SHOWN))  # type: ignore[assignment]
    return found


def _surprise(before: np.ndarray, now: np.ndarray, everyone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return by how many standard deviations the present is less likely, and what is expected.

    Args:
        before: Visits of the past by hour, a row an actor.
        now: Those of the present.
        everyone: Those of the past of all actors together.
    """
    away = np.minimum(np.arange(HOURS), HOURS - np.arange(HOURS))
    kernel = np.exp(-0.5 * np.square(away / _WIDTH))
    kernel /= kernel.sum()
    smooth = np.stack([np.roll(kernel, hour) for hour in range(HOURS)])
    past, present = before.sum(1, keepdims=True), now.sum(1, keepdims=True)
    everyone = everyone @ smooth
    everyone /= everyone.sum()
    smoothed = before @ smooth + _PRIOR * everyone
    own = smoothed / (past + _PRIOR)
    others = (smoothed - kernel[0]) / np.maximum(past - 1 + _PRIOR, 1)
    told, told_past = (np.log(np.maximum(part, 1e-6) / everyone) for part in (own, others))
    usual = (before * told_past).sum(1) / np.maximum(past[:, 0], 1)
    spread = (before * np.square(told_past - usual[:, None])).sum(1)
    known = past[:, 0] >= 2 * _FEWEST_BEFORE
    common = spread[known].sum() / max(past[known].sum(), 1.0) if known.any() else 1.0
    variance = (spread + _SHRINK * common) / (past[:, 0] + _SHRINK)
    seen = (now * told).sum(1) / np.maximum(present[:, 0], 1)
    error = np.sqrt(variance * (1 / np.maximum(present[:, 0], 1) + 1 / np.maximum(past[:, 0], 1)))
    return (usual - seen) / np.maximum(error, 1e-9), own * present


def _visits(scope: Scope) -> tuple[np.ndarray, np.ndarray]:
    """Return the visits that begin in each hour of the local day, in the history and in the period."""
    begins = scope.tally.hourly.filter(pl.col("visits") > 0)
    actor, local, hour, visits = (begins[c].to_numpy() for c in ("actor", "local", "hour", "visits"))
    now = hour >= scope.since // HOUR_US
    places = (now * np.int64(len(scope)) + actor) * HOURS + local
    found = np.bincount(places, visits, 2 * len(scope) * HOURS).reshape(2, len(scope), HOURS)
    return found[0], found[1]
