"""The one writer: its epoch, its lock, the disk that it writes to, and the format that it leaves."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from workbench.errors import DiskFullError, StorageError, WorkspaceError, WriterLockedError
from workbench.storage import SegmentStore
from workbench.storage.disk import Disk, Space, file_system
from workbench.storage.manifest import Manifest, read_current

if TYPE_CHECKING:
    from workbench.storage import Transaction

DAY = "2025-06-12"
MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
31 22 0:50 / /srv/shared rw - nfs4 server:/export rw
32 31 8:2 / /srv/shared/fast\\040disk rw - xfs /dev/sdb1 rw
33 22 0:51 / /srv/shared rw - cifs //server/export rw
"""


@pytest.fixture
def store(tmp_path: Path) -> SegmentStore:
    return SegmentStore.create(tmp_path / "w")


def add(transaction: Transaction, rows: int = 1) -> None:
    transaction.add("events", pa.table({"x": list(range(rows))}), segment=DAY)


def test_a_copy_without_empty_directories_is_written_to(store: SegmentStore) -> None:
    with store.writer() as writer:
        transaction = writer.begin()
        add(transaction, 2)
        transaction.commit()
    for folder in [path for path in store.root.rglob("*") if path.is_dir() and not any(path.iterdir())]:
        folder.rmdir()
    copied = SegmentStore(store.root)
    with copied.writer() as writer:
        transaction = writer.begin()
        add(transaction, 3)
        transaction.commit()
    assert sum(file.rows for file in copied.snapshot().files("events")) == 5


class TestEpochs:
    def test_each_writer_has_a_higher_one_and_generations_say_whose_they_are(
        self, store: SegmentStore
    ) -> None:
        seen = []
        for _ in range(3):
            with store.writer() as writer:
                writer.begin().commit()
                assert writer.begin().commit().manifest.epoch == writer.epoch
                seen.append(writer.epoch)
        assert seen == sorted(set(seen))
        assert read_current(store.root).epoch == seen[-1]
        assert json.loads((store.root / "LOCK").read_text())["epoch"] == seen[-1]

    @pytest.mark.parametrize("note", ["", "{", "[]", "{}", '{"epoch": "9"}'])
    def test_the_manifest_counts_where_the_note_is_lost(self, store: SegmentStore, note: str) -> None:
        for _ in range(3):
            with store.writer() as writer:
                writer.begin().commit()
        (store.root / "LOCK").write_text(note)
        with store.writer() as following:
            assert following.epoch == writer.epoch + 1

    def test_a_writer_that_published_nothing_is_counted_too(self, store: SegmentStore) -> None:
        with store.writer() as first:
            pass
        with store.writer() as second:
            pass
        assert second.epoch == first.epoch + 1
        assert store.snapshot().manifest.epoch == 0

    def test_a_manifest_of_format_1_is_of_epoch_0(self) -> None:
        raw = json.loads(Manifest(3, "2025-06-12", "").encode())
        del raw["epoch"]
        assert Manifest.decode(json.dumps(raw).encode()) == Manifest(3, "2025-06-12", "")


class TestLock:
    def test_a_writer_whose_lock_file_was_removed_publishes_nothing(self, store: SegmentStore) -> None:
        with store.writer() as writer:
            transaction = writer.begin()
            add(transaction)
            (store.root / "LOCK").unlink()
            with pytest.raises(WriterLockedError, match="no longer holds"):
                transaction.commit()
            with store.writer() as other:
                other.begin().commit()
                with pytest.raises(WriterLockedError, match="no longer holds"):
                    writer.begin().commit()
        assert store.snapshot().manifest.epoch == other.epoch

    def test_a_child_of_the_writer_is_no_writer(self, store: SegmentStore) -> None:
        with store.writer() as writer:
            child = os.fork()
            if not child:
                try:
                    writer.begin().commit()
                except WriterLockedError:
                    os._exit(0)
                os._exit(1)
            assert os.waitpid(child, 0)[1] == 0
            writer.begin().commit()
        assert store.snapshot().generation == 1


