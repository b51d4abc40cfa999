"""Figures as people read them: the same on text and HTML pages."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from workbench.tabular import cell_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from workbench.catalog.model import Field, KnowledgeKind, Workspace

__all__ = [
    "age",
    "clock",
    "distinct",
    "health",
    "kinds",
    "listed",
    "path_end",
    "quantity",
    "run_facts",
    "share",
    "size",
    "spark",
    "top_value",
]

_BARS = "▁▂▃▄▅▆▇█"
_EMPTY = "·"
_KILO = 1000.0
_DAY = 86_400.0


def quantity(number: int, thing: str) -> str:
    """Return a number with its thing, in the plural where it should be.

    >>> quantity(1, "file"), quantity(1234, "entity")
    ('1 file', '1,234 entities')
    """
    if number == 1:
        return f"1 {thing}"
    plural = f"{thing[:-1]}ies" if thing.endswith("y") and thing[-2] not in "aeo" else f"{thing}s"
    return f"{number:,} {plural}"


def share(value: float) -> str:
    """Return a share as a percentage that is 0 or 100 only where it is exactly that.

    >>> share(0.0), share(0.47546), share(0.00002), share(0.99999), share(1.0)
    ('0 %', '47.5 %', '<0.1 %', '>99.9 %', '100 %')
    """
    if value in (0.0, 1.0):
        return f"{value:.0%}".replace("%", " %")
    if value < 0.001:
        return "<0.1 %"
    return ">99.9 %" if value > 0.999 else f"{100 * value:.1f} %"


def size(number: int) -> str:
    """Return bytes in decimal units.

    >>> size(999), size(79_677_901)
    ('999 B', '79.7 MB')
    """
    value, units = float(number), ["B", "kB", "MB", "GB", "TB"]
    while value >= _KILO and len(units) > 1:
        value /= _KILO
        units.pop(0)
    return f"{number} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


def memory(taken: Mapping[str, int]) -> str:
    """Return what a run took of the process's memory, beyond an earlier peak, and of a device's.

    >>> memory({"process": 79_677_901, "device": 999}), memory({})
    ('process +79.7 MB, device 999 B', '')
    """
    return ", ".join(f"{name} {'+' * (name == 'process')}{size(number)}" for name, number in taken.items())


def clock(time: datetime | None, timezone: str) -> str:
    """Return a time to the minute in a zone.

    >>> from datetime import UTC, datetime
    >>> clock(datetime(2013, 1, 1, 10, 15, tzinfo=UTC), "America/New_York")
    '2013-01-01 05:15'
    """
    return time.astimezone(ZoneInfo(timezone)).strftime("%Y-%m-%d %H:%M") if time else ""


def age(seconds: float) -> str:
    """Return how far behind the clock of the workspace something is.

    >>> age(0), age(90), age(7200), age(200_000)
    ('up to date', '1 minute behind', '2 hours behind', '2 days behind')
    """
    if seconds < 1:
        return "up to date"
    for length, unit in ((_DAY, "day"), (3600.0, "hour"), (60.0, "minute")):
        if seconds >= length:
            return f"{quantity(int(seconds // length), unit)} behind"
    return f"{quantity(int(seconds), 'second')} behind"


def spark(values: Sequence[int]) -> str:
    """Return a line of bars as high as the values; nothing at all is a dot.

    >>> spark([0, 1, 4, 8])
    '·▁▄█'
    """
    highest = max(values, default=0)
    return "".join(_BARS[(v * len(_BARS) - 1) // highest] if v else _EMPTY for v in values)


def distinct(field: Field) -> str:
    """Return the number of distinct values, marked where it is an estimate."""
    return f"about {field.distinct:,}" if field.estimated else f"{field.distinct:,}"


def top_value(field: Field, value: str, count: int) -> str:
    """Return a frequent value with its count, marked where it is the least that it can be."""
    return f"{cell_text(value, ZoneInfo('UTC'))} ({'' if field.top_exact else '≥ '}{count:,})"


def kinds(*, who: bool, attribute: bool) -> str:
    """Return what the schema marks an entity type as."""
    return ", ".join(word for word, marked in (("who", who), ("attribute", attribute)) if marked)


def health(workspace: Workspace) -> str:
    """Return in a sentence whether the files are all there and what runs in the background does."""
    stale = ""
    if workspace.stale_segments:
        stale = f"; partials of {quantity(workspace.stale_segments, 'segment')} are stale"
    if workspace.failing:
        stale += f"; failing in the background: {', '.join(workspace.failing)}"
    if workspace.findings:
        return f"{quantity(len(workspace.findings), 'finding')} about files: verify() tells the extent{stale}"
    return f"all {quantity(workspace.files, 'file')} there with their recorded length{stale}"


def path_end(path: str, most: int = 48) -> str:
    """Return a path, or its end where it is long: files are told apart by their names.

    >>> path_end("logs/2025/clicks.csv", 12)
    '…/clicks.csv'
    """
    return path if len(path) <= most else f"…{path[1 - most :]}"


def run_facts(kind: KnowledgeKind) -> str:
    """Return how a result came about: parameters, seed, metrics."""
    parameters = ", ".join(f"{name}={value}" for name, value in kind.parameters.items())
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in kind.metrics.items())
    return "; ".join(filter(None, [metrics, parameters, f"seed={kind.seed}"]))


def listed(words: Iterable[str], most: int, fix: str = "") -> str:
    """Return words as a list, with how many were left out.

    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    every = list(words)
    more = f" and {len(every) - most:,} more{fix}" if len(every) > most else ""
    return ", ".join(every[:most]) + more
