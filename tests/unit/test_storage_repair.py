"""Repair of what says what there is, and of the log; what is missing, in words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from workbench.errors import CorruptFileError, DiskFullError, StorageError, WorkspaceError
from workbench.storage import SegmentStore
from workbench.storage.collect import DAMAGED
from workbench.storage.disk import Disk
from workbench.storage.files import hash_bytes
from workbench.storage.manifest import FileEntry, recent_manifests, seal_problem, sealed
from workbench.storage.missing import Missing, missing_in, missing_state, notes_on
from workbench.storage.repair import close_chain, examine, keep, mend
from workbench.storage.wal import Log
from workbench.storage.wal_repair import examine_log, mend_log

if TYPE_CHECKING:
    from pathlib import Path


class FullDisk(Disk):
    """A disk on which nothing can be made."""

    def create(self, path: Path) -> int:
        raise OSError(28, "No space left on device")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace of four generations, a file in each."""
    store = SegmentStore.create(tmp_path / "w")
    with store.writer() as writer:
        for number in range(4):
            transaction = writer.begin()
            transaction.add("events", pa.table({"n": [number]}), segment=f"2025-01-0{number + 1}", name="a")
            transaction.commit()
    return tmp_path / "w"


def flip(path: Path, place: int = 40) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def manifest(root: Path, number: int) -> Path:
    return root / "manifests" / f"{number:010d}.json"


def mended(root: Path) -> SegmentStore:
    mend(root, examine(root))
    assert examine(root).damages == ()
    return SegmentStore(root)


class TestSeals:
    def test_a_seal_says_whether_the_bytes_are_those_that_were_written(self) -> None:
        assert seal_problem(sealed(b'{"a":1}')) == ""
        assert seal_problem(b'{"a":1}') is None
        assert seal_problem(sealed(b'{"a":1}') + b" ") == "its bytes are not those that were written"
        assert json.loads(sealed(b'{"a":1}')).keys() == {"a", "xxh3"}


