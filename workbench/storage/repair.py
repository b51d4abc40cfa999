"""Repair of what says what there is: FORMAT, CURRENT and the manifests; and a place for what is damaged.

A manifest is believed if somebody says what its bytes were: CURRENT, the manifest after it, the lease of a
reader, or the hash that it ends with. The workspace goes on from the newest of these.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workbench.errors import CorruptFileError, WorkspaceError
from workbench.storage.collect import DAMAGED, KEPT_MANIFESTS
from workbench.storage.disk import LOCAL
from workbench.storage.files import hash_bytes, make_directories, publish
from workbench.storage.format import FORMAT, read_format, write_format
from workbench.storage.lock import WriterLock
from workbench.storage.manifest import (
    CURRENT,
    Manifest,
    Pointer,
    check_manifest,
    commit,
    manifest_name,
    read_pointer,
    recent_manifests,
    seal_problem,
)
from workbench.storage.writer import now, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.storage.disk import Disk
    from workbench.storage.writer import Writer

__all__ = ["Damage", "Head", "close_chain", "examine", "keep", "mend"]

_ID = re.compile(rb'"([0-9a-f]{32})"')
_FILE = re.compile(rb'"([\w=/.-]+/[0-9a-f]{32}\.\w+(?:\.parquet)?)"')
_FOLDERS = ("segments", "references", "knowledge", "quarantine")


class Damage(NamedTuple):
    """What is wrong with a file that says what there is.

    Attributes:
        path: The file, relative to the workspace.
        problem: What is wrong with it.
        remedy: What is done about it.
        loss: What is lost by that; empty where it is nothing.
    """

    path: str
    problem: str
    remedy: str
    loss: str = ""


@dataclass(frozen=True)
class Head:
    """What a workspace can go on from.

    Attributes:
        manifest: The newest whole generation.
        damages: What is damaged of what says what there is.
        format: The format's version and the workspace's identity, where FORMAT is to be written anew.
        broken: Numbers of newer generations whose manifests are damaged or missing.
        orphans: Files that only these generations can have named.
    """

    manifest: Manifest
    damages: tuple[Damage, ...] = ()
    format: tuple[int, str] | None = None
    broken: tuple[int, ...] = ()
    orphans: tuple[str, ...] = ()


def examine(root: Path) -> Head:
    """Return what a workspace can go on from, and what is damaged; nothing is changed.

    Raises:
        WorkspaceError: If there is no workspace, or one of a newer format.
        CorruptFileError: If no manifest is whole.
    """
    if not (root / "manifests").is_dir():
        read_format(root)
    pointer, problem = _pointer(root)
    found = _whole_manifests(root, pointer)
    if not found:
        raise CorruptFileError(
            "no manifest of the workspace is whole.",
            where=str(root / "manifests"),
            fix="Restore the workspace from a copy, or ingest its sources again into a new one.",
        )
    damages, format_ = _format_damage(root, found[0])
    if pointer is not None and found[0].number == pointer.number:
        return Head(found[0], (*damages, *_older(root)), format_)
    manifest = found[0]
    if pointer is None and len(found) > 1 and _absent(root, found[0]) > _absent(root, found[1]):
        # a writer that died before it published it left it behind, and its files are gone since
        manifest = found[1]
    last = pointer.number if pointer else _last_number(root)
    broken = tuple(n for n in range(manifest.number + 1, last + 1) if pointer or not _stands(found, n))
    orphans = _orphans(root, found, manifest, broken)
    damages += _head_damages(manifest, problem, broken, orphans)
    return Head(manifest, damages, format_, broken, orphans)


def mend(root: Path, head: Head, disk: Disk = LOCAL) -> None:
    """Make the head whole again, as :func:`examine` found it; the damaged files are kept.

    Raises:
        WriterLockedError: If another process writes to the workspace.
        StorageError: If the disk refuses.
    """
    if not head.damages:
        return
    with WriterLock(root / "LOCK"):
        try:
            make_directories(root / "tmp", disk)
            names = [d.path for d in head.damages if (root / d.path).is_file()]
            for name in (*names, *head.orphans):
                keep(root, name, disk)
            if head.format is not None:
                write_format(root, *head.format, disk)
            manifest = head.manifest
            if head.broken:
                # one more for each: no generation has the number of another
                while manifest.number < head.broken[-1]:
                    manifest = manifest.next(now())
                    commit(root, manifest, disk)
                    manifest = replace(manifest, digest=hash_bytes(manifest.encode()))
            else:
                _point(root, manifest, disk)
        except OSError as error:
            raise refused(error, root) from error


def close_chain(writer: Writer) -> None:
    """Publish the generation again until the last ones are whole, so that files can be collected again.

    Raises:
        StorageError: If the disk refuses.
    """
    for _ in range(KEPT_MANIFESTS - 1):
        try:
            recent_manifests(writer.root, KEPT_MANIFESTS)
        except CorruptFileError:
            writer.begin().commit()
        else:
            return


def keep(root: Path, name: str, disk: Disk = LOCAL) -> Path | None:
    """Copy a file to where damaged ones are kept for people, and return where; None if it cannot be read.

    Raises:
        OSError: If the disk refuses.
    """
    try:
        data = (root / name).read_bytes()
    except OSError:
        return None
    folder = root / DAMAGED
    # a name may be damaged more than once: what is kept is told apart by its bytes
    target = folder / f"{hash_bytes(data)[:8]}-{Path(name).name}"
    if target.exists():
        # what a killed repair left may be seen without being durable
        disk.sync_directory(folder)
    else:
        make_directories(folder, disk)
        publish(target, data, root / "tmp", disk)
    return target


def _pointer(root: Path) -> tuple[Pointer | None, str]:
    try:
        return read_pointer(root), ""
    except WorkspaceError:
        return None, "the file is missing"
    except CorruptFileError as error:
        return None, error.message.rstrip(".")


def _whole_manifests(root: Path, pointer: Pointer | None) -> list[Manifest]:
    """Return the manifests that can be believed, newest first, none newer than CURRENT says."""
    said = _said(root)
    found: list[Manifest] = []
    for path in sorted((root / "manifests").glob("*.json"), reverse=True):
        if pointer is not None and path.name > pointer.name:
            continue
        data = _bytes(path)
        digest = hash_bytes(data)
        named = pointer.hash if pointer is not None and pointer.name == path.name else ""
        if digest != named and (named or (digest not in said and seal_problem(data) != "")):
            continue
        manifest = check_manifest(data, digest, str(path))
        if manifest_name(manifest.number) == path.name:
            found.append(manifest)
            said.add(manifest.previous)
    return found


def _said(root: Path) -> set[str]:
    """Return the hashes of manifests that stand in CURRENT, whatever else of it is damaged, and in leases."""
    current = _bytes(root / CURRENT).decode("latin-1")
    leases = " ".join(path.name for path in (root / "readers").glob("*"))
    return set(re.findall(r"[0-9a-f]{32}", f"{current} {leases}"))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _absent(root: Path, manifest: Manifest) -> int:
    return sum(not (root / f.path).is_file() for f in manifest.files)


def _last_number(root: Path) -> int:
    names = [path.stem for path in (root / "manifests").glob("*.json")]
    return max((int(name) for name in names if name.isdecimal()), default=0)


def _stands(found: list[Manifest], number: int) -> bool:
    return any(manifest.number == number for manifest in found)


def _format_damage(root: Path, manifest: Manifest) -> tuple[tuple[Damage, ...], tuple[int, str] | None]:
    try:
        found = read_format(root)
    except WorkspaceError as error:
        if (root / "FORMAT").exists():
            raise
        problem = error.message
    except CorruptFileError as error:
        problem = error.message
    else:
        del found
        return (), None
    # what format 1 lacks is what its first writer of a later one adds
    version = FORMAT if manifest.epoch or (root / "readers").is_dir() else 1
    name = _ID.search(_bytes(root / "FORMAT"))
    identity = name[1].decode() if name else uuid.uuid4().hex
    remedy = f"written anew, for format {version}" + ("" if name else ", with a new identity")
    return (Damage("FORMAT", problem.rstrip("."), remedy),), (version, identity)


def _older(root: Path) -> tuple[Damage, ...]:
    """Return what is wrong with the generations before the newest, which is whole."""
    try:
        recent_manifests(root, KEPT_MANIFESTS)
    except CorruptFileError as error:
        name = Path(error.where).relative_to(root).as_posix()
        remedy = "an earlier generation, which nothing needs: the newest is published again in its place"
        return (Damage(name, error.message.rstrip("."), remedy),)
    return ()


def _orphans(
    root: Path, found: list[Manifest], manifest: Manifest, broken: tuple[int, ...]
) -> tuple[str, ...]:
    """Return files that no whole manifest names but a later one may have."""
    known = {f.path for m in found for f in m.files}
    there = {name for name in _stored(root) if name not in known}
    texts = [_bytes(root / "manifests" / manifest_name(number)) for number in broken]
    if broken and all(texts):
        there &= {name.decode() for text in texts for name in _FILE.findall(text)}
    elif not broken:
        # nothing says whether there was a later one: its files would not be older, by a clock that ticks
        age = (root / "manifests" / manifest_name(manifest.number)).stat().st_mtime
        there = {name for name in there if (root / name).stat().st_mtime >= age}
    return tuple(sorted(there))


def _stored(root: Path) -> Iterator[str]:
    for folder in _FOLDERS:
        for path in (root / folder).rglob("*"):
            name = path.relative_to(root).as_posix()
            if path.is_file() and not name.startswith(f"{DAMAGED}/"):
                yield name


def _head_damages(
    manifest: Manifest, problem: str, broken: tuple[int, ...], orphans: tuple[str, ...]
) -> tuple[Damage, ...]:
    back = f"the workspace goes on from generation {manifest.number} of {manifest.created}"
    kept = f"{len(orphans):,} files that no whole manifest names are kept in {DAMAGED}" if orphans else ""
    lost = [
        Damage(
            f"manifests/{manifest_name(number)}",
            "the manifest is missing or damaged",
            back,
            f"what generation {number} changed is lost: ingest again what was ingested since"
            + (f"; {kept}" if kept else ""),
        )
        for number in broken
    ]
    later = f"if there was a later generation, it is lost: {kept}" if kept and not broken else ""
    current = [Damage(CURRENT, problem, back, later)] if problem else []
    return (*current, *lost)


def _point(root: Path, manifest: Manifest, disk: Disk) -> None:
    name = manifest_name(manifest.number)
    pointer = json.dumps({"manifest": name, "hash": manifest.digest}).encode()
    publish(root / CURRENT, pointer, root / "tmp", disk)