class TestNetworkFileSystems:
    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/w", "ext4"),
            ("/srv/shared/w", "cifs"),  # mounted over the older one
            ("/srv/shared/fast disk/w", "xfs"),
            ("/srv/sharedother", "ext4"),
        ],
    )
    def test_the_innermost_mount_counts(self, path: str, kind: str) -> None:
        assert file_system(Path(path), MOUNTS) == kind

    def test_writing_is_refused_unless_forced_and_reading_is_not(
        self, store: SegmentStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("workbench.storage.store.file_system", lambda path, mounts: "nfs4")
        with pytest.raises(WorkspaceError, match=r"network file system \(nfs4\)"), store.writer():
            pass
        assert store.snapshot().generation == 0
        with SegmentStore(store.root, force_network=True).writer() as writer:
            writer.begin().commit()
        assert store.snapshot().generation == 1


class SmallDisk(Disk):
    """A disk of a size of the test's choice."""

    def __init__(self, total: int, free: int) -> None:
        self.total, self.free = total, free

    def space(self, path: Path) -> Space:
        return Space(self.total, self.free)


class TestReserve:
    @pytest.mark.parametrize(
        ("total", "reserve"), [(200 << 30, 1 << 30), (20 << 30, 1 << 30), (10 << 30, (10 << 30) // 20)]
    )
    def test_is_a_twentieth_and_at_most_a_gigabyte(
        self, store: SegmentStore, total: int, reserve: int
    ) -> None:
        assert SegmentStore(store.root, disk=SmallDisk(total, total)).reserve == reserve

    def test_new_data_leave_it_alone_and_reading_goes_on(self, store: SegmentStore) -> None:
        disk = SmallDisk(10 << 30, 3000)
        small = SegmentStore(store.root, disk=disk, reserve=1000)
        with small.writer() as writer:
            transaction = writer.begin()
            add(transaction)
            with pytest.raises(DiskFullError, match="of the disk are free") as caught:
                add(transaction, 500_000)
            assert caught.value.where == str(store.root)
            # refused, not failed: the writer goes on with what fits
            transaction.commit()
        assert [f.rows for f in small.snapshot().files("events")] == [1]

    def test_what_makes_room_may_use_it(self, store: SegmentStore) -> None:
        full = SegmentStore(store.root, disk=SmallDisk(10 << 30, 5000), reserve=1 << 30)
        with full.writer(within_reserve=True) as writer:
            transaction = writer.begin()
            add(transaction)
            transaction.commit()
        assert store.snapshot().generation == 1

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    def test_a_disk_that_is_really_full_is_named_so(self, store: SegmentStore, number: int) -> None:
        class Full(Disk):
            def write(self, descriptor: int, data: memoryview) -> int:
                raise OSError(number, os.strerror(number))

        with SegmentStore(store.root, disk=Full()).writer() as writer:
            with pytest.raises(DiskFullError, match="a write failed"):
                add(writer.begin())
            with pytest.raises(StorageError, match="this writer has stopped"):
                writer.begin()
        assert store.snapshot().generation == 0


class TestFormat:
    def older(self, store: SegmentStore) -> None:
        facts = json.loads((store.root / "FORMAT").read_text())
        (store.root / "FORMAT").write_text(json.dumps(facts | {"format": 1, "least_reader": 1}))
        (store.root / "readers").rmdir()

    def test_the_writer_migrates_and_readers_do_not(self, store: SegmentStore) -> None:
        self.older(store)
        opened = SegmentStore(store.root)
        opened.snapshot()
        assert json.loads((store.root / "FORMAT").read_text())["format"] == 1
        with opened.writer():
            pass
        facts = json.loads((store.root / "FORMAT").read_text())
        assert facts.pop("xxh3")
        assert facts == {"format": 2, "least_reader": 2, "workspace": store.id}
        assert (store.root / "readers").is_dir()

    def test_a_migration_that_fails_is_taken_again(self, store: SegmentStore) -> None:
        self.older(store)

        class Broken(Disk):
            def rename(self, source: Path, target: Path) -> None:
                raise OSError(errno.EIO, "Input/output error")

        with (
            pytest.raises(StorageError, match=r"a write failed: .*Input/output error"),
            SegmentStore(store.root, disk=Broken()).writer(),
        ):
            pass
        assert json.loads((store.root / "FORMAT").read_text())["format"] == 1
        with store.writer() as writer:
            writer.begin().commit()
        assert json.loads((store.root / "FORMAT").read_text())["format"] == 2


@pytest.mark.parametrize(
    ("kind", "suffix", "ending"), [("vectors", ".parquet", ".vectors.parquet"), ("index", ".index", ".index")]
)
def test_bytes_that_somebody_else_laid_out_become_a_file_of_their_segment(
    store: SegmentStore, kind: str, suffix: str, ending: str
) -> None:
    with store.writer() as writer:
        transaction = writer.begin()
        entry = transaction.add_file(
            kind,
            memoryview(b"numbers"),
            segment=DAY,
            name="exact",
            suffix=suffix,
            rows=7,
            inputs="of",
            meta={"a": 1},
        )
        transaction.commit()
        (stored,) = store.snapshot().files(kind)
        assert stored == entry
        assert (stored.rows, stored.bytes, stored.inputs, stored.meta) == (7, 7, "of", {"a": 1})
        assert stored.path.startswith(f"segments/dt={DAY}/")
        assert Path(stored.path).name[32:] == ending
        assert store.snapshot().path(stored).read_bytes() == b"numbers"
        copied = writer.begin()
        again = copied.add_copy(stored, memoryview(b"numbers"))
        assert again.path != stored.path
        assert Path(again.path).name[32:] == ending
        assert not writer.has_leftovers()
        gone = writer.begin()
        gone.remove([stored])
        gone.commit()
        assert writer.has_leftovers()


def test_what_cannot_be_deleted_stays_for_the_next_time(store: SegmentStore) -> None:
    stray = store.root / "tmp" / "stray"
    stray.write_text("")

    class Sticky(Disk):
        def unlink(self, path: Path) -> None:
            raise OSError(errno.EBUSY, "busy")

    with SegmentStore(store.root, disk=Sticky()).writer() as writer:
        assert writer.collect() == 0
    assert stray.exists()
    with store.writer():
        pass
    assert not stray.exists()
