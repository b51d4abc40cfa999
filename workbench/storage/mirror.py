"""Mirrors: a workspace's newest generation, copied to a place where nobody writes to it.

A mirror is laid out as the workspace is. Its files are copied first, then the manifest, last its *head*, the
file ``CURRENT``: it names the manifest, those of the two generations that were mirrored before, and holds
the workspace's own files (its entity schema, settings, …) as they were then. The head is replaced only if
it still is what was seen at the start, so that of two mirrors that run at once one begins again. Whoever
is killed before that leaves the former generation as it was.
"""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import xxhash

from workbench.errors import CorruptFileError, RemoteError, WorkspaceError
from workbench.logs import get_logger
from workbench.progress import Update, silent
from workbench.storage.collect import FOLDERS as DATA
from workbench.storage.collect import KEPT_MANIFESTS
from workbench.storage.files import hash_bytes, make_directories
from workbench.storage.format import FOLDERS
from workbench.storage.manifest import (
    MIRROR,
    Pointer,
    check_manifest,
    manifest_name,
    parse_pointer,
)
from workbench.storage.places import HEAD, Directory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from workbench.progress import Progress
    from workbench.storage.manifest import FileEntry
    from workbench.storage.places import Place, Stored
    from workbench.storage.snapshot import Snapshot
    from workbench.storage.store import SegmentStore

__all__ = ["Head", "MirrorReport", "configuration", "mirror", "read_head", "restore"]

# What a workspace has beside data, and what of it a mirror holds.
_CONFIGURATION = ("FORMAT", "workbench.toml", "rules", "schema")
_TRIES = 10
# What is younger may be another mirror's, which has not come to its manifest yet.
_GRACE_SECONDS = 86_400.0


@dataclass(frozen=True)
class MirrorReport:
    """What is in a mirror now, and what was done for it.

    Attributes:
        place: Where it is.
        generation: The generation that it holds.
        files: Files of it.
        bytes: Their size.
        copied: Files that were copied; the others were there.
        copied_bytes: Their size.
        pruned: Files that were deleted.
    """

    place: str
    generation: int
    files: int
    bytes: int
    copied: int
    copied_bytes: int
    pruned: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON data."""
        return asdict(self)

    def __str__(self) -> str:
        """Return two or three sentences."""
        pruned = f" Deleted {self.pruned:,} old files." if self.pruned else ""
        return (
            f"{self.place} holds generation {self.generation:,}: {self.files:,} files, "
            f"{self.bytes / 1e6:,.1f} MB. Copied {self.copied:,} files, "
            f"{self.copied_bytes / 1e6:,.1f} MB.{pruned}"
        )


@dataclass(frozen=True)
class Head:
    """What the head of a mirror says.

    Attributes:
        pointer: The manifest of the generation that it holds.
        workspace: The identity of the workspace.
        before: The manifests that it held before, newest first.
        files: Texts of the workspace's own files, by path.
    """

    pointer: Pointer
    workspace: str
    before: tuple[Pointer, ...]
    files: Mapping[str, str]

    def encode(self) -> bytes:
        """Return the head as JSON, which is a CURRENT file too."""
        facts = {"workspace": self.workspace, "before": self.before, "files": self.files}
        return json.dumps({**json.loads(self.pointer.encode()), MIRROR: facts}, sort_keys=True).encode()

    @classmethod
    def decode(cls, data: bytes, where: str) -> Head:
        """Return the head that :meth:`encode` wrote.

        Raises:
            CorruptFileError: If it is something else.
            WorkspaceError: If it is a workspace's, which is no mirror.
        """
        pointer = parse_pointer(data, where)
        facts = json.loads(data).get(MIRROR)
        if facts is None:
            raise WorkspaceError("this is a workspace, not a mirror of one.", where=where)
        try:
            before = tuple(Pointer(name, digest) for name, digest in facts["before"])
            head = cls(pointer, facts["workspace"], before, facts["files"])
            ours = all(_is_ours(name) and isinstance(text, str) for name, text in head.files.items())
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CorruptFileError(f"not the head of a mirror: {error!r}.", where=where) from error
        if not ours:
            raise CorruptFileError("it holds files that are no workspace's own.", where=where)
        return head

    def following(self, pointer: Pointer, files: Mapping[str, str]) -> Head:
        """Return the head of the next generation, or of this one with other files."""
        before = self.before if pointer == self.pointer else (self.pointer, *self.before)
        return replace(self, pointer=pointer, before=before[: KEPT_MANIFESTS - 1], files=files)


def _is_ours(name: str) -> bool:
    """Return whether this is the path of a file that a workspace has beside data, and no way out of it."""
    parts = name.split("/")
    return parts[0] in _CONFIGURATION and not {"", ".", ".."} & set(parts)


def read_head(place: Place) -> tuple[Head, str] | None:
    """Return the head of a mirror and its version, or None where there is no mirror.

    Raises:
        CorruptFileError: If it is damaged.
        WorkspaceError: If there is a workspace.
        RemoteError: If the place does not answer.
    """
    found = place.head()
    return None if found is None else (Head.decode(found[0], f"{place.name}/{HEAD}"), found[1])


def configuration(root: Path) -> dict[str, str]:
    """Return the texts of a workspace's own files, by path."""
    tops = (root / name for name in _CONFIGURATION)
    files = (path for top in tops for path in (sorted(top.rglob("*")) if top.is_dir() else [top]))
    # whatever bytes somebody wrote there come back the same
    return {
        path.relative_to(root).as_posix(): path.read_bytes().decode("utf-8", "surrogateescape")
        for path in files
        if path.is_file()
    }


