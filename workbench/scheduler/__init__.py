"""Jobs that run again and again in the background, each when what it reads has changed."""

from __future__ import annotations

from workbench.scheduler.job import PRIORITIES, Job
from workbench.scheduler.levels import Level, level_of, pace
from workbench.scheduler.metrics import JobStatus
from workbench.scheduler.scheduler import Scheduler, Status
from workbench.scheduler.statefile import read_status, write_status

__all__ = [
    "PRIORITIES",
    "Job",
    "JobStatus",
    "Level",
    "Scheduler",
    "Status",
    "level_of",
    "pace",
    "read_status",
    "write_status",
]
