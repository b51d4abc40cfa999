"""A report: parts on one page, kept as one HTML file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import UsageError
from workbench.reports.manifest import manifest
from workbench.reports.page import page
from workbench.reports.parts import draw_part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workbench.reports.parts import Drawn
    from workbench.reports.world import World

__all__ = ["Report"]


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    r"""Answers, tables, views, charts and text as one interactive page that needs no network.

    The page is the same wherever it is opened: all that it draws with is in it, and its own rules forbid it
    to ask anybody for anything. Values are strangers' data and always escaped.

    Args:
        world: The workspace that it is about.
        title: Stands at its head.
        parts: In their order: text in Markdown, answers, anything that is a table, views, parts of the graph,
            HoloViews elements.
        parameters: What it was made with, for the manifest.

    Raises:
        UsageError: If a part is none of these.

    >>> import tempfile, pathlib, workbench as wb
    >>> log = pathlib.Path(tempfile.mkdtemp()) / "clicks.csv"
    >>> _ = log.write_text("time,page\n2025-06-12T10:00:00Z,home\n")
    >>> db = wb.open(log)
    >>> report = db.report("Clicks", ["# All of them", db.sql("select page from clicks")])
    >>> report.save(log.with_name("clicks.html")).name
    'clicks.html'
    """

    world: World
    title: str
    parts: Sequence[Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def _drawn(self) -> list[Drawn]:
        return [draw_part(part, self.world.timezone) for part in self.parts]

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Return what the report was made from, as JSON data; it stands in the page, too."""
        provenance = [drawn.provenance for drawn in self._drawn if drawn.provenance]
        return manifest(self.world, self.title, self.parameters, provenance)

    def to_html(self) -> str:
        """Return the page."""
        return page(self.title, [drawn.to_html() for drawn in self._drawn], self.manifest)

    def save(self, path: str | Path) -> Path:
        """Write the page and return where it is.

        Raises:
            UsageError: If it cannot be written there.
        """
        target = Path(path).expanduser()
        text = self.to_html()
        try:
            target.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot be written: {error.strerror}.", where=str(target)) from error
        return target

    def __repr__(self) -> str:
        """Return the title and the number of parts."""
        return f"Report {self.title!r}: {len(self.parts)} parts; .save('report.html') writes it"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from html import escape  # noqa: PLC0415

        facts = json.dumps({k: v for k, v in self.manifest.items() if k != "parts"}, indent=2)
        return {
            "text/plain": repr(self),
            "text/html": f"<p>{escape(repr(self))}</p><details><summary>manifest</summary>"
            f"<pre>{escape(facts)}</pre></details>",
        }
