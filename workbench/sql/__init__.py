"""``db.sql``: one SELECT at a time over the workspace's tables, in a locked-down DuckDB of its own process.

Nothing is imported here until a name is used, so that the worker process starts without the parent's side.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.sql.result import Result
    from workbench.sql.session import SqlSession, View

__all__ = ["Result", "SqlSession", "View"]

_HOME = {
    "Result": "workbench.sql.result",
    "SqlSession": "workbench.sql.session",
    "View": "workbench.sql.session",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'workbench.sql' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
