"""When members come: by hour and weekday of their own time zones, as seen on a UTC day."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from workbench.samples.gaming.population import ZONES

if TYPE_CHECKING:
    from datetime import date

    from numpy.typing import NDArray

__all__ = ["CHRONOTYPES", "STEPS", "Season", "season", "starts"]

CHRONOTYPES = 3
STEPS = 1024
_BINS = 288  # of a day, five minutes each
_PEAKS = (12.5, 20.5, 23.5)  # hours, by chronotype
_WIDTH = 3.2  # hours
_FLOOR = 0.16  # of what happens at the peak, at least
_WEEKDAYS = np.array([0.94, 0.91, 0.93, 0.97, 1.06, 1.14, 1.05])  # Monday first; mean 1


class Season(NamedTuple):
    """A UTC day as members of each zone and chronotype live it; the slot is ``3 * zone + chronotype``.

    Attributes:
        level: By slot, how many come, relative to an average day.
        times: By slot, the times at which they come: :data:`STEPS` equally likely spans of seconds.
    """

    level: NDArray[np.float32]
    times: NDArray[np.float32]


def season(day: date) -> Season:
    """Return the season of a UTC day."""
    hours = (np.arange(_BINS) + 0.5) * 24 / _BINS
    midnight = datetime.combine(day, time(12), UTC)
    levels, times = [], []
    edges = np.arange(_BINS + 1) * 86_400 / _BINS
    for name, _ in ZONES:
        offset = ZoneInfo(name).utcoffset(midnight) or timedelta()
        local = hours + offset.total_seconds() / 3600
        weekday = (day.weekday() + np.floor(local / 24).astype(int)) % 7
        for peak in _PEAKS:
            distance = np.abs((local - peak + 12) % 24 - 12)
            density = (_FLOOR + np.exp(-0.5 * (distance / _WIDTH) ** 2)) * _WEEKDAYS[weekday]
            mean = (_FLOOR + np.exp(-0.5 * (np.linspace(-12, 12, 481) / _WIDTH) ** 2)).mean()
            levels.append(density.mean() / mean)
            times.append(
                np.interp(
                    np.linspace(0, 1, STEPS + 1),
                    np.concatenate([[0], np.cumsum(density) / density.sum()]),
                    edges,
                )
            )
    return Season(np.array(levels, dtype=np.float32), np.array(times, dtype=np.float32))


def starts(
    rng: np.random.Generator, season: Season, slot: NDArray[np.int8], shift: float = 0.0
) -> NDArray[np.int64]:
    """Return a time for each slot, microseconds after midnight UTC."""
    place = rng.random(len(slot)) * STEPS
    step = place.astype(np.int64)
    before, after = season.times[slot, step], season.times[slot, step + 1]
    seconds = (before + (after - before) * (place - step) + shift) % 86_400
    return (seconds * 1e6).astype(np.int64)
