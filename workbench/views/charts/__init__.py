"""Charts: the rows of an answer or of knowledge, drawn; live with HoloViews, or as a small static SVG."""

from __future__ import annotations

from workbench.views.charts.live import draw, preload
from workbench.views.charts.static import svg

__all__ = ["draw", "preload", "svg"]
