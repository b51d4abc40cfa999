"""Analysis: tasks that turn the window into knowledge, by way of the compute backends."""

from __future__ import annotations

from workbench.analysis.execute import earlier_run, execute, input_hash
from workbench.analysis.tasks import Context, Outcome, Task, tasks

__all__ = ["Context", "Outcome", "Task", "earlier_run", "execute", "input_hash", "tasks"]
