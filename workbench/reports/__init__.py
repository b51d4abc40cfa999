"""Reports: answers, tables, views, charts and text as one HTML file that needs no network (spec 7.5)."""

from __future__ import annotations

from workbench.reports.report import Report

__all__ = ["Report"]
