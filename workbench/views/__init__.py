"""Views: one file each, found like every other driver, shown in notebooks and in served pages alike."""

from __future__ import annotations

from workbench.registry import Registry
from workbench.views.base import Job, View
from workbench.views.catalog import CatalogView
from workbench.views.selection import Selection

__all__ = ["CatalogView", "Job", "Selection", "View", "views"]

views: Registry[View] = Registry("view", "workbench.views", View, shared=("charts", "selection"))