def mirror(  # noqa: PLR0913  (what a user says of it)
    store: SegmentStore,
    place: Place,
    *,
    prune: bool = False,
    full: bool = False,
    grace: float = _GRACE_SECONDS,
    progress: Progress = silent,
) -> MirrorReport:
    """Copy the newest generation's files that a mirror does not have, then its manifest, then the head.

    Args:
        store: The workspace.
        place: Where the mirror is, or shall be.
        prune: Whether to delete what none of the last three generations in the mirror names.
        full: Whether to read back what is there already, and copy again what is damaged.
        grace: Seconds for which nothing is pruned after it was written.
        progress: Told as files are copied.

    Raises:
        WorkspaceError: If something else is there, or the mirror of another workspace.
        CorruptFileError: If a file of the workspace is damaged; the mirror stays as it was.
        RemoteError: If the place does not answer; the mirror stays as it was.
    """
    _require_apart(store, place)
    for _ in range(_TRIES):
        snapshot = store.snapshot()
        pointer = Pointer(manifest_name(snapshot.generation), snapshot.manifest.digest)
        found = read_head(place)
        head, version = found or (None, None)
        there = place.list()
        _require_ours(store, snapshot, head, place, there)
        texts = configuration(store.root)
        copied = _copy(snapshot, place, there, full=full, progress=progress)
        known = {} if head is None else head.files
        _put_texts(place, {n: t for n, t in texts.items() if known.get(n) != t or n not in there})
        following = Head(pointer, store.id, (), texts) if head is None else head.following(pointer, texts)
        if following == head or place.swap(following.encode(), version):
            break
    else:
        raise RemoteError("other mirrors were faster each time.", where=place.name, fix="Run it again.")
    place.delete(name for name in known if name not in texts)
    pruned = _prune(place, following, grace) if prune else 0
    files = snapshot.manifest.files
    return MirrorReport(
        place.name,
        snapshot.generation,
        len(files),
        sum(f.bytes for f in files),
        len(copied),
        sum(f.bytes for f in copied),
        pruned,
    )


def restore(store: SegmentStore, root: Path, *, progress: Progress = silent) -> MirrorReport:
    """Copy the newest generation to a directory as a workspace of its own.

    Args:
        store: A workspace or a mirror.
        root: An empty or a new directory, or one in which this was interrupted.
        progress: Told as files are copied.

    Raises:
        WorkspaceError: If something is there already.
        CorruptFileError: If a file is damaged.
        RemoteError: If the mirror does not answer, or the file system refuses.
    """
    place = Directory(root, store.disk)
    snapshot = store.snapshot()
    there = place.list()
    _require_vacant(place, there)
    copied = _copy(snapshot, place, there, full=True, progress=progress)
    _put_texts(place, configuration(store.root))
    for folder in FOLDERS:
        make_directories(root / folder, store.disk)
    pointer = Pointer(manifest_name(snapshot.generation), snapshot.manifest.digest)
    if not place.swap(pointer.encode(), None):
        raise WorkspaceError("somebody else made a workspace here meanwhile.", where=place.name)
    size = sum(f.bytes for f in snapshot.manifest.files)
    files = len(snapshot.manifest.files)
    return MirrorReport(
        place.name, snapshot.generation, files, size, len(copied), sum(f.bytes for f in copied), 0
    )


