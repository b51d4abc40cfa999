"""Plans: what a question means, checked, run and answered (spec 6.2).

Nothing is imported here until a name is used, so that a planner can be written without the executor.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.plans.model import Plan, plan_json_schema

__all__ = ["Plan", "plan_json_schema"]

_HOME = {
    "Plan": "workbench.plans.model",
    "plan_json_schema": "workbench.plans.model",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'workbench.plans' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
