"""A workspace that is damaged in every way at once, and its repair."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

from workbench.config.workspace import schema_in
from workbench.engine import Engine
from workbench.ingest.repair import Repair
from workbench.ingest.stream_checkpoint import log_position
from workbench.partials.shapes import KINDS
from workbench.settings import load_settings
from workbench.storage.collect import DAMAGED
from workbench.storage.disk import LOCAL
from workbench.storage.files import hash_bytes
from workbench.storage.wal import Log

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.storage.disk import Disk

__all__ = ["Damaged", "damage", "kept", "repair", "repaired"]


class Damaged(NamedTuple):
    """A damaged workspace, and the hashes of its damaged files' bytes."""

    root: Path
    bytes: set[str]


def _flip(path: Path, place: int) -> str:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    return hash_bytes(bytes(data))


def damage(two_days: Path, logs: Path, root: Path) -> Damaged:
    """Lay a workspace out and damage it."""
    shutil.copytree(two_days, root)
    gone = root.parent / "gone.csv"
    gone.write_text("time,user,page,title\n2025-01-02T07:30:00Z,u7,p7,Gone\n")
    with Engine(root) as engine:
        engine.ingest(gone, type="click")
        engine.ingest(logs / "late.csv", type="click")
        snapshot = engine.snapshot
    gone.unlink()
    with Log(root / "wal", position=lambda: log_position(snapshot)) as log:
        for payload in (b"one", b"two", b"three"):
            log.append(1, payload)
    events = snapshot.files("events", segments=["2025-01-02"])
    (reference,) = snapshot.files("reference")
    partial = snapshot.files("edges", segments=["2025-01-01"])[0]
    kept = {_flip(root / f.path, f.bytes // 2) for f in (*events, reference)}
    _flip(root / partial.path, 100)
    (path,) = (root / "wal").glob("*.wal")
    kept.add(_flip(path, path.read_bytes().index(b"two")))
    kept.add(_flip(max((root / "manifests").glob("*.json")), 300))
    kept.add(_flip(root / "CURRENT", 5))
    return Damaged(root, kept)


def repair(root: Path, disk: Disk = LOCAL) -> None:
    """Repair a workspace."""
    Repair(root, schema_in(root), load_settings(root), disk=disk).run(apply=True)


def repaired(root: Path) -> tuple[object, ...]:
    """Return what a repaired workspace holds, having checked that it is whole."""
    with Engine(root) as engine:
        assert engine.verify(full=True) == []
        assert engine.status()["stale_segments"] == 0
        snapshot = engine.snapshot
    with Log(root / "wal", position=lambda: log_position(snapshot)) as log:
        recovered = [record.payload for record in log.recovered]
    files = {(f.kind, f.segment, f.hash) for f in snapshot.manifest.files if f.kind in (*KINDS, "events")}
    missing = [(m.entry.segment, m.entry.name, m.rows) for m in snapshot.missing]
    return files, sorted(snapshot.manifest.ledger), missing, recovered


def kept(root: Path) -> set[str]:
    """Return the hashes of what lies where it was published or where damaged files are kept."""
    paths = [
        p
        for folder in (DAMAGED, "segments", "references", "manifests", "wal")
        for p in root.glob(f"{folder}/**/*")
    ]
    return {hash_bytes(p.read_bytes()) for p in (*paths, root / "CURRENT") if p.is_file()}