class TestTheHead:
    def test_nothing_is_found_and_nothing_changed_where_all_is_whole(self, root: Path) -> None:
        before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
        head = examine(root)
        assert (head.manifest.number, head.damages) == (4, ())
        mend(root, head)
        assert {p: p.read_bytes() for p in root.rglob("*") if p.is_file()} == before

    def test_a_folder_without_manifests_has_nothing_to_go_on_from(self, root: Path) -> None:
        for path in (root / "manifests").iterdir():
            path.unlink()
        (root / "manifests").rmdir()
        with pytest.raises(CorruptFileError, match="no manifest of the workspace is whole"):
            examine(root)

    def test_what_is_no_workspace_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(WorkspaceError, match="is not a workspace"):
            examine(tmp_path)

    def test_a_newer_format_is_refused(self, root: Path) -> None:
        (root / "FORMAT").write_text(json.dumps({"format": 9, "least_reader": 9}))
        with pytest.raises(WorkspaceError, match="has format 9"):
            examine(root)

    def test_format_is_written_anew_and_keeps_the_identity_if_it_can_be_read(self, root: Path) -> None:
        name = SegmentStore(root).id
        flip(root / "FORMAT", 2)
        assert mended(root).id == name
        (root / "FORMAT").unlink()
        (damage,) = examine(root).damages
        assert damage.remedy.endswith("with a new identity")
        assert mended(root).id not in ("", name)

    def test_a_workspace_of_format_1_stays_one(self, root: Path) -> None:
        (root / "FORMAT").unlink()
        for path in (root / "manifests").iterdir():
            raw = json.loads(path.read_bytes())
            path.write_bytes(sealed(json.dumps({**raw, "epoch": 0, "xxh3": ""}).encode()))
        (root / "CURRENT").unlink()
        (root / "readers").rmdir()
        mend(root, examine(root))
        assert json.loads((root / "FORMAT").read_bytes())["format"] == 1

    @pytest.mark.parametrize("damage", ["flipped", "gone"])
    def test_a_damaged_current_costs_nothing(self, root: Path, damage: str) -> None:
        flip(root / "CURRENT") if damage == "flipped" else (root / "CURRENT").unlink()
        (found,) = examine(root).damages
        assert (found.path, found.loss) == ("CURRENT", "")
        assert mended(root).snapshot().generation == 4

    def test_without_current_what_a_later_generation_left_is_kept(self, root: Path) -> None:
        (root / "CURRENT").unlink()
        manifest(root, 4).unlink()
        head = examine(root)
        assert head.damages[0].loss.startswith("if there was a later generation, it is lost: 1 files")
        mend(root, head)
        assert SegmentStore(root).snapshot().generation == 3
        assert [p.name[9:] for p in (root / DAMAGED).iterdir()] == [head.orphans[0].rpartition("/")[2]]

    @pytest.mark.parametrize("damage", ["flipped", "gone", "unreadable"])
    def test_a_damaged_manifest_goes_back_by_one_and_no_number_is_used_twice(
        self, root: Path, damage: str
    ) -> None:
        path = manifest(root, 4)
        flip(path) if damage == "flipped" else path.unlink()
        if damage == "unreadable":
            path.mkdir()
        head = examine(root)
        assert head.broken == (4,)
        assert "ingest again" in head.damages[0].loss
        if damage == "unreadable":
            path.rmdir()
        snapshot = mended(root).snapshot()
        assert snapshot.generation == 4
        assert snapshot.segments == ["2025-01-01", "2025-01-02", "2025-01-03"]
        assert [m.number for m in recent_manifests(root, 3)] == [4, 3, 2]
        assert any("events.parquet" in p.name for p in (root / DAMAGED).iterdir())

    def test_two_damaged_manifests_go_back_by_two(self, root: Path) -> None:
        flip(manifest(root, 4))
        flip(manifest(root, 3))
        flip(root / "CURRENT")
        head = examine(root)
        assert (head.manifest.number, head.broken) == (2, (3, 4))
        assert mended(root).snapshot().generation == 4

    def test_a_manifest_without_a_seal_is_believed_if_somebody_says_its_hash(self, root: Path) -> None:
        for number in (2, 3, 4):
            path = manifest(root, number)
            path.write_bytes(path.read_bytes().rpartition(b',"xxh3"')[0] + b"}")
        (root / "CURRENT").write_text("{")
        with pytest.raises(CorruptFileError, match="no manifest of the workspace is whole"):
            examine(root)
        (root / "CURRENT").write_text(hash_bytes(manifest(root, 2).read_bytes()))
        assert examine(root).manifest.number == 2

    def test_a_manifest_under_another_name_is_none(self, root: Path) -> None:
        (root / "CURRENT").unlink()
        manifest(root, 4).rename(manifest(root, 7))
        assert examine(root).manifest.number == 3

    def test_what_a_killed_writer_left_does_not_win_over_what_is_there(self, root: Path) -> None:
        for entry in SegmentStore(root).snapshot().files("events", segments=["2025-01-04"]):
            (root / entry.path).unlink()
        (root / "CURRENT").unlink()
        head = examine(root)
        assert head.manifest.number == 3
        mend(root, head)
        assert SegmentStore(root).snapshot().generation == 3

    def test_an_older_generation_is_left_behind_by_publishing_again(self, root: Path) -> None:
        flip(manifest(root, 3))
        (damage,) = examine(root).damages
        assert damage.path == "manifests/0000000003.json"
        store = SegmentStore(root)
        with store.writer() as writer:
            close_chain(writer)
            close_chain(writer)
        assert [m.number for m in recent_manifests(root, 3)] == [6, 5, 4]

    def test_what_is_newer_than_current_says_is_no_generation(self, root: Path) -> None:
        manifest(root, 5).write_bytes(manifest(root, 4).read_bytes())
        flip(manifest(root, 4))
        assert examine(root).manifest.number == 3

    def test_a_full_disk_is_said(self, root: Path) -> None:
        (root / "CURRENT").unlink()
        with pytest.raises(DiskFullError):
            mend(root, examine(root), FullDisk())


class TestKeeping:
    def test_a_file_is_kept_once_by_its_bytes(self, root: Path) -> None:
        (root / "a").write_bytes(b"one")
        first = keep(root, "a")
        assert first is not None
        assert first.read_bytes() == b"one"
        assert keep(root, "a") == first
        (root / "a").write_bytes(b"two")
        assert keep(root, "a") != first
        assert keep(root, "nothing") is None


