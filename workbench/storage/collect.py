"""Collection: what no generation that counts names any more is deleted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from workbench.errors import CorruptFileError
from workbench.logs import get_logger
from workbench.storage import derived
from workbench.storage.leases import leased
from workbench.storage.manifest import manifest_name, read_manifest, recent_manifests

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.storage.disk import Disk

__all__ = ["DAMAGED", "FOLDERS", "KEPT_MANIFESTS", "collect"]

KEPT_MANIFESTS = 3
# Repair keeps damaged files here for people; no manifest names them.
DAMAGED = "quarantine/damaged"
FOLDERS = ("segments", "references", "knowledge", "quarantine", "tmp")


def collect(root: Path, disk: Disk, *, grace: float, manifests: int = KEPT_MANIFESTS) -> int:
    """Delete files and manifests that nobody needs, and return how many files it were.

    Kept are the files of the last ``manifests`` generations and of those that a living process reads
    by its lease, and whatever is younger than ``grace`` seconds, which a reader without a lease may have
    just begun to open. While one of these manifests is damaged, nothing is deleted: what it names
    is not known. What the disk refuses to delete stays for the next time. The last manifests themselves
    always stay: their chain is what a manifest is checked by. What was derived from files that go, goes
    with them.
    """
    try:
        recent = recent_manifests(root, max(manifests, KEPT_MANIFESTS))
        kept = recent[:manifests]
        oldest = kept[-1].number
        kept += [
            read_manifest(root / "manifests" / manifest_name(reader.generation), reader.digest)
            for reader in leased(root / "readers")
            if reader.generation < oldest
        ]
    except CorruptFileError as error:
        get_logger("storage").warning("nothing is collected", reason=str(error))
        return 0
    names = {manifest_name(m.number) for m in kept}
    files = {f.path for m in kept for f in m.files}
    for path in (root / "manifests").glob("*.json"):
        if path.name < manifest_name(recent[-1].number) and path.name not in names:
            _delete(path, disk)
    horizon = time.time() - grace
    doomed = [path for name in FOLDERS for path in _unused(root, name, files, horizon)]
    doomed += derived.unused(root, files, horizon)
    return sum(_delete(path, disk) for path in doomed)


def _unused(root: Path, folder: str, files: set[str], horizon: float) -> list[Path]:
    """Return the files of a folder that are not among ``files`` and old enough."""
    found = []
    for path in (root / folder).rglob("*"):
        name = path.relative_to(root).as_posix()
        if name in files or name.startswith(f"{DAMAGED}/") or not path.is_file():
            continue
        # nothing in tmp is read by anybody, and no other writer lives
        if folder == "tmp" or path.stat().st_mtime < horizon:
            found.append(path)
    return found


def _delete(path: Path, disk: Disk) -> bool:
    try:
        disk.unlink(path)
    except OSError as error:
        get_logger("storage").warning("not deleted", path=str(path), reason=str(error))
        return False
    return True
