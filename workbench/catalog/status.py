"""The figures of a workspace, at a glance: from the manifest, without its partials."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from workbench.ingest.derive import stale_segments
from workbench.vectors import Waiting, without_vectors

if TYPE_CHECKING:
    from workbench.catalog.world import World

__all__ = ["status"]


def status(world: World) -> dict[str, Any]:
    """Return generation, segments, documents, bytes, clock, knowledge and what is missing, as JSON data."""
    snapshot = world.snapshot
    files, segments, now = snapshot.manifest.files, snapshot.segments, world.now
    rows: Counter[str] = Counter()
    for file in files:
        if file.kind == "events":
            rows[file.name] += file.rows
    waiting = Waiting.read(world.path / "cache" / "vectors")
    return {
        "path": world.store.name,
        "generation": snapshot.generation,
        "timezone": world.timezone,
        "schema": world.schema.metadata.id,
        "window": world.settings.window,
        "now": now.isoformat() if now else None,
        "segments": len(segments),
        "first_segment": segments[0] if segments else None,
        "last_segment": segments[-1] if segments else None,
        "documents": rows.total(),
        "event_types": dict(sorted(rows.items())),
        "files": len(files),
        "bytes": sum(f.bytes for f in files),
        "sources": len(snapshot.manifest.ledger),
        "stale_segments": len(stale_segments(snapshot, world.schema, world.fields)),
        "quarantined": sum(f.meta["records"] for f in files if f.kind == "quarantine"),
        "texts_without_vectors": waiting.texts if waiting else 0,
        "segments_without_vectors": len(without_vectors(snapshot)),
        "knowledge": world.knowledge.kinds(),
        "background": world.background,
        "missing": [str(missing) for missing in snapshot.missing],
    }
