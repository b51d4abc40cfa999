"""What an ingest did, or would do."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["IngestReport", "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What became of one source, told once it is durable.

    Attributes:
        source: How it was named.
        name: The event type or reference that it became.
        status: "stored"; "known", if the same bytes were taken before; "quarantined", as a whole; or
            "unreadable", if not even its bytes could be read.
        rows: Documents stored from it.
        rejected: Its records in quarantine.
        begun: The record with which reading began: those before it were stored from an earlier source.
        reason: Why nothing more of it was taken.
    """

    source: str
    name: str
    status: Literal["stored", "known", "quarantined", "unreadable"]
    rows: int = 0
    rejected: int = 0
    begun: int = 0
    reason: str = ""


@dataclass
class IngestReport:
    """Counts of one ingest; a dry run has the same, with nothing stored.

    Attributes:
        dry_run: Whether nothing was stored.
        files: Sources read.
        known: Sources left out because the same bytes were ingested before.
        grown: Sources that begin with one that was ingested before, and were read from its end on.
        replaced: Sources whose place held other bytes when it was ingested before.
        skipped: Files that no connector reads.
        bytes: Size of the sources read.
        rows: Documents stored, by event type.
        references: Rows stored, by reference table.
        days: Documents stored, by segment.
        quarantined: Records in quarantine, by reason.
        quarantined_files: Sources in quarantine as a whole, with the reason.
        refused: Documents older than the window.
        forgotten: Records left out, for they are about entities that were forgotten.
        evicted: Days that made place on a full disk.
        changes: Changes of the schema: new event types and fields, widened types.
        findings: Columns whose names are no field names.
        seconds: Wall time.
        generation: The generation after it.
    """

    dry_run: bool = False
    files: int = 0
    known: int = 0
    grown: int = 0
    replaced: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    bytes: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    references: Counter[str] = field(default_factory=Counter)
    days: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    quarantined_files: dict[str, str] = field(default_factory=dict)
    refused: int = 0
    forgotten: int = 0
    evicted: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    generation: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON data."""
        data = asdict(self)
        for name in ("rows", "references", "days", "quarantined"):
            data[name] = dict(sorted(getattr(self, name).items()))
        return data

    def __str__(self) -> str:
        """Return the report as a few lines for people."""
        verb = "would store" if self.dry_run else "stored"
        rows = sum(self.rows.values())
        where = (
            f"{_counted(self.files, 'source')} in {_counted(len(self.days), 'segment')}, {self.seconds:.1f} s"
        )
        lines = [f"{verb} {rows:,} documents of {where}"]
        lines += [f"  {name}: {n:,}" for name, n in sorted(self.rows.items())]
        lines += [f"  {name}: {n:,} reference rows" for name, n in sorted(self.references.items())]
        if self.known:
            lines.append(f"{_counted(self.known, 'source')} had been ingested before: nothing added")
        if self.grown:
            lines.append(f"{_counted(self.grown, 'source')} had grown: what is new was added")
        lines += [f"taken as another source, its bytes are no longer the same: {p}" for p in self.replaced]
        lines += [f"not read, no connector for it: {path}" for path in self.skipped]
        lines += [
            f"quarantined whole: {path}: {reason.removeprefix(f'{path}: ')}"
            for path, reason in sorted(self.quarantined_files.items())
        ]
        lines += [f"quarantined: {n:,} records: {reason}" for reason, n in self.quarantined.most_common()]
        if self.refused:
            lines.append(f"refused: {self.refused:,} documents older than the window")
        if self.forgotten:
            lines.append(f"left out: {self.forgotten:,} records about entities that were forgotten")
        lines += [f"evicted, for the disk's reserve was touched: {day}" for day in self.evicted]
        lines += [f"schema: {change}" for change in self.changes]
        lines += [f"finding: {finding}" for finding in self.findings]
        return "\n".join(lines)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
