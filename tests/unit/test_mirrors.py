"""Mirrors in a directory, read back as a workspace: what is copied, when, and what is refused.

A mirrored store reads from any place; here it is a directory, which needs no server. S3 is in
``tests/faults/test_mirror_s3.py``.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

import workbench as wb
from workbench.cli.app import app
from workbench.errors import (
    CorruptFileError,
    DiskFullError,
    ReadOnlyError,
    RemoteError,
    StorageError,
    UsageError,
    WorkspaceError,
)
from workbench.settings import Settings
from workbench.storage import SegmentStore
from workbench.storage.disk import Disk, Space
from workbench.storage.files import hash_bytes
from workbench.storage.mirror import mirror, read_head, restore
from workbench.storage.places import Directory, place_at
from workbench.storage.remote import MirroredStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.storage import FileEntry, Snapshot

FIRST, SECOND, THIRD = "2025-06-12", "2025-06-13", "2025-06-14"
SCHEMA = b"metadata: {id: mine}\n"
MANY = 1 << 30


class FastDisk(Disk):
    """A disk that syncs nothing: these tests lose no power."""

    def sync(self, descriptor: int) -> None:
        pass

    def sync_directory(self, path: Path) -> None:
        pass


FAST = FastDisk()


@pytest.fixture
def store(tmp_path: Path) -> SegmentStore:
    store = SegmentStore.create(tmp_path / "w", {"schema/entity.yaml": SCHEMA}, disk=FAST)
    write(store, FIRST, SECOND)
    return store


@pytest.fixture
def place(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "mirror", FAST)


def write(store: SegmentStore, *days: str, remove: str = "") -> Snapshot:
    """Publish a generation with a file in each of some days, without those of another day."""
    with store.writer() as writer:
        transaction = writer.begin()
        transaction.remove(f for f in transaction.base.manifest.files if f.segment == remove)
        for day in days:
            table = pa.table({"x": pa.array([1, 2], pa.int64())})
            transaction.add("events", table, segment=day, name="Login", times=(1, 2))
        return transaction.commit()


def content(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def entry(store: SegmentStore, day: str = FIRST) -> FileEntry:
    return store.snapshot().files("events", segments=[day])[0]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def age(path: Path, seconds: float = 3600) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


@pytest.fixture
def opened(place: Directory, tmp_path: Path) -> Callable[..., MirroredStore]:
    """Return a function that opens the mirror, with a cache of its own."""

    def open_it(limit: int = MANY, *, disk: Disk = FAST, reserve: int | None = None) -> MirroredStore:
        return MirroredStore(place, tmp_path / "cache", limit, disk=disk, reserve=reserve)

    return open_it


class TestMirror:
    def test_it_is_laid_out_as_the_workspace_is(self, store: SegmentStore, place: Directory) -> None:
        report = mirror(store, place)
        size = sum(f.bytes for f in store.snapshot().manifest.files)
        assert report.to_dict() == {
            "place": place.name,
            "generation": 1,
            "files": 2,
            "bytes": size,
            "copied": 2,
            "copied_bytes": size,
            "pruned": 0,
        }
        assert str(report).startswith(f"{place.name} holds generation 1: 2 files, 0.0 MB. Copied 2 files")
        there, here = content(place.root), content(store.root)
        assert there.pop("CURRENT") != here.pop("CURRENT")
        del here["manifests/0000000000.json"]  # the mirror was not there yet
        assert there.keys() - here.keys() == set()
        assert here.keys() - there.keys() == {n for n in here if n.startswith("readers/")}
        assert all(here[name] == data for name, data in there.items() if name != "LOCK")

    def test_it_does_not_lie_in_the_workspace(self, store: SegmentStore, tmp_path: Path) -> None:
        (tmp_path / "way").symlink_to(store.root)
        for inside in (store.root / "backup", tmp_path / "way" / "segments" / "backup"):
            with pytest.raises(WorkspaceError, match="cannot lie in the workspace"):
                mirror(store, Directory(inside, FAST))
            assert not inside.exists()

    def test_a_mirror_in_a_directory_is_read_and_not_written_to(
        self, store: SegmentStore, place: Directory
    ) -> None:
        mirror(store, place)
        mirrored = SegmentStore(place.root)
        snapshot = mirrored.snapshot()
        assert (snapshot.generation, snapshot.segments) == (1, [FIRST, SECOND])
        assert [problem for _, problem in snapshot.verify(full=True)] == ["", ""]
        with pytest.raises(ReadOnlyError, match="only read") as caught, mirrored.writer():
            pass
        assert caught.value.where == str(place.root)

    def test_nothing_is_copied_twice(self, store: SegmentStore, place: Directory) -> None:
        mirror(store, place)
        before = {p: p.stat().st_mtime_ns for p in place.root.rglob("*") if p.name != "LOCK"}
        again = mirror(store, place)
        assert (again.copied, again.generation) == (0, 1)
        assert {p: p.stat().st_mtime_ns for p in place.root.rglob("*") if p.name != "LOCK"} == before

    def test_a_newer_generation_adds_what_is_new(self, store: SegmentStore, place: Directory) -> None:
        mirror(store, place)
        write(store, THIRD)
        report = mirror(store, place)
        assert (report.generation, report.files, report.copied) == (2, 3, 1)
        head = read_head(place)
        assert head is not None
        assert (head[0].pointer.number, [p.number for p in head[0].before]) == (2, [1])
        assert (place.root / "manifests" / "0000000001.json").exists()

    @pytest.mark.parametrize("damage", ["lose", "cut"])
    def test_what_is_missing_or_short_is_copied_again(
        self, store: SegmentStore, place: Directory, damage: str
    ) -> None:
        mirror(store, place)
        path = place.root / entry(store).path
        if damage == "lose":
            path.unlink()
            (place.root / "manifests" / "0000000001.json").unlink()
            (place.root / "schema" / "entity.yaml").unlink()
        else:
            path.write_bytes(path.read_bytes()[:-1])
        assert mirror(store, place).copied == 1
        assert [problem for _, problem in SegmentStore(place.root).snapshot().verify()] == ["", ""]
        assert (place.root / "schema" / "entity.yaml").read_bytes() == SCHEMA

    def test_a_flipped_bit_is_found_where_one_looks(self, store: SegmentStore, place: Directory) -> None:
        mirror(store, place)
        flip(place.root / entry(store).path)
        assert mirror(store, place).copied == 0
        assert mirror(store, place, full=True).copied == 1
        assert [problem for _, problem in SegmentStore(place.root).snapshot().verify()] == ["", ""]

    def test_a_damaged_workspace_leaves_the_mirror_as_it_was(
        self, store: SegmentStore, place: Directory
    ) -> None:
        mirror(store, place)
        before = place.head()
        write(store, THIRD)
        flip(store.root / entry(store, THIRD).path)
        with pytest.raises(CorruptFileError):
            mirror(store, place)
        assert place.head() == before

    def test_an_empty_workspace_and_empty_files_have_mirrors_too(
        self, place: Directory, tmp_path: Path
    ) -> None:
        empty = SegmentStore.create(tmp_path / "empty", disk=FAST)
        assert (mirror(empty, place).generation, SegmentStore(place.root).snapshot().segments) == (0, [])
        (tmp_path / "nothing").touch()
        place.put("schema/nothing", tmp_path / "nothing")
        assert place.read("schema/nothing") == b""


class TestConfiguration:
    def test_it_goes_with_the_generation(
        self, store: SegmentStore, place: Directory, opened: Callable[[], MirroredStore]
    ) -> None:
        """Also bytes that are no text, and a file that is taken away."""
        odd = store.root / "rules" / "deep" / "odd.yaml"
        odd.parent.mkdir(parents=True)
        odd.write_bytes(b"\xff\xfe")
        mirror(store, place)
        mirrored = opened()
        assert (mirrored.root / "schema" / "entity.yaml").read_bytes() == SCHEMA
        assert (mirrored.root / "rules" / "deep" / "odd.yaml").read_bytes() == b"\xff\xfe"

        odd.unlink()
        (store.root / "schema" / "entity.yaml").write_text("other")
        assert mirror(store, place).copied == 0
        assert not (place.root / "rules" / "deep" / "odd.yaml").exists()
        mirrored = opened()
        assert (mirrored.root / "schema" / "entity.yaml").read_text() == "other"
        assert not (mirrored.root / "rules" / "deep" / "odd.yaml").exists()

    @pytest.mark.parametrize("name", ["../x", "schema/../../x", "/etc/x", "segments/x", "schema//x", ""])
    def test_a_strangers_mirror_writes_nowhere_else(
        self, store: SegmentStore, place: Directory, opened: Callable[[], MirroredStore], name: str
    ) -> None:
        mirror(store, place)
        head = json.loads((place.root / "CURRENT").read_bytes())
        head["mirror"]["files"][name] = "mine"
        (place.root / "CURRENT").write_text(json.dumps(head))
        with pytest.raises(CorruptFileError, match="no workspace's own"):
            opened()

    def test_nor_does_its_manifest(
        self, store: SegmentStore, place: Directory, opened: Callable[[], MirroredStore]
    ) -> None:
        mirror(store, place)
        path = place.root / "manifests" / "0000000001.json"
        manifest = json.loads(path.read_bytes())
        manifest["files"][0]["path"] = "segments/../../../x"
        path.write_text(json.dumps(manifest))
        head = json.loads((place.root / "CURRENT").read_bytes())
        head["hash"] = hash_bytes(path.read_bytes())
        (place.root / "CURRENT").write_text(json.dumps(head))
        with pytest.raises(CorruptFileError, match="outside"):
            opened().snapshot()

    @pytest.mark.parametrize("facts", [{}, {"workspace": "x", "before": [1], "files": {}}, [], 7])
    def test_a_head_that_says_something_else_is_damage(
        self, store: SegmentStore, place: Directory, facts: object
    ) -> None:
        mirror(store, place)
        head = json.loads((place.root / "CURRENT").read_bytes())
        (place.root / "CURRENT").write_text(json.dumps({**head, "mirror": facts}))
        with pytest.raises(CorruptFileError, match="not the head"):
            mirror(store, place)


class TestPrune:
    def test_the_last_three_generations_of_the_mirror_stay(
        self, store: SegmentStore, place: Directory
    ) -> None:
        doomed = entry(store).path
        for day in (FIRST, SECOND, THIRD):
            mirror(store, place)
            write(store, THIRD, remove=day)
            assert mirror(store, place, prune=True, grace=-1).pruned == (2 if day == THIRD else 0)
        assert not (place.root / doomed).exists()
        assert sorted(p.name for p in (place.root / "manifests").iterdir()) == [
            f"{n:010}.json" for n in (2, 3, 4)
        ]
        assert [problem for _, problem in SegmentStore(place.root).snapshot().verify()] == [""]

    def test_what_is_young_may_be_another_mirrors(self, store: SegmentStore, place: Directory) -> None:
        mirror(store, place)
        for name in ("segments/dt=x/y.events.parquet", "tmp/z", "schema/mine"):
            (place.root / name).parent.mkdir(exist_ok=True)
            (place.root / name).touch()
        assert mirror(store, place, prune=True).pruned == 0
        age(place.root / "segments/dt=x/y.events.parquet", 100_000)
        age(place.root / "tmp/z", 100_000)
        age(place.root / "schema/mine", 100_000)
        assert mirror(store, place, prune=True).pruned == 2
        assert (place.root / "schema/mine").exists()

    @pytest.mark.parametrize("damage", [flip, Path.unlink])
    def test_nothing_is_pruned_where_a_manifest_is_damaged(
        self, store: SegmentStore, place: Directory, damage: Callable[[Path], Any]
    ) -> None:
        mirror(store, place)
        write(store, THIRD, remove=FIRST)
        mirror(store, place)
        damage(place.root / "manifests" / "0000000001.json")
        (place.root / "tmp" / "z").touch()
        assert mirror(store, place, prune=True, grace=-1).pruned == 0
        assert (place.root / "tmp" / "z").exists()


class Rival(Directory):
    """A directory in which somebody else does something just before a swap, or before a list."""

    def __init__(self, place: Directory, *, swap: Callable[[], Any], listing: int = -1) -> None:
        super().__init__(place.root, FAST)
        self._do = swap
        self._listing = listing

    def swap(self, data: bytes, version: str | None) -> bool:
        if self._listing < 0:
            self._do()
        return super().swap(data, version)

    def list(self) -> Any:
        self._listing -= 1
        if self._listing == 0:
            self._do()
        return super().list()


class TestRivals:
    def test_who_was_slower_begins_again(self, store: SegmentStore, place: Directory) -> None:
        """The other has copied a newer generation meanwhile."""

        def once() -> None:
            if store.snapshot().generation == 1:
                write(store, THIRD)
                mirror(store, place)

        report = mirror(store, Rival(place, swap=once))
        assert (report.generation, report.copied) == (2, 0)

    def test_who_is_slower_each_time_gives_up(self, store: SegmentStore, place: Directory) -> None:
        def again() -> None:
            write(store, THIRD)
            mirror(store, place)
            write(store, THIRD)

        with pytest.raises(RemoteError, match="faster each time"):
            mirror(store, Rival(place, swap=again))
        assert [p for _, p in SegmentStore(place.root).snapshot().verify(full=True)] == [""] * 21

    def test_what_a_faster_mirror_may_need_is_not_pruned(self, store: SegmentStore, place: Directory) -> None:
        mirror(store, place)
        (place.root / "tmp" / "z").touch()

        def publish() -> None:
            write(store, THIRD)
            mirror(store, place)

        # the first list is the mirror's, the second the one for pruning
        report = mirror(store, Rival(place, swap=publish, listing=2), prune=True, grace=-1)
        assert (report.generation, report.pruned) == (1, 0)
        assert (place.root / "tmp" / "z").exists()

    def test_a_file_that_did_not_arrive_is_noticed(self, store: SegmentStore, place: Directory) -> None:
        lost = entry(store)
        rival = Rival(place, swap=(place.root / lost.path).unlink, listing=2)
        with pytest.raises(RemoteError, match="did not arrive"):
            mirror(store, rival)
        assert place.head() is None


class TestRefusals:
    def test_another_workspaces_mirror_is_left_alone(
        self, store: SegmentStore, place: Directory, tmp_path: Path
    ) -> None:
        mirror(store, place)
        other = SegmentStore.create(tmp_path / "other", disk=FAST)
        write(other, FIRST)
        with pytest.raises(WorkspaceError, match="another workspace"):
            mirror(other, place)

    def test_so_is_that_of_another_copy(self, store: SegmentStore, place: Directory, tmp_path: Path) -> None:
        """One is behind the mirror, one has another generation of the same number."""
        copy = SegmentStore(Path(shutil.copytree(store.root, tmp_path / "copy")), disk=FAST)
        write(store, THIRD)
        mirror(store, place)
        for _ in range(2):
            with pytest.raises(WorkspaceError, match="never had"):
                mirror(copy, place)
            write(copy, THIRD)

    def test_of_a_generation_long_ago_nobody_knows(self, store: SegmentStore, place: Directory) -> None:
        mirror(store, place)
        write(store, THIRD)
        (store.root / "manifests" / "0000000001.json").unlink()
        assert mirror(store, place).generation == 2

    def test_a_place_with_something_else_is_left_alone(self, store: SegmentStore, place: Directory) -> None:
        place.root.mkdir()
        (place.root / "thesis.tex").touch()
        with pytest.raises(WorkspaceError, match=r"something already: thesis\.tex"):
            mirror(store, place)
        assert content(place.root) == {"thesis.tex": b""}

    def test_a_workspace_is_no_mirror(self, store: SegmentStore, tmp_path: Path) -> None:
        other = SegmentStore.create(tmp_path / "other", disk=FAST)
        for root in (other.root, store.root):
            with pytest.raises(WorkspaceError, match="not a mirror"):
                mirror(store, Directory(root))

    def test_a_disk_that_writes_something_else_is_noticed(self, store: SegmentStore, tmp_path: Path) -> None:
        class Wrong(FastDisk):
            def write(self, descriptor: int, data: memoryview) -> int:
                return super().write(descriptor, memoryview(bytes(data[:-1]) + b"\0"))

        with pytest.raises(RemoteError, match="reads back otherwise"):
            mirror(store, Directory(tmp_path / "m", Wrong()))

    def test_a_file_in_the_way_is_said(self, store: SegmentStore, tmp_path: Path) -> None:
        (tmp_path / "m").touch()
        with pytest.raises(RemoteError, match="refuses"):
            mirror(store, Directory(tmp_path / "m"))

    @pytest.mark.parametrize("doing", ["list", "get", "settle", "swap", "delete"])
    def test_what_the_file_system_refuses_is_a_remote_error(self, tmp_path: Path, doing: str) -> None:
        def refuse(*_: object) -> Any:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        disk = FastDisk()
        place = Directory(tmp_path, disk)
        for name in ("sync_directory", "rename", "unlink"):
            setattr(disk, name, refuse)
        (tmp_path / "folder").mkdir()
        deeds: dict[str, Callable[[], object]] = {
            "list": lambda: Directory(_Broken(tmp_path)).list(),
            "get": lambda: place.read("folder"),
            "settle": lambda: place.settle(["folder/x"]),
            "swap": lambda: place.swap(b"", None),
            "delete": lambda: place.delete(["x"]),
        }
        with pytest.raises(RemoteError, match="the file system refuses"):
            deeds[doing]()


class _Broken(type(Path())):  # type: ignore[misc]
    """A path whose directory cannot be listed."""

    def rglob(self, pattern: str) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(self))


class TestRestore:
    def test_a_mirror_becomes_a_workspace(
        self, store: SegmentStore, place: Directory, tmp_path: Path, opened: Callable[[], MirroredStore]
    ) -> None:
        """From a mirror in a directory as from one that is fetched."""
        mirror(store, place)
        for number, source in enumerate([SegmentStore(place.root, disk=FAST), opened()]):
            report = restore(source, tmp_path / f"r{number}")
            assert (report.generation, report.copied) == (1, 2)
            restored = SegmentStore(tmp_path / f"r{number}", disk=FAST)
            assert restored.id == store.id
            assert [problem for _, problem in restored.snapshot().verify()] == ["", ""]
            assert (restored.root / "schema" / "entity.yaml").read_bytes() == SCHEMA
            assert write(restored, THIRD).segments == [FIRST, SECOND, THIRD]

    def test_an_interrupted_one_goes_on(self, store: SegmentStore, place: Directory, tmp_path: Path) -> None:
        mirror(store, place)
        restore(SegmentStore(place.root), tmp_path / "r")
        (tmp_path / "r" / "CURRENT").unlink()
        flip(tmp_path / "r" / entry(store).path)
        assert restore(SegmentStore(place.root), tmp_path / "r").copied == 1
        assert [problem for _, problem in SegmentStore(tmp_path / "r").snapshot().verify()] == ["", ""]

    def test_of_two_at_once_one_makes_the_workspace(
        self, store: SegmentStore, place: Directory, tmp_path: Path
    ) -> None:
        mirror(store, place)
        root = tmp_path / "r"

        class Raced(FastDisk):
            def rename(self, source: Path, target: Path) -> None:
                super().rename(source, target)
                if target == root / "FORMAT":
                    (root / "CURRENT").write_text("theirs")

        with pytest.raises(WorkspaceError, match="meanwhile"):
            restore(SegmentStore(place.root, disk=Raced()), root)
        assert (root / "CURRENT").read_text() == "theirs"

    def test_a_workspace_is_not_written_over(
        self, store: SegmentStore, place: Directory, tmp_path: Path
    ) -> None:
        mirror(store, place)
        for name in ("thesis.tex", "CURRENT"):
            root = tmp_path / name.lower()
            root.mkdir()
            (root / name).write_text("mine")
            with pytest.raises(WorkspaceError, match="already"):
                restore(SegmentStore(place.root), root)
            assert content(root)[name] == b"mine"


class TestReading:
    def test_files_come_as_they_are_asked_for(
        self, store: SegmentStore, place: Directory, opened: Callable[[], MirroredStore]
    ) -> None:
        mirror(store, place)
        mirrored = opened()
        snapshot = mirrored.snapshot()
        assert (mirrored.name, mirrored.id, snapshot.lazy) == (place.name, store.id, True)
        assert mirrored.root.name == place.root.name
        assert list((mirrored.root / "segments").iterdir()) == []
        first, second = snapshot.files("events")
        assert snapshot.read(first).to_pydict() == {"x": [1, 2]}
        assert [p.name for p in (mirrored.root / "segments").iterdir()] == [f"dt={FIRST}"]
        assert snapshot.paths([first, second]) == [mirrored.root / f.path for f in (first, second)]
        assert not store.snapshot().lazy

    def test_what_is_here_is_not_fetched_again(
        self, store: SegmentStore, place: Directory, opened: Callable[[], MirroredStore]
    ) -> None:
        mirror(store, place)
        path = opened().snapshot().path(entry(store))
        (place.root / entry(store).path).unlink()
        again = opened().snapshot()
        assert again.path(entry(store)) == path
        assert [problem for _, problem in again.verify()] == ["", ""]
        (_, lost), (_, whole) = again.verify(full=True)
        assert (lost, whole) == ("the mirror has lost this file.", "")

    def test_what_is_damaged_here_is_fetched_again(
        self, store: SegmentStore, place: Directory, opened: Callable[[], MirroredStore]
    ) -> None:
        mirror(store, place)
        flip(opened().snapshot().path(entry(store)))
        mirrored = opened()
        flip(mirrored.root / "manifests" / "0000000001.json")
        snapshot = mirrored.snapshot()
        assert hash_bytes(snapshot.path(entry(store)).read_bytes()) == entry(store).hash

    def test_what_is_damaged_there_is_never_read(
        self, store: SegmentStore, place: Directory, opened: Callable[[], MirroredStore]
    ) -> None:
        mirror(store, place)
        flip(place.root / entry(store).path)
        snapshot = opened().snapshot()
        with pytest.raises(CorruptFileError, match="not those that were published") as caught:
            snapshot.path(entry(store))
        assert caught.value.where == f"{place.name}/{entry(store).path}"
        assert "--full" in caught.value.fix
        assert list((snapshot.root / "tmp").iterdir()) == []
        flip(place.root / "manifests" / "0000000001.json")
        shutil.rmtree(snapshot.root / "manifests")
        with pytest.raises(CorruptFileError, match="not those committed"):
            opened().snapshot()
        (place.root / "manifests" / "0000000001.json").unlink()
        with pytest.raises(CorruptFileError, match="lost its manifest"):
            opened().snapshot()

    def test_the_lengths_are_the_mirrors(
        self, store: SegmentStore, place: Directory, opened: Callable[[], MirroredStore]
    ) -> None:
        mirror(store, place)
        first, second = store.snapshot().files("events")
        (place.root / first.path).unlink()
        mirrored = opened()
        snapshot = mirrored.snapshot()
        assert [snapshot.size(f) for f in (first, second)] == [None, second.bytes]
        mirror(store, place)
        assert mirrored.snapshot().size(first) == first.bytes
        assert [store.snapshot().size(f) for f in (first, second)] == [first.bytes, second.bytes]

    def test_it_follows_the_mirror(
        self, store: SegmentStore, place: Directory, opened: Callable[[], MirroredStore]
    ) -> None:
        mirror(store, place)
        mirrored = opened()
        before = mirrored.snapshot()
        write(store, THIRD, remove=FIRST)
        assert mirrored.snapshot().generation == 1
        mirror(store, place)
        assert mirrored.snapshot().segments == [SECOND, THIRD]
        assert before.read(before.files("events")[0]).num_rows == 2

    def test_another_workspaces_mirror_is_not_taken_for_it(
        self, store: SegmentStore, place: Directory, opened: Callable[[], MirroredStore], tmp_path: Path
    ) -> None:
        mirror(store, place)
        mirrored = opened()
        shutil.rmtree(place.root)
        mirror(SegmentStore.create(tmp_path / "other", disk=FAST), place)
        with pytest.raises(WorkspaceError, match="another workspace"):
            mirrored.snapshot()
        assert opened().root != mirrored.root

    def test_where_there_is_no_mirror_is_said(self, opened: Callable[[], MirroredStore]) -> None:
        with pytest.raises(WorkspaceError, match="there is no mirror"):
            opened()

    def test_a_newer_format_is_refused(
        self, store: SegmentStore, place: Directory, opened: Callable[[], MirroredStore]
    ) -> None:
        (store.root / "FORMAT").write_text('{"format": 99, "least_reader": 99, "workspace": "x"}')
        mirror(store, place)
        with pytest.raises(WorkspaceError, match="format 99"):
            opened()

    def test_it_is_not_written_to(
        self, store: SegmentStore, place: Directory, opened: Callable[[], MirroredStore]
    ) -> None:
        mirror(store, place)
        mirrored = opened()
        mirrored.snapshot()
        with pytest.raises(ReadOnlyError) as caught, mirrored.writer():
            pass
        assert caught.value.where == place.name


class TestCache:
    def test_it_is_nobody_elses(
        self, store: SegmentStore, place: Directory, opened: Callable[[], MirroredStore], tmp_path: Path
    ) -> None:
        mirror(store, place)
        opened()
        assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700

    def test_what_was_not_used_for_longest_makes_room(
        self, store: SegmentStore, place: Directory, opened: Callable[..., MirroredStore]
    ) -> None:
        write(store, THIRD)
        mirror(store, place)
        first, second, third = store.snapshot().files("events")
        snapshot = opened().snapshot()
        paths = snapshot.paths([first, second])
        here = sum(len(d) for n, d in content(snapshot.root).items() if n.startswith(("seg", "man")))
        age(paths[0], 2000)
        age(paths[1], 1000)
        room = opened(here + third.bytes - 1).snapshot()
        room.path(third)
        assert [p.exists() for p in paths] == [False, True]

    def test_all_that_is_old_goes_where_there_is_no_room(
        self, store: SegmentStore, place: Directory, opened: Callable[..., MirroredStore]
    ) -> None:
        mirror(store, place)
        snapshot = opened().snapshot()
        path = snapshot.path(entry(store))
        for old in (path, *(snapshot.root / "manifests").iterdir()):
            age(old)
        opened(limit=1).snapshot().path(entry(store, SECOND))
        assert not path.exists()

    def test_what_is_in_use_stays(
        self, store: SegmentStore, place: Directory, opened: Callable[..., MirroredStore]
    ) -> None:
        mirror(store, place)
        snapshot = opened(limit=1).snapshot()
        paths = snapshot.paths(snapshot.files("events"))
        assert all(p.exists() for p in paths)
        age(paths[0])
        snapshot.path(entry(store))  # it is used again
        age(paths[1])
        (place.root / entry(store).path).unlink()
        assert [problem for _, problem in snapshot.verify()] == ["", ""]
        write(store, THIRD)
        mirror(store, place)
        age(paths[1])
        opened(limit=1).snapshot().path(entry(store, THIRD))
        assert [p.exists() for p in paths] == [True, False]

    def test_a_file_that_another_process_takes_away_is_fetched_again(
        self,
        store: SegmentStore,
        place: Directory,
        opened: Callable[..., MirroredStore],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """It was there a moment ago, when it was checked, and when it was found for the sweep."""
        mirror(store, place)
        snapshot = opened(limit=1).snapshot()
        path = snapshot.path(entry(store))
        utime = os.utime

        def take(*arguments: Any, **options: Any) -> None:
            path.unlink(missing_ok=True)
            utime(*arguments, **options)

        monkeypatch.setattr(os, "utime", take)
        assert snapshot.path(entry(store)).exists()
        monkeypatch.undo()
        (snapshot.root / "tmp" / "gone").symlink_to("nowhere")
        assert snapshot.path(entry(store, SECOND)).exists()

    def test_the_disks_reserve_is_left_alone(
        self, store: SegmentStore, place: Directory, opened: Callable[..., MirroredStore]
    ) -> None:
        class Full(FastDisk):
            def space(self, path: Path) -> Space:
                return Space(1 << 40, 1 << 20)

        mirror(store, place)
        snapshot = opened(disk=Full(), reserve=1 << 20).snapshot()
        with pytest.raises(DiskFullError, match="reserve"):
            snapshot.path(entry(store))
        assert opened(reserve=0).snapshot().path(entry(store)).exists()

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
    def test_a_disk_that_refuses_is_said(
        self,
        store: SegmentStore,
        place: Directory,
        opened: Callable[..., MirroredStore],
        monkeypatch: pytest.MonkeyPatch,
        number: int,
    ) -> None:
        mirror(store, place)
        kind = DiskFullError if number == errno.ENOSPC else StorageError
        snapshot = opened().snapshot()

        def refuse(*_: object) -> Any:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(Path, "replace", refuse)
        with pytest.raises(kind, match="cannot be kept"):
            snapshot.path(entry(store))
        assert list((snapshot.root / "tmp").iterdir()) == []

    def test_a_cache_that_is_none_is_said(
        self, store: SegmentStore, place: Directory, opened: Callable[[], MirroredStore], tmp_path: Path
    ) -> None:
        mirror(store, place)
        (tmp_path / "cache").touch()
        with pytest.raises(StorageError, match="cannot be kept") as caught:
            opened()
        assert "mirror_cache" in caught.value.fix


class TestPlaces:
    def test_directories_have_two_ways_of_writing(self, tmp_path: Path) -> None:
        for address in (tmp_path / "a b", f"file://{tmp_path}/a%20b", f"file://localhost{tmp_path}/a%20b"):
            assert place_at(address, Settings()).name == str(tmp_path / "a b")

    @pytest.mark.parametrize("address", ["gs://bucket/x", "https://host/x", "file://host/x"])
    def test_other_addresses_are_refused(self, address: str) -> None:
        with pytest.raises(UsageError, match="no mirror at an address"):
            place_at(address, Settings())


class TestCommands:
    """The commands, and the engine below them, on a workspace of documents."""

    @pytest.fixture
    def shop(self, tmp_path: Path) -> Path:
        (tmp_path / "orders.csv").write_text("time,item\n2025-06-12T10:00:00Z,tea\n")
        with wb.Engine.create(tmp_path / "shop") as engine:
            engine.ingest(tmp_path / "orders.csv")
        return tmp_path / "shop"

    def run(self, *arguments: object) -> str:
        done = CliRunner().invoke(app, [str(a) for a in arguments], prog_name="workbench")
        assert done.exit_code == 0, done.output
        return done.stdout

    def test_mirror_and_restore(self, shop: Path, tmp_path: Path) -> None:
        backup, again = tmp_path / "backup", tmp_path / "again"
        said = self.run("mirror", backup, "-w", shop, "-q")
        assert said.startswith(f"{backup} holds generation 1:")
        assert json.loads(self.run("mirror", backup, "-w", shop, "--json"))["copied"] == 0
        assert self.run("restore", backup, again, "-q").startswith(f"{again} holds generation 1:")
        rows = wb.open(again).sql("select item from orders").rows
        assert rows == wb.open(backup).sql("select item from orders").rows == [("tea",)]
        document = json.loads(self.run("restore", backup, tmp_path / "more", "--json"))
        assert (document["place"], document["generation"]) == (str(tmp_path / "more"), 1)

    def test_a_mirror_refuses_at_once_what_writes(self, shop: Path, tmp_path: Path) -> None:
        with wb.open(shop) as engine:
            engine.mirror(tmp_path / "backup")
        with wb.open(tmp_path / "backup") as mirrored:
            deeds: list[Callable[[], object]] = [
                lambda: mirrored.ingest(tmp_path / "orders.csv"),
                mirrored.stream,
                lambda: mirrored.compute("components"),
                lambda: mirrored.evict("2025-06-12"),
            ]
            for deed in deeds:
                with pytest.raises(ReadOnlyError):
                    deed()
            assert mirrored.ingest(tmp_path / "orders.csv", dry_run=True).known == 1
            assert mirrored.compute("components", keep="if possible").run.kind == "components"
