"""What a job is: something to run, how urgent it is, how often, and what it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["PRIORITIES", "Job", "in_order"]

PRIORITIES = ("P0", "P1", "P2", "P3")


@dataclass(frozen=True)
class Job:
    """Something that is run again and again.

    Attributes:
        name: Unique among the jobs of a scheduler.
        run: Does it, with the run's seed; what it returns is no matter.
        priority: ``P0`` belongs to ingest, ``P1`` may always run, ``P2`` and ``P3`` yield to ingest.
        period: Seconds between the starts of two runs, at least.
        inputs: Returns a hash of what it reads: it is not run again while that stays the same. Without
            it, it runs whenever its period has passed.
        after: Jobs that must have run before it does.

    >>> Job("sweep", run=lambda seed: None, priority="P3", period=60.0).name
    'sweep'
    """

    name: str
    run: Callable[[int], object]
    priority: str = "P2"
    period: float = 60.0
    inputs: Callable[[], str] | None = None
    after: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that it can be."""
        if self.priority not in PRIORITIES:
            raise UnknownNameError("priority", self.priority, PRIORITIES, where=self.name)
        if self.period < 0:
            raise UsageError(f"the period of job {self.name!r} is {self.period:g} s, below 0.")


def in_order(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs so that the more urgent come first.

    Raises:
        UsageError: If two have the same name, or they wait for one another.
        UnknownNameError: If one waits for a job that there is not.
    """
    by_name = {job.name: job for job in jobs}
    if len(by_name) < len(jobs):
        twice = next(job.name for job in jobs if by_name[job.name] is not job)
        raise UsageError(f"two jobs are called {twice!r}.")
    for job in jobs:
        for name in job.after:
            if name not in by_name:
                raise UnknownNameError("job", name, by_name, where=job.name)
    _require_no_circle(by_name)
    return sorted(jobs, key=lambda job: (job.priority, job.period, job.name))


def _require_no_circle(jobs: dict[str, Job]) -> None:
    left = {name: set(job.after) for name, job in jobs.items()}
    while free := {name for name, waits in left.items() if not waits}:
        left = {name: waits - free for name, waits in left.items() if name not in free}
    if left:
        raise UsageError(f"these jobs wait for one another: {', '.join(sorted(left))}.")
