"""The served dashboards."""

from __future__ import annotations

from workbench.server.app import serve

__all__ = ["serve"]