def _require_ours(
    store: SegmentStore, snapshot: Snapshot, head: Head | None, place: Place, there: Mapping[str, Stored]
) -> None:
    """Raise unless the place is vacant or holds a mirror of this workspace's past."""
    if head is None:
        _require_vacant(place, there)
        return
    if head.workspace != store.id:
        raise WorkspaceError(
            "this is the mirror of another workspace.", where=place.name, fix="Name another place."
        )
    number = head.pointer.number
    if number <= snapshot.generation:
        try:
            ours = (store.root / "manifests" / head.pointer.name).read_bytes()
        except FileNotFoundError:
            return  # so long ago that nobody knows
        if hash_bytes(ours) == head.pointer.hash:
            return
    raise WorkspaceError(
        f"the mirror holds a generation {number:,} that this workspace never had: "
        f"it is of another copy of the workspace, which is at generation {snapshot.generation:,}.",
        where=place.name,
        fix="Name another place.",
    )


def _require_apart(store: SegmentStore, place: Place) -> None:
    """Raise where a mirror would lie in the workspace: it would go with it, and be taken for a part of it."""
    if isinstance(place, Directory) and store.root.resolve() in place.root.resolve().parents:
        raise WorkspaceError(
            "a mirror cannot lie in the workspace that it is a copy of.",
            where=place.name,
            fix="Name a place beside it, best on another disk.",
        )


def _require_vacant(place: Place, there: Mapping[str, Stored]) -> None:
    """Raise unless a place holds nothing but what an interrupted mirror leaves."""
    ours = {*FOLDERS, *_CONFIGURATION, "LOCK"}
    for name in there:
        if name.partition("/")[0] not in ours:
            raise WorkspaceError(
                f"there is something already: {name}.", where=place.name, fix="Name an empty or a new place."
            )


def _copy(
    snapshot: Snapshot, place: Place, there: Mapping[str, Stored], *, full: bool, progress: Progress
) -> list[FileEntry]:
    """Copy the files that are missing and the manifest, and return the former."""

    def copy(file: FileEntry) -> FileEntry | None:
        found = there.get(file.path)
        if found and found.bytes == file.bytes and not (full and _digest(place, file.path) != file.hash):
            return None
        place.put(file.path, snapshot.path(file))
        return file

    files, copied = snapshot.manifest.files, []
    with ThreadPoolExecutor(place.parallel) as pool:
        for done, file in enumerate(pool.map(copy, files), 1):
            copied += [file] if file else []
            progress(Update("mirror", done, len(files), "files"))
    if copied:
        arrived = place.list()
        for file in copied:
            if file.path not in arrived or arrived[file.path].bytes != file.bytes:
                raise RemoteError("what was sent did not arrive.", where=f"{place.name}/{file.path}")
    name = f"manifests/{manifest_name(snapshot.generation)}"
    if _digest(place, name) != snapshot.manifest.digest:
        place.put(name, (snapshot.root / name).read_bytes())
    place.settle([name, *(file.path for file in files)])
    return copied


def _put_texts(place: Place, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        place.put(name, text.encode("utf-8", "surrogateescape"))
    place.settle(texts)


def _prune(place: Place, head: Head, grace: float) -> int:
    """Delete what no generation that the head names needs, and return how many files it were."""
    kept = set()
    for pointer in (head.pointer, *head.before):
        name = f"manifests/{pointer.name}"
        try:
            data = place.read(name) or b""
            kept |= {name, *(f.path for f in check_manifest(data, pointer.hash, name).files)}
        except CorruptFileError as error:
            get_logger("storage").warning("nothing is pruned", place=place.name, reason=str(error))
            return 0
    doomed = [
        name
        for name, stored in place.list().items()
        if name.partition("/")[0] in {*DATA, "manifests"} and name not in kept and stored.age > grace
    ]
    now = read_head(place)
    if now is None or now[0] != head:
        return 0  # the mirror that was faster may need what this one does not know
    place.delete(doomed)
    return len(doomed)


class _Digest(io.BytesIO):
    """A file that keeps nothing of what is written but its hash."""

    def __init__(self) -> None:
        super().__init__()
        self.value = xxhash.xxh3_128()

    def write(self, data: Any) -> int:
        self.value.update(data)
        self.seek(len(data), io.SEEK_CUR)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        self.value.reset()
        return super().truncate(size)


def _digest(place: Place, path: str) -> str:
    """Return the hash of a place's file, or nothing where there is no such file."""
    sink = _Digest()
    return sink.value.hexdigest() if place.get(path, sink) else ""
