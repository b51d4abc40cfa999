"""What is damaged of a generation, and what comes back of it: found out before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from workbench.ingest.repair_report import Finding
from workbench.ingest.reread import Reader
from workbench.ingest.restore import Lost, restore_documents, restore_table
from workbench.partials.shapes import KINDS
from workbench.progress import Update
from workbench.storage.files import hash_file
from workbench.storage.missing import Missing
from workbench.storage.writer import now
from workbench.vectors.files import KINDS as VECTORS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from workbench.config.entity_schema import EntitySchema
    from workbench.ingest.repair_report import Action
    from workbench.ingest.restore import Restored
    from workbench.progress import Progress
    from workbench.settings import Settings
    from workbench.storage import FileEntry, Snapshot

__all__ = ["Plan", "make_plan"]

_NAMED = 20  # sources of what is missing that the state names
_NO_COPY = "no source and no copy gives it again"


@dataclass
class Plan:
    """What is damaged of one generation, and what becomes of it.

    Attributes:
        base: The generation.
        damaged: Damaged live files with what is wrong.
        copies: Where whole copies of damaged files lie, by path.
        documents: What came back of events, by event type and segment.
        tables: What came back of reference tables, by name.
        missing: What does not come back, now and since earlier repairs.
    """

    base: Snapshot
    damaged: list[tuple[FileEntry, str]]
    copies: dict[str, Path] = field(default_factory=dict)
    documents: dict[str, dict[str, Restored]] = field(default_factory=dict)
    tables: dict[str, Restored] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()

    @property
    def entries(self) -> list[FileEntry]:
        """Return the damaged live files and those that are missing since earlier repairs."""
        return [*(entry for entry, _ in self.damaged), *(m.entry for m in self.base.missing)]

    @property
    def is_needed(self) -> bool:
        """Return whether a new generation would differ from this one."""
        results = [r for by_day in self.documents.values() for r in by_day.values()]
        came_back = any(not r.is_empty for r in (*results, *self.tables.values()))
        return bool(self.damaged or self.copies or came_back)

    def wanted(self, kind: str) -> list[Lost]:
        """Return the rows of a kind that no copy gives back."""
        found = [Lost(entry, entry.rows) for entry, _ in self.damaged]
        found += [Lost(m.entry, m.rows) for m in self.base.missing]
        return [x for x in found if x.entry.kind == kind and x.entry.path not in self.copies]

    def findings(self) -> Iterable[Finding]:
        """Yield every damaged file with what is done about it."""
        for entry, problem in self.damaged:
            action, detail = self._action(entry)
            yield Finding(entry.path, _label(entry), problem, action, detail)
        for missing in self.base.missing:
            action, detail = self._action(missing.entry)
            if action != "lost":
                since = f"missing since {missing.since[:10]}"
                yield Finding(missing.entry.path, _label(missing.entry), since, action, detail)

    def _action(self, entry: FileEntry) -> tuple[Action, str]:
        if entry.path in self.copies:
            return "copied", f"from {self.copies[entry.path]}"
        if entry.kind in KINDS:
            return "derived again", "from the documents" if entry.segment else "from the reference tables"
        if entry.kind not in ("events", "reference"):
            again = entry.kind in VECTORS
            return ("derived again", "from the texts, by the next search") if again else ("lost", _NO_COPY)
        events = entry.kind == "events"
        result = self.documents[entry.name][entry.segment] if events else self.tables[entry.name]
        if entry.path in result.found:
            return "read again", f"from {', '.join(result.found[entry.path])}"
        if not result.part:
            return "lost", result.reason
        rest = f"; others are missing: {result.reason}" if result.reason else ""
        return "read again", f"{result.part:,} rows from {', '.join(result.sources)}{rest}"


def make_plan(
    base: Snapshot,
    schema: EntitySchema,
    settings: Settings,
    places: Sequence[Path],
    progress: Progress,
) -> Plan:
    """Return what is damaged of a generation and what comes back of it; nothing is changed.

    Args:
        base: The generation.
        schema: The entity schema.
        settings: The workspace's settings.
        places: A copy of the workspace, or files and directories in which sources lie now.
        progress: Told as files are checked.
    """
    damaged = []
    for done, (entry, problem) in enumerate(base.verify(full=True), 1):
        if problem:
            damaged.append((entry, problem.rstrip(".")))
        progress(Update("verify", done, len(base.manifest.files), "files"))
    plan = Plan(base, damaged)
    for entry in plan.entries:
        if copy := _copy(entry, places):
            plan.copies[entry.path] = copy
    reader = Reader(base.manifest, schema, settings, places)
    paths = {entry.path for entry, _ in damaged}
    events = plan.wanted("events")
    for name in sorted({x.entry.name for x in events}):
        mine = [x for x in events if x.entry.name == name]
        plan.documents[name] = restore_documents(base, reader, name, mine, paths)
    for lost in plan.wanted("reference"):
        plan.tables[lost.entry.name] = restore_table(reader, lost, schema)
    plan.missing = tuple(_missing(plan, reader))
    return plan


def _copy(entry: FileEntry, places: Iterable[Path]) -> Path | None:
    """Return where a whole copy of a file lies, if one of the places is a copy of the workspace."""
    for path in (place / entry.path for place in places):
        if path.is_file() and path.stat().st_size == entry.bytes and hash_file(path) == entry.hash:
            return path
    return None


def _missing(plan: Plan, reader: Reader) -> Iterable[Missing]:
    """Yield what does not come back: of events one range for a segment and event type."""
    since = {m.entry.path: m.since for m in plan.base.missing}
    groups: dict[tuple[str, str, str], list[Lost]] = {}
    for kind in dict.fromkeys(entry.kind for entry in plan.entries):
        if kind not in (*KINDS, *VECTORS, "knowledge"):
            for x in plan.wanted(kind):
                groups.setdefault((kind, x.entry.segment, x.entry.name), []).append(x)
    for (kind, segment, name), lost in groups.items():
        result = plan.documents[name][segment] if kind == "events" else plan.tables.get(name)
        reason = result.reason if result else _NO_COPY
        sources = tuple(e.source for e in reader.named(name)[:_NAMED])
        for entry, rows in _unfound(lost, result):
            began = min((since[x.entry.path] for x in lost if x.entry.path in since), default=now())
            yield Missing(entry, _what(kind, name, rows), rows, began, reason, _leaves(plan, entry), sources)


def _unfound(lost: Sequence[Lost], result: Restored | None) -> Iterable[tuple[FileEntry, int]]:
    """Yield the files that did not come back with their rows; as one if a part of them did."""
    left = [x for x in lost if result is None or x.entry.path not in result.found]
    if result is None or not result.part:
        yield from ((x.entry, x.rows) for x in left)
    elif result.part < sum(x.rows for x in left):
        yield _merged([x.entry for x in left]), sum(x.rows for x in left) - result.part


def _merged(entries: Sequence[FileEntry]) -> FileEntry:
    """Return one entry for several files of a segment and event type."""
    first = entries[0]
    if len(entries) == 1:
        return first
    return replace(
        first,
        rows=sum(e.rows for e in entries),
        hash="",
        min_ts=min((e.min_ts for e in entries if e.min_ts is not None), default=None),
        max_ts=max((e.max_ts for e in entries if e.max_ts is not None), default=None),
        meta={"fields": sorted({f for e in entries for f in e.meta.get("fields", ())})},
    )


def _leaves(plan: Plan, entry: FileEntry) -> str:
    """Return the segment with which what is missing leaves; a reference table does when it is there again."""
    if entry.segment or entry.kind == "reference":
        return entry.segment
    return max(plan.base.segments, default="")


def _what(kind: str, name: str, rows: int) -> str:
    match kind:
        case "events":
            return f"{name} document{'' if rows == 1 else 's'}"
        case "reference":
            return f"row{'' if rows == 1 else 's'} of the reference table {name}"
        case "keys":
            return "idempotency keys of streamed events"
        case "quarantine":
            return f"record{'' if rows == 1 else 's'} in quarantine"
    return f"rows of {kind}"


def _label(entry: FileEntry) -> str:
    """Return what a file holds, for people."""
    of = f" of {entry.segment}" if entry.segment else ""
    return f"{' '.join(filter(None, [entry.kind, entry.name]))}{of}, {entry.rows:,} rows"
