"""What is missing: documents that were published once and are lost, named until their segment leaves."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from workbench.storage.manifest import FileEntry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from workbench.storage.manifest import Manifest

__all__ = ["Missing", "missing_in", "missing_state", "notes_on"]

_STATE = "missing"
_START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Missing:
    """A range that is lost.

    Attributes:
        entry: The file that held it, as it was published.
        what: Its rows in words, such as ``Order documents``.
        rows: How many of them are lost.
        since: When that was found, ISO 8601.
        reason: Why they could not be brought back.
        day: The segment with which the range leaves the workspace.
        sources: Where they had come from, as far as that is known.
    """

    entry: FileEntry
    what: str
    rows: int
    since: str
    reason: str
    day: str
    sources: tuple[str, ...] = ()

    @property
    def span(self) -> tuple[str, str]:
        """Return the earliest and the latest time, ISO 8601 in UTC; empty where there is none."""
        ends = (self.entry.min_ts, self.entry.max_ts)
        first, last = ("" if t is None else (_START + timedelta(microseconds=t)).isoformat() for t in ends)
        return first, last

    def __str__(self) -> str:
        """Return a sentence for people."""
        first, last = (moment[11:16] for moment in self.span)
        between = f" ({first} to {last} UTC)" if first else ""
        of = f" of {self.entry.segment}" if self.entry.segment else ""
        verb = "is" if self.rows == 1 else "are"
        return f"{self.rows:,} {self.what}{of}{between} {verb} missing since {self.since[:10]}."

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain JSON data."""
        entry = self.entry
        first, last = self.span
        return {
            "segment": entry.segment,
            "kind": entry.kind,
            "name": entry.name,
            "rows": self.rows,
            "first": first,
            "last": last,
            "since": self.since,
            "reason": self.reason,
            "sources": list(self.sources),
            "path": entry.path,
            "text": str(self),
        }


def missing_in(manifest: Manifest) -> tuple[Missing, ...]:
    """Return what is missing from a generation.

    What lies before its first segment has left with it, and a table that is there again is not missing.
    """
    days = sorted({f.segment for f in manifest.files if f.kind == "events"})
    there = {(f.kind, f.name) for f in manifest.files if not f.segment}
    found = (_decoded(raw) for raw in manifest.state.get(_STATE, ()))
    return tuple(
        m
        for m in found
        if (not m.day or not days or m.day >= days[0])
        and (m.entry.segment or (m.entry.kind, m.entry.name) not in there)
    )


def notes_on(
    missing: Iterable[Missing], names: Collection[str] | None = None, segments: Collection[str] | None = None
) -> tuple[str, ...]:
    """Return a sentence for everything that is missing from what was read.

    Args:
        missing: What is missing from the generation.
        names: The event types, or other names, that were read; by default all.
        segments: The first and the last segment that were read, or all of them; by default all.
    """
    low, high = (min(segments), max(segments)) if segments else ("", "~")
    return tuple(
        str(m)
        for m in missing
        if (names is None or m.entry.name in names)
        and (not m.entry.segment or low <= m.entry.segment <= high)
    )


def missing_state(found: Iterable[Missing]) -> dict[str, Any]:
    """Return what a generation's state holds to say that this is missing."""
    return {_STATE: [asdict(m) for m in found]}


def _decoded(raw: Mapping[str, Any]) -> Missing:
    facts = {**raw, "entry": FileEntry(**raw["entry"]), "sources": tuple(raw["sources"])}
    return Missing(**facts)
