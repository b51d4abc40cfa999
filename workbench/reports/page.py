"""The page of a report: one document, its scripts and styles inside it."""

from __future__ import annotations

import json
import re
from functools import cache
from html import escape, unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.reports.parts import in_script
from workbench.views._graph_widget import _MODULE as MODULE  # the file that both draw with
from workbench.views._look import style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["page"]

# Nothing may be loaded, sent or framed. Bokeh makes functions, the graph's module is imported from a blob.
_CONTENT = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; connect-src 'none'; form-action 'none'; base-uri 'none'"
)
_FIGURE, _GRAPH = 'class="wb-figure"', 'class="wb-drawing"'
_HEADING = re.compile(r"<h([123])>(.*?)</h\1>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")


def page(title: str, sections: Sequence[str], facts: Mapping[str, Any]) -> str:
    """Return a report as an HTML document without any reference to the outside.

    Args:
        title: Its title.
        sections: What it shows, as markup that :meth:`Drawn.to_html` made.
        facts: Its manifest.
    """
    body, contents = _numbered("".join(f"<section>{section}</section>" for section in sections))
    data = json.dumps(facts, indent=2, ensure_ascii=False)
    scripts = [f'<script type="application/json" id="wb-manifest">{in_script(data)}</script>']
    if _FIGURE in body:
        scripts += _bokeh_library()
    if _GRAPH in body:
        scripts += _graph_widget()
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_CONTENT)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{style()}{_style()}</style></head>"
        f"<body class='wb-view'><main><header><h1>{escape(title)}</h1>{_subtitle(facts)}</header>"
        f"{_contents(contents)}{body}<footer><details><summary>What this report was made from</summary>"
        f"<pre>{escape(data)}</pre></details></footer></main>{''.join(scripts)}</body></html>\n"
    )


def _numbered(body: str) -> tuple[str, list[tuple[int, str, str]]]:
    """Give each heading an id, and return level, id and text of all of them; no level is left out."""
    found: list[tuple[int, str, str]] = []
    highest = 3 if re.search(r"<h[12]>", body) else 2

    def mark(match: re.Match[str]) -> str:
        level, inside = min(max(int(match[1]), 2), highest), match[2]
        name = f"s{len(found) + 1}"
        found.append((level, name, unescape(_TAG.sub("", inside))))
        return f'<h{level} id="{name}">{inside}</h{level}>'

    return _HEADING.sub(mark, body), found


def _contents(headings: Sequence[tuple[int, str, str]]) -> str:
    if len(headings) < 2:
        return ""
    items = "".join(
        f'<li class="level{level}"><a href="#{name}">{escape(text)}</a></li>'
        for level, name, text in headings
    )
    return f'<nav aria-label="Contents"><ol>{items}</ol></nav>'


def _subtitle(facts: Mapping[str, Any]) -> str:
    segments = facts["segments"]
    span = f", days {segments['first']} to {segments['last']}" if segments["count"] else ""
    given = ", ".join(f"{name} = {value}" for name, value in facts["parameters"].items())
    text = f"{facts['workspace']}, generation {facts['generation']}{span}. Made {facts['created']}."
    return f"<p class='soft'>{escape(text)}</p>" + (f"<p class='soft'>{escape(given)}</p>" if given else "")


@cache
def _bokeh_library() -> tuple[str, ...]:
    from bokeh.resources import Resources  # noqa: PLC0415  (heavy)

    return tuple(f"<script>{text}</script>" for text in Resources(mode="inline", components=["bokeh"]).js_raw)


@cache
def _graph_widget() -> tuple[str, ...]:
    """Return the scripts that put the graph widget in place of each static picture."""
    module = in_script(json.dumps(MODULE.read_text(encoding="utf-8")))
    loader = Path(__file__).with_name("graphs.js").read_text(encoding="utf-8")
    return (
        f'<script type="application/json" id="wb-widget">{module}</script>',
        f'<script type="module">{loader}</script>',
    )


@cache
def _style() -> str:
    return Path(__file__).with_name("report.css").read_text(encoding="utf-8")
