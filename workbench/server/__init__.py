"""The served dashboards and the REST interface."""

from __future__ import annotations

from workbench.server.access import Access, resolve_access
from workbench.server.app import serve

__all__ = ["Access", "resolve_access", "serve"]
