"""What is known of a job: how often it ran, how long it took, what went wrong, how old its result is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["JobStatus", "Record", "State", "percentile"]

State = Literal["running", "current", "due", "paused", "waiting", "failing", "new"]

_KEPT = 256
_FIRST_WAIT, _LONGEST_WAIT = 5.0, 3600.0


@dataclass(frozen=True)
class JobStatus:
    """A job as it is now.

    Attributes:
        name: The job.
        priority: Its priority.
        period: Seconds between two runs, at least.
        state: ``running``; ``current``, its result is of what is there; ``due``, it runs as soon as its
            period has passed and there is room; ``paused`` by the load of ingest; ``waiting`` for another
            job; ``failing``, its last run failed; ``new``, it has not run yet.
        why: What it waits for, or why it is paused.
        runs: How often it ran to its end.
        failures: How often it failed.
        error: What went wrong last; empty once it has run to its end again.
        seconds: Median and 95th percentile of the time that its last runs took, and the longest.
        last_seconds: How long its last run took, which may have failed.
        last_run: When its last run to the end began, ISO 8601 in UTC.
        stale_seconds: For how long what it reads has been another than its result knows; 0 where it is
            current, None where it cannot be said.
        seed: The seed of its last run.
    """

    name: str
    priority: str
    period: float
    state: State
    why: str
    runs: int
    failures: int
    error: str
    seconds: tuple[float, float, float]
    last_seconds: float
    last_run: str
    stale_seconds: float | None
    seed: int

    @property
    def red(self) -> bool:
        """Return whether its last run failed."""
        return bool(self.error)


@dataclass
class Record:
    """What a scheduler notes of a job, by its own clock."""

    runs: int = 0
    failures: int = 0
    in_a_row: int = 0
    error: str = ""
    blind: str = ""  # why it cannot be said what it reads
    running: bool = False
    begun: float | None = None
    began_at: datetime | None = None
    finished_at: datetime | None = None
    inputs: str | None = None
    seen: str | None = None
    changed: float | None = None
    retry: float = 0.0
    seed: int = 0
    last_seconds: float = 0.0
    wanted_since: float | None = None
    durations: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def notice(self, inputs: str | None, now: float) -> None:
        """Note what the job would read now."""
        self.seen, self.blind = inputs, ""
        if self.is_current:
            self.changed = None
        elif self.changed is None:
            self.changed = now

    @property
    def is_current(self) -> bool:
        """Return whether the last result is of what is there; never so of a job that names no inputs."""
        return self.runs > 0 and self.seen is not None and self.seen == self.inputs

    def begin(self, now: float, at: datetime, seed: int) -> None:
        """Note the start of a run."""
        self.running, self.begun, self.began_at, self.seed = True, now, at, seed
        self.wanted_since = None

    def succeed(self, inputs: str | None, now: float) -> None:
        """Note that the run that began with these inputs has reached its end."""
        self._end(now)
        self.durations.append(self.last_seconds)
        self.running, self.error, self.in_a_row = False, "", 0
        self.runs += 1
        self.finished_at, self.inputs = self.began_at, inputs
        self.changed = None if self.is_current or self.seen is None else now

    def fail(self, error: str, now: float) -> None:
        """Note that the run has failed; each time in a row it rests twice as long."""
        self._end(now)
        self.running, self.error = False, error
        self.failures += 1
        self.in_a_row += 1
        self.retry = now + min(_FIRST_WAIT * 2.0 ** (self.in_a_row - 1), _LONGEST_WAIT)

    def _end(self, now: float) -> None:
        self.last_seconds = now - (now if self.begun is None else self.begun)

    def stale(self, now: float) -> float | None:
        """Return for how long the result has been behind its inputs."""
        if self.seen is None:
            return None
        return 0.0 if self.changed is None else now - self.changed

    @property
    def seconds(self) -> tuple[float, float, float]:
        """Return median, 95th percentile and maximum of the last durations."""
        durations = sorted(self.durations)
        return percentile(durations, 0.5), percentile(durations, 0.95), percentile(durations, 1.0)


def percentile(values: list[float], share: float) -> float:
    """Return the smallest of sorted values that ``share`` of them do not exceed; 0 of none.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5), percentile([], 0.5)
    (2.0, 0.0)
    """
    if not values:
        return 0.0
    return values[max(0, -int(-share * len(values) // 1) - 1)]
