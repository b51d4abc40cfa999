"""How views look: one style sheet, light and dark by the page, and small pieces of markup."""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.progress import Update

__all__ = ["alert", "dark", "fragment", "loading", "style", "told"]


@cache
def style() -> str:
    """Return the style sheet of all views."""
    return Path(__file__).with_name("views.css").read_text(encoding="utf-8")


def fragment(markup: str) -> str:
    """Return markup, escaped already, as one element that brings its style."""
    return f'<div class="wb-view"><style>{style()}</style>{markup}</div>'


def alert(message: str) -> str:
    """Return what went wrong, read out at once by screen readers."""
    return f'<div class="alert" role="alert">{escape(message)}</div>'


def loading(message: str) -> str:
    """Return that something is on its way, read out when the reader is idle."""
    return f'<p class="soft" role="status" aria-live="polite"><i class="spin"></i>{escape(message)}</p>'


def dark() -> bool:
    """Return whether Panel was told that the page is dark; otherwise drawings suit both."""
    import panel as pn  # noqa: PLC0415  (heavy)

    return bool(pn.config.theme == "dark")


def told(update: Update) -> str:
    """Return how far work is, in words; where nothing is counted, what is being done.

    >>> from workbench.progress import Update
    >>> told(Update("ingest", 3, 10, "files")), told(Update("Reading the catalog", 0, 0, ""))
    ('ingest: 3 of 10 files', 'Reading the catalog …')
    """
    if not update.unit:
        return f"{update.task} …"
    total = f" of {update.total:,}" if update.total else ""
    return f"{update.task}: {update.done:,}{total} {update.unit}"
