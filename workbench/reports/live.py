"""In the kernel of a template: what a cell shows is drawn as a report draws it."""

from __future__ import annotations

from typing import Any

from workbench.tabular import Tabular

__all__ = ["begin"]

PROVENANCE = "workbench"


def begin(shell: Any) -> None:
    """Let an IPython shell show tables, answers, views and HoloViews elements as parts of a report."""
    formatter = shell.display_formatter.ipython_display_formatter
    formatter.for_type(Tabular, _show)
    formatter.for_type_by_name("holoviews.core.dimension", "Dimensioned", _show)


def _show(part: Any) -> None:
    from IPython.display import display  # noqa: PLC0415  (only a kernel has it)

    from workbench.reports.parts import draw_part  # noqa: PLC0415  (after the kernel has started)

    drawn = draw_part(part, "UTC")
    shown = {"text/html": drawn.to_html(), "text/plain": repr(part)}
    display(shown, metadata={PROVENANCE: drawn.provenance}, raw=True)
