"""Tasks: one file each, found like every other driver."""

from __future__ import annotations

from workbench.analysis.tasks.base import Context, Outcome, Task
from workbench.registry import Registry

__all__ = ["Context", "Outcome", "Task", "tasks"]

tasks: Registry[Task] = Registry("task", "workbench.analysis.tasks", Task)
