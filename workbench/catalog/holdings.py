"""The workspace, its segments, reference tables, knowledge and quarantine, from the manifest."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl
import pyarrow.parquet as pq

from workbench.catalog.model import KnowledgeKind, Quarantine, Reference, Segment, Workspace
from workbench.ingest.derive import stale_segments
from workbench.partials.shapes import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.catalog.model import EventType
    from workbench.catalog.world import World
    from workbench.storage import FileEntry, Snapshot

__all__ = ["NOTHING_QUARANTINED", "knowledge_kinds", "quarantined", "references", "segments", "workspace"]

NOTHING_QUARANTINED = Quarantine(0, {}, {})


def workspace(world: World, events: Iterable[EventType], days: Iterable[Segment]) -> Workspace:
    """Return the facts of the workspace as a whole.

    Args:
        world: The workspace.
        events: Its event types.
        days: Its segments: their findings are the workspace's too.
    """
    events, days = list(events), list(days)
    manifest = world.snapshot.manifest
    sources: dict[str, int] = {}
    for entry in manifest.ledger.values():
        sources[entry.status] = sources.get(entry.status, 0) + 1
    jobs = (world.background or {}).get("jobs", [])
    elsewhere = [f for f in manifest.files if not f.segment]
    findings = [*_damages(world.snapshot, elsewhere), *map(str, world.snapshot.missing)]
    findings += [f"{d.day}: {f}" for d in days for f in d.findings]
    return Workspace(
        path=world.store.name,
        generation=manifest.number,
        created=datetime.fromisoformat(manifest.created),
        timezone=world.timezone,
        schema=world.schema.metadata.id,
        window=str(world.settings.window),
        now=world.now,
        first=min((e.first for e in events if e.first), default=None),
        documents=sum(e.documents for e in events),
        test_documents=sum(e.test_documents for e in events),
        segments=len(days),
        stale_segments=sum(day.stale for day in days),
        files=len(manifest.files),
        bytes=sum(f.bytes for f in manifest.files),
        disk_free=shutil.disk_usage(world.path).free,
        sources=dict(sorted(sources.items())),
        findings=tuple(findings),
        background=dict(sorted(Counter(job["state"] for job in jobs).items())),
        failing={job["name"]: job["error"] for job in jobs if job["error"]},
    )


def segments(world: World) -> tuple[Segment, ...]:
    """Return every live segment, by day, with what is wrong with its files."""
    snapshot = world.snapshot
    stale = set(stale_segments(snapshot, world.schema, world.fields))
    by_day: dict[str, list[FileEntry]] = {}
    for file in snapshot.manifest.files:
        if file.segment:
            by_day.setdefault(file.segment, []).append(file)
    found = []
    for day, files in sorted(by_day.items()):
        rows: dict[str, int] = {}
        for file in files:
            if file.kind == "events":
                rows[file.name] = rows.get(file.name, 0) + file.rows
        lacking = [f"no partial {kind}" for kind in KINDS if all(f.kind != kind for f in files)]
        found.append(
            Segment(
                day=day,
                documents=sum(rows.values()),
                rows=dict(sorted(rows.items())),
                files=len(files),
                bytes=sum(f.bytes for f in files),
                findings=(*_damages(snapshot, files), *lacking),
                stale=day in stale,
            )
        )
    return tuple(found)


def _damages(snapshot: Snapshot, files: Iterable[FileEntry]) -> list[str]:
    """Return what is wrong with files as far as the file system tells without reading them."""
    found = []
    for file in files:
        size = snapshot.size(file)
        if size == file.bytes:
            continue
        what = " ".join(filter(None, [file.kind, file.name]))
        if size is None:
            found.append(f"{what} is missing ({file.path})")
        else:
            found.append(f"{what} has {size:,} bytes instead of {file.bytes:,} ({file.path})")
    return found


def references(world: World) -> tuple[Reference, ...]:
    """Return every reference table that there is."""
    found = []
    for entry in world.snapshot.files("reference"):
        rule = world.schema.references.get(entry.name)
        columns = pq.read_schema(world.snapshot.path(entry)).names
        shown = tuple(name for name in columns if not name.startswith("_"))
        found.append(Reference(entry.name, entry.rows, shown, rule.description if rule else ""))
    return tuple(sorted(found, key=lambda reference: reference.name))


def knowledge_kinds(world: World) -> tuple[KnowledgeKind, ...]:
    """Return the newest run of each kind of knowledge in this generation."""
    rows = {entry.meta["id"]: entry.rows for entry in world.snapshot.files("knowledge")}
    if not rows:
        return ()
    runs = [run for run in world.knowledge.runs() if run.id in rows]
    found = []
    for kind in sorted({run.kind for run in runs}):
        of_kind = [run for run in runs if run.kind == kind]
        newest = of_kind[-1]
        asof = datetime.fromisoformat(newest.asof)
        found.append(
            KnowledgeKind(
                kind=kind,
                runs=len(of_kind),
                rows=rows[newest.id],
                asof=asof,
                age=(world.now - asof).total_seconds() if world.now else 0.0,
                created=datetime.fromisoformat(newest.created),
                seconds=newest.seconds,
                algorithm=newest.algorithm,
                device=newest.device,
                fallback=newest.fallback,
                seed=newest.seed,
                parameters=newest.parameters,
                metrics=newest.metrics,
                memory=newest.memory,
                segments=newest.segments,
                run=newest.id,
            )
        )
    return tuple(found)


def quarantined(snapshot: Snapshot) -> Quarantine:
    """Return what is in quarantine by reason; the records' bytes are not read."""
    tables = [
        pl.DataFrame(snapshot.read(entry, columns=["source", "source_hash", "offset", "reason"]))
        for entry in snapshot.files("quarantine")
    ]
    if not tables:
        return NOTHING_QUARANTINED
    rows = pl.concat(tables)
    records = rows.filter(pl.col("offset") >= 0)
    # a reason's start says what is wrong, the rest with which value
    reason = pl.col("reason").str.split(":").list.first().alias("reason")
    reasons = records.group_by(reason).agg(pl.len()).sort("len", "reason", descending=[True, False])
    # a source that was read after all stays in quarantine's files, but not in the ledger's word
    still = {e.hash for e in snapshot.manifest.ledger.values() if e.status == "quarantined"}
    whole = rows.filter((pl.col("offset") < 0) & pl.col("source_hash").is_in(still)).sort("source")
    return Quarantine(
        records.height, dict(reasons.iter_rows()), dict(whole.select("source", "reason").iter_rows())
    )
