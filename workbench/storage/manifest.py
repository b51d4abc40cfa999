"""Manifests: what a generation of the workspace consists of. Nothing else is authority."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench.errors import CorruptFileError, WorkspaceError
from workbench.storage.disk import LOCAL
from workbench.storage.files import hash_bytes, publish

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.storage.disk import Disk

__all__ = [
    "FileEntry",
    "LedgerEntry",
    "Manifest",
    "Pointer",
    "check_manifest",
    "commit",
    "is_mirror",
    "manifest_name",
    "parse_pointer",
    "read_current",
    "read_manifest",
    "read_pointer",
    "recent_manifests",
    "seal_problem",
    "sealed",
]

CURRENT = "CURRENT"
# What CURRENT says beside the manifest if this is a mirror.
MIRROR = "mirror"
_HASH_BYTES = 16


@dataclass(frozen=True)
class FileEntry:
    """One live file.

    Attributes:
        path: Relative to the workspace.
        kind: What it holds ("events", "entities", "knowledge", …), opaque to the store.
        segment: The segment's day, or empty for what belongs to none.
        name: The event type, knowledge kind or reference within the kind, where there is one.
        rows: Rows in it.
        bytes: Length.
        hash: xxh3-128 of its bytes, in hex.
        min_ts: Earliest event time in microseconds since 1970, for events.
        max_ts: Latest event time.
        inputs: Hash of everything that it was derived from; empty for what was not derived.
        meta: What the stage above wants to know without opening it.
    """

    path: str
    kind: str
    segment: str
    name: str
    rows: int
    bytes: int
    hash: str
    min_ts: int | None = None
    max_ts: int | None = None
    inputs: str = ""
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LedgerEntry:
    """What was taken from one source: committed in the same manifest as its rows.

    Attributes:
        source: How the source was named when it was read.
        name: The event type or reference that its rows became.
        hash: xxh3-128 of the source's bytes.
        bytes: Length of the source.
        position: Records read so far, good and bad.
        rows: Documents stored from it.
        rejected: Records that went to quarantine.
        status: "partial", "done" or "quarantined".
    """

    source: str
    name: str
    hash: str
    bytes: int
    position: int
    rows: int
    rejected: int
    status: str

    @property
    def key(self) -> str:
        """Return what makes the source the same again: its bytes and what they were read as."""
        return f"{self.hash}-{self.bytes}-{self.name}"


@dataclass(frozen=True)
class Manifest:
    """One generation: immutable, named by its number, chained to the one before by hash.

    Attributes:
        number: The generation.
        created: Wall clock, ISO 8601.
        previous: Hash of the manifest before, empty for the first.
        files: All live files.
        ledger: What was taken from which source, by :attr:`LedgerEntry.key`.
        state: Small facts that the stages above keep with a generation (field types, schema, …).
        epoch: That of the writer that committed it.
        digest: Hash of the bytes that it was read from, empty before it is committed.
    """

    number: int
    created: str
    previous: str
    files: tuple[FileEntry, ...] = ()
    ledger: dict[str, LedgerEntry] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    epoch: int = 0
    digest: str = field(default="", compare=False)

    def encode(self) -> bytes:
        """Return the manifest as canonical JSON, sealed with its own hash."""
        data = {
            "number": self.number,
            "created": self.created,
            "previous": self.previous,
            "epoch": self.epoch,
            "files": [asdict(f) for f in self.files],
            "ledger": [asdict(e) for e in self.ledger.values()],
            "state": self.state,
        }
        return sealed(json.dumps(data, separators=(",", ":"), sort_keys=True, allow_nan=False).encode())

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """Return the manifest that :meth:`encode` wrote."""
        raw = json.loads(data)
        entries = [LedgerEntry(**e) for e in raw["ledger"]]
        return cls(
            raw["number"],
            raw["created"],
            raw["previous"],
            tuple(FileEntry(**f) for f in raw["files"]),
            {e.key: e for e in entries},
            raw["state"],
            raw.get("epoch", 0),  # format 1 has none
        )

    def next(self, created: str, **changes: Any) -> Manifest:
        """Return the manifest that follows this one, not yet committed."""
        # the bytes on disk count, which another version may have encoded
        previous = self.digest or hash_bytes(self.encode())
        return replace(self, number=self.number + 1, created=created, previous=previous, digest="", **changes)


_SEAL = b',"xxh3":"%b"}'


def sealed(data: bytes) -> bytes:
    """Return a JSON object with one more member, the hash of what stands before it.

    Where nothing else is left that says what its bytes were, it says so itself.
    """
    return data[:-1] + _SEAL % hash_bytes(data).encode()


def seal_problem(data: bytes) -> str | None:
    """Return what is wrong with the bytes of a sealed object, nothing if all is well, None without a seal.

    >>> seal_problem(sealed(b'{"a":1}')), seal_problem(sealed(b'{"a":1}').replace(b"1", b"3", 1))
    ('', 'its bytes are not those that were written')
    """
    body, seal, _ = data.rpartition(b',"xxh3":"')
    if not seal:
        return None
    return "" if sealed(body + b"}") == data else "its bytes are not those that were written"


def commit(root: Path, manifest: Manifest, disk: Disk = LOCAL) -> None:
    """Make ``manifest`` the current generation, durably and at once."""
    data = manifest.encode()
    name = manifest_name(manifest.number)
    publish(root / "manifests" / name, data, root / "tmp", disk)
    publish(root / CURRENT, Pointer(name, hash_bytes(data)).encode(), root / "tmp", disk)


def manifest_name(number: int) -> str:
    """Return the file name of a generation's manifest; names sort by number."""
    return f"{number:010d}.json"


