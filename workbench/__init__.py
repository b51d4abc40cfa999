"""Event logs to documents, a property graph and continuously computed knowledge, in a notebook.

Nothing heavy is imported here: every name loads its module on first use.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.engine import Engine
    from workbench.opening import demo, open, repair  # noqa: A004  (wb.open is the product's word)
    from workbench.samples.gaming import synth

__all__ = ["Engine", "WorkbenchError", "demo", "open", "repair", "synth"]
_HOMES = {
    "Engine": "workbench.engine",
    "demo": "workbench.opening",
    "open": "workbench.opening",
    "repair": "workbench.opening",
    "synth": "workbench.samples.gaming",
}
__version__ = "0.1.0"

# Arrow's own allocator keeps what is freed, some 200 MB after a day of a million events; the C library's, no
# slower here, gives it back. Arrow reads this once, as it is loaded; a pool that was chosen is left alone.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def load_ipython_extension(shell: Any) -> None:
    """Bring ``%wb``, ``%%ask`` and ``%%wbsql`` into a notebook: ``%load_ext workbench``."""
    importlib.import_module("workbench.jupyter").load_ipython_extension(shell)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'workbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