class TestTheLog:
    @pytest.fixture
    def folder(self, root: Path) -> Path:
        with Log(root / "wal", rotate_bytes=1) as log:
            for payload in (b"one", b"two", b"three"):
                log.append(1, payload)
        return root / "wal"

    def recovered(self, folder: Path, published: int = 0) -> list[bytes]:
        with Log(folder, position=lambda: (published, 1)) as log:
            return [record.payload for record in log.recovered]

    def test_a_whole_log_and_none_at_all_need_nothing(self, folder: Path, root: Path) -> None:
        assert examine_log(folder, 0) is None
        assert examine_log(root / "nothing", 0) is None

    def test_records_around_a_lost_one_are_kept(self, folder: Path, root: Path) -> None:
        path = sorted(folder.glob("*.wal"))[1]
        flip(path, path.read_bytes().index(b"two"))
        found = examine_log(folder, 0)
        assert found is not None
        assert (found.lost, found.records, found.kept) == (((2, 2),), 1, 2)
        mend_log(root, folder, 0)
        assert self.recovered(folder) == [b"one", b"three"]
        assert examine_log(folder, 0) is None
        assert len(list((root / DAMAGED).iterdir())) == 1

    def test_files_that_are_gone_are_filled(self, folder: Path, root: Path) -> None:
        first, second, _ = sorted(folder.glob("*.wal"))
        first.unlink()
        second.unlink()
        found = examine_log(folder, 0)
        assert found is not None
        assert found.lost == ((1, 2),)
        mend_log(root, folder, 0)
        assert self.recovered(folder) == [b"three"]

    def test_what_is_published_is_no_loss(self, folder: Path) -> None:
        first, second, _ = sorted(folder.glob("*.wal"))
        flip(first, first.read_bytes().index(b"one"))
        flip(second, second.read_bytes().index(b"two"))
        found = examine_log(folder, 1)
        assert found is not None
        assert found.lost == ((2, 2),)
        assert examine_log(folder, 2) is None

    def test_a_file_of_another_name_is_moved(self, folder: Path, root: Path) -> None:
        (folder / "notes.wal").write_text("x")
        found = examine_log(folder, 0)
        assert found is not None
        assert (found.odd, found.lost, found.kept) == (("notes.wal",), (), 3)
        mend_log(root, folder, 0)
        assert self.recovered(folder) == [b"one", b"two", b"three"]

    def test_ranges_are_told_apart(self, root: Path) -> None:
        folder = root / "wal"
        with Log(folder) as log:
            for payload in (b"one", b"two", b"three", b"four"):
                log.append(1, payload)
        (path,) = folder.glob("*.wal")
        for payload in (b"one", b"three"):
            flip(path, path.read_bytes().index(payload))
        found = examine_log(folder, 0)
        assert found is not None
        assert found.lost == ((1, 1), (3, 3))

    def test_a_disk_that_refuses_is_said(self, folder: Path, root: Path) -> None:
        (folder / "notes.wal").write_text("x")
        with pytest.raises(StorageError, match="No space"):
            mend_log(root, folder, 0, FullDisk())


class TestMissing:
    def entry(self, **facts: object) -> FileEntry:
        base = {"path": "p", "kind": "events", "segment": "2025-01-02", "name": "a", "rows": 2}
        return FileEntry(**{**base, "bytes": 1, "hash": "h", **facts})  # type: ignore[arg-type]

    def missing(self, **facts: object) -> Missing:
        entry = self.entry(**facts)
        return Missing(entry, "a documents", entry.rows, "2025-02-01T00:00:00", "why", entry.segment)

    def test_it_is_told_in_a_sentence(self) -> None:
        day = 1_735_776_000_000_000
        found = self.missing(min_ts=day, max_ts=day + 3_600_000_000)
        assert str(found) == "2 a documents of 2025-01-02 (00:00 to 01:00 UTC) are missing since 2025-02-01."
        assert str(self.missing(rows=1, segment="")) == "1 a documents is missing since 2025-02-01."
        assert found.to_dict()["first"] == "2025-01-02T00:00:00+00:00"

    def test_it_stays_until_its_segment_leaves_or_its_table_is_there_again(self, root: Path) -> None:
        snapshot = SegmentStore(root).snapshot()
        kept, before = self.missing(), self.missing(segment="2024-12-31")
        table = self.missing(kind="reference", segment="")
        with SegmentStore(root).writer() as writer:
            transaction = writer.begin()
            transaction.set_state(**missing_state([kept, before, table]))
            assert transaction.commit().missing == (kept, table)
            transaction = writer.begin()
            transaction.add("reference", pa.table({"n": [1]}), name="a", folder="references")
            transaction.remove(snapshot.files("events"))
            assert missing_in(transaction.commit().manifest) == (kept, before)

    def test_notes_are_of_what_was_read(self) -> None:
        found = [
            self.missing(),
            self.missing(name="b", segment="2025-01-05"),
            self.missing(segment="", name="c"),
        ]
        assert len(notes_on(found)) == 3
        assert notes_on(found, ["b"]) == (str(found[1]),)
        assert notes_on(found, segments=["2025-01-03", "2025-01-09"]) == (str(found[1]), str(found[2]))


class TestTransactions:
    def test_a_copy_has_to_have_the_bytes(self, root: Path) -> None:
        with SegmentStore(root).writer() as writer:
            transaction = writer.begin()
            (entry,) = transaction.base.files("events", segments=["2025-01-01"])
            with pytest.raises(CorruptFileError, match="not the file's bytes"):
                transaction.add_copy(entry, memoryview(b"other"))
            copy = transaction.add_copy(entry, memoryview((root / entry.path).read_bytes()))
            transaction.remove([entry])
            assert transaction.preview().read(transaction.preview().files("events")[0]).num_rows == 1
            snapshot = transaction.commit()
        assert copy in snapshot.manifest.files
        assert copy.hash == entry.hash