def recent_manifests(root: Path, count: int) -> list[Manifest]:
    """Return the last ``count`` generations, newest first, each checked against the one after it.

    Raises:
        CorruptFileError: If one of them is missing or not what its successor says.
    """
    found = [read_current(root)]
    while len(found) < count and found[-1].previous:
        path = root / "manifests" / manifest_name(found[-1].number - 1)
        found.append(read_manifest(path, found[-1].previous))
    return found


class Pointer(NamedTuple):
    """What CURRENT says: which manifest is the newest."""

    name: str
    hash: str

    @property
    def number(self) -> int:
        """Return the generation."""
        return int(self.name.removesuffix(".json"))

    def encode(self) -> bytes:
        """Return the CURRENT file of a workspace."""
        return json.dumps({"manifest": self.name, "hash": self.hash}).encode()


def read_pointer(root: Path) -> Pointer:
    """Return which manifest is the newest.

    Raises:
        WorkspaceError: If there is no CURRENT file.
        CorruptFileError: If it says something else.
    """
    try:
        data = (root / CURRENT).read_bytes()
    except FileNotFoundError:
        raise WorkspaceError("the workspace has no CURRENT file.", where=str(root)) from None
    return parse_pointer(data, str(root / CURRENT))


def parse_pointer(data: bytes, where: str) -> Pointer:
    """Return what the bytes of a CURRENT file say.

    Raises:
        CorruptFileError: If they say something else.
    """
    try:
        found = json.loads(data)
        pointer = Pointer(found["manifest"], found["hash"])
        if manifest_name(pointer.number) != pointer.name or len(bytes.fromhex(pointer.hash)) != _HASH_BYTES:
            raise ValueError("no name or no hash of a manifest")  # noqa: TRY301  (one error for all that may be wrong)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptFileError(f"not what a commit writes: {error}.", where=where, fix=_FIX) from error
    return pointer


def is_mirror(root: Path) -> bool:
    """Return whether a directory holds a mirror of a workspace rather than a workspace."""
    read_pointer(root)
    return MIRROR in json.loads((root / CURRENT).read_bytes())


def read_current(root: Path) -> Manifest:
    """Return the newest generation.

    Raises:
        WorkspaceError: If there is none.
        CorruptFileError: If its manifest is not what CURRENT says.
    """
    name, expected = read_pointer(root)
    return read_manifest(root / "manifests" / name, expected)


_FIX = (
    "'workbench repair' goes back to the newest whole manifest; or restore it from a copy of the workspace."
)


def read_manifest(path: Path, expected: str) -> Manifest:
    """Return one manifest after checking its hash.

    Raises:
        CorruptFileError: If the file is missing or its hash differs.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CorruptFileError("the manifest is missing.", where=str(path), fix=_FIX) from None
    return check_manifest(data, expected, str(path))


def check_manifest(data: bytes, expected: str, where: str) -> Manifest:
    """Return the manifest that some bytes are.

    Raises:
        CorruptFileError: If their hash differs, or it names a file that is not in the workspace.
    """
    if hash_bytes(data) != expected:
        raise CorruptFileError("the manifest's bytes are not those committed.", where=where, fix=_FIX)
    manifest = replace(Manifest.decode(data), digest=expected)
    # a stranger's manifest may have its own hash
    if any(file.path.startswith("/") or ".." in file.path.split("/") for file in manifest.files):
        raise CorruptFileError("the manifest names a file outside the workspace.", where=where)
    return manifest
