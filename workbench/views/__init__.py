"""Views: one class each, shown in notebooks and in served dashboards alike."""

from __future__ import annotations

from workbench.views.catalog import CatalogView

__all__ = ["CatalogView"]
