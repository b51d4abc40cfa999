"""Small pieces of HTML; every function takes plain text and escapes it, unless it says otherwise."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from workbench.catalog import words
from workbench.tabular import cell_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workbench.catalog.model import Series

__all__ = ["Cell", "bars", "chips", "heading", "left_out", "meter", "picks", "series", "table", "text"]

Cell = tuple[str, str]
"""A cell: its markup, made already, and its class."""

_PLAIN = ZoneInfo("UTC")  # of texts, in which no time is shown


def text(value: object) -> str:
    """Return a stranger's value as markup on one line, at most 60 characters, shortened visibly."""
    return escape(cell_text(value, _PLAIN))


def heading(title: str, note: str = "") -> str:
    """Return a section's heading."""
    return f"<h3>{escape(title)}{f' <small>{escape(note)}</small>' if note else ''}</h3>"


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table; a column is headed in the class of its cells."""
    body = [list(row) for row in rows]
    classes = [style for _, style in body[0]] if body else [""] * len(head)
    top = "".join(
        _cell("th", (escape(n), s if s == "number" else "")) for n, s in zip(head, classes, strict=True)
    )
    lines = "".join(f"<tr>{''.join(_cell('td', cell) for cell in row)}</tr>" for row in body)
    drawn = f"<thead><tr>{top}</tr></thead><tbody>{lines}</tbody>"
    return f'<div class="scroll"><table class="wb">{drawn}</table></div>'


def _cell(tag: str, cell: Cell) -> str:
    markup, style = cell
    return f'<{tag} class="{style}">{markup}</{tag}>' if style else f"<{tag}>{markup}</{tag}>"


def left_out(total: int, shown: int, thing: str) -> str:
    """Return how many were left out, or nothing."""
    if total <= shown:
        return ""
    return f'<p class="soft">and {words.quantity(total - shown, f"more {thing}")}; all are in to_json()</p>'


def meter(value: float, *, lack: bool = False) -> str:
    """Return a share as a bar with its figure."""
    style = "meter lack" if lack else "meter"
    width = f"{100 * min(1.0, value):.1f}"
    return f'<span class="{style}"><i style="width:{width}%"></i></span>{escape(words.share(value))}'


def chips(pairs: Iterable[tuple[str, str]], style: str = "") -> str:
    """Return words as small boxes, each with a note or none."""
    return "".join(
        f'<span class="chip {style}">{text(word)}{f"<i>{escape(note)}</i>" if note else ""}</span>'
        for word, note in pairs
    )


def picks(entities: Iterable[tuple[str, str, str]]) -> str:
    """Return entities (``type:key``, word, note) as small boxes that a view can let one select."""
    return "".join(
        f'<span class="chip" data-pick="entity={escape(name)}">{text(word)}'
        f"{f'<i>{escape(note)}</i>' if note else ''}</span>"
        for name, word, note in entities
    )


def bars(
    heights: Sequence[int], titles: Sequence[str], styles: Sequence[str], label: str, style: str = ""
) -> str:
    """Return bars that fill the width, each with a title that appears under the pointer."""
    highest = max(heights, default=0) or 1
    drawn = []
    for place, (value, title, kind) in enumerate(zip(heights, titles, styles, strict=True)):
        # what is there must be seen, however little it is
        height = max(4.0, 100 * value / highest) if value else 0.0
        drawn.append(
            f'<rect class="{kind}" x="{place}.08" y="{100 - height:.1f}" width=".84" height="{height:.1f}">'
            f"<title>{escape(title)}</title></rect>"
        )
    return (
        f'<svg class="{style}" role="img" aria-label="{escape(label)}" '
        f'viewBox="0 0 {max(1, len(heights))} 100" preserveAspectRatio="none">{"".join(drawn)}</svg>'
    )


def series(counts: Series, name: str, timezone: str) -> str:
    """Return events over time as bars."""
    titles = [
        f"{words.clock(start, timezone)} ({counts.period}): {words.quantity(events, 'event')}"
        for start, events in zip(counts.starts, counts.events, strict=True)
    ]
    label = f"{name}: events by {counts.period}, {words.spark(counts.events)}"
    return bars(counts.events, titles, [""] * len(titles), label)
