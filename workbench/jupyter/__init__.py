"""Magics for notebooks: ``%load_ext workbench`` brings ``%wb``, ``%%ask`` and ``%%wbsql``."""

from __future__ import annotations

from typing import Any

__all__ = ["load_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """Register the magics with an IPython shell."""
    from workbench.jupyter.magics import WorkbenchMagics  # noqa: PLC0415  (only a shell has IPython)

    shell.register_magics(WorkbenchMagics)
