"""How much ingest has to do, and what that means for everything else."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Level", "level_of", "pace"]

_NORMAL, _ELEVATED = 1_000, 10_000


class Level(StrEnum):
    """The load of ingest."""

    NORMAL = "normal"
    ELEVATED = "elevated"
    CRITICAL = "critical"


def level_of(backlog: int) -> Level:
    """Return the level at which so many documents wait for ingest.

    >>> [str(level_of(n)) for n in (0, 1_000, 1_001, 10_000, 10_001)]
    ['normal', 'normal', 'elevated', 'elevated', 'critical']
    """
    if backlog <= _NORMAL:
        return Level.NORMAL
    return Level.ELEVATED if backlog <= _ELEVATED else Level.CRITICAL


def pace(level: Level, priority: str) -> float | None:
    """Return by what the periods of a priority are multiplied at a level; None where it is paused.

    >>> pace(Level.ELEVATED, "P2"), pace(Level.ELEVATED, "P3"), pace(Level.CRITICAL, "P1")
    (2.0, None, 1.0)
    """
    if priority in {"P0", "P1"} or level is Level.NORMAL:
        return 1.0
    return 2.0 if (level, priority) == (Level.ELEVATED, "P2") else None
