"""The segment store: generations, transactions, and what is deleted when."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from workbench.errors import CorruptFileError, StorageError, WorkspaceError, WriterLockedError
from workbench.storage import LedgerEntry, SegmentStore
from workbench.storage.files import hash_file
from workbench.storage.manifest import manifest_name, read_current

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from workbench.storage import FileEntry, Snapshot

DAY = "2025-06-12"


@pytest.fixture
def store(tmp_path: Path) -> SegmentStore:
    return SegmentStore.create(tmp_path / "w")


def table(*values: int) -> pa.Table:
    return pa.table({"x": pa.array(values, pa.int64())})


def write(store: SegmentStore, *days: str, remove: list[FileEntry] | None = None) -> Snapshot:
    with store.writer() as writer:
        transaction = writer.begin()
        transaction.remove(remove or [])
        for day in days:
            transaction.add("events", table(1, 2), segment=day, name="Login", times=(1, 2))
        return transaction.commit()


def content(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


class TestCreation:
    def test_a_new_workspace_is_empty_and_has_an_identity(self, tmp_path: Path) -> None:
        one, two = SegmentStore.create(tmp_path / "a" / "b"), SegmentStore.create(tmp_path / "c")
        assert one.id != two.id
        assert one.id == SegmentStore(tmp_path / "a" / "b").id
        snapshot = one.snapshot()
        assert (snapshot.generation, snapshot.segments, snapshot.files("events")) == (0, [], [])
        assert SegmentStore.is_workspace(tmp_path / "c")

    def test_an_empty_directory_will_do(self, tmp_path: Path) -> None:
        assert SegmentStore.create(tmp_path).snapshot().generation == 0

    @pytest.mark.parametrize("steps", range(1, 8))
    def test_a_creation_that_was_killed_can_be_made_again(self, tmp_path: Path, steps: int) -> None:
        """Play back what a creation does in its order, up to some step."""
        whole = SegmentStore.create(tmp_path / "whole").root
        root = tmp_path / "w"
        plays: list[Callable[[], Any]] = [
            lambda: (root / "manifests").mkdir(parents=True),
            lambda: [
                (root / f).mkdir() for f in ("segments", "references", "knowledge", "quarantine", "tmp")
            ],
            lambda: (root / "tmp" / "0000000000.json.77").write_bytes(b"{"),
            lambda: (root / "tmp" / "0000000000.json.77").replace(root / "manifests" / manifest_name(0)),
            lambda: (root / "manifests" / manifest_name(0)).write_bytes(
                (whole / "manifests" / manifest_name(0)).read_bytes()
            ),
            lambda: (root / "CURRENT").write_bytes((whole / "CURRENT").read_bytes()),
            lambda: (root / "tmp" / "FORMAT.77").write_bytes(b"{}"),
        ]
        for play in plays[:steps]:
            play()
        assert not SegmentStore.is_workspace(root)
        with pytest.raises(WorkspaceError):
            SegmentStore(root)
        assert SegmentStore.create(root).snapshot().generation == 0

    def test_what_holds_anything_else_is_left_alone(self, tmp_path: Path) -> None:
        for name in ("notes.txt", "segments/dt=2025-06-12/x.parquet", "manifests/0000000001.json"):
            root = tmp_path / name.replace("/", "-")
            (root / name).parent.mkdir(parents=True)
            (root / name).write_text("mine")
            with pytest.raises(WorkspaceError, match="something already") as caught:
                SegmentStore.create(root)
            assert caught.value.where == str(root)
            assert content(root) == {name: b"mine"}

    def test_a_workspace_is_not_made_twice(self, store: SegmentStore) -> None:
        write(store, DAY)
        before = content(store.root)
        with pytest.raises(WorkspaceError):
            SegmentStore.create(store.root)
        assert content(store.root) == before

    def test_a_workspace_that_lost_its_format_is_not_emptied(self, store: SegmentStore) -> None:
        write(store, DAY)
        (store.root / "FORMAT").unlink()
        before = content(store.root)
        with pytest.raises(WorkspaceError):
            SegmentStore.create(store.root)
        assert content(store.root) == before

    def test_a_file_is_no_place_for_a_workspace(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_text("")
        with pytest.raises(WorkspaceError):
            SegmentStore.create(tmp_path / "f")


class TestOpening:
    def test_says_whether_there_is_no_directory_or_no_workspace(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(WorkspaceError, match="this is no directory"):
            SegmentStore(tmp_path / "file")
        with pytest.raises(WorkspaceError, match="does not exist"):
            SegmentStore(tmp_path / "w")
        with pytest.raises(WorkspaceError, match="is not a workspace"):
            SegmentStore(tmp_path)

    def test_a_newer_format_is_refused_and_an_older_reader_may_suffice(self, store: SegmentStore) -> None:
        path = store.root / "FORMAT"
        path.write_text(json.dumps({"format": 9, "least_reader": 3, "workspace": "w"}))
        with pytest.raises(WorkspaceError, match="has format 9, this version reads up to 2"):
            SegmentStore(store.root)
        path.write_text(json.dumps({"format": 9, "least_reader": 2, "workspace": "w"}))
        newer = SegmentStore(store.root)
        assert (newer.id, newer.snapshot().generation) == ("w", 0)
        with (
            pytest.raises(WorkspaceError, match="has format 9, this version writes format 2"),
            newer.writer(),
        ):
            pass

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"least_reader": "1"}'])
    def test_a_format_file_that_says_nothing_is_named(self, store: SegmentStore, text: str) -> None:
        (store.root / "FORMAT").write_text(text)
        with pytest.raises(CorruptFileError, match="workbench repair") as caught:
            SegmentStore(store.root)
        assert caught.value.where == str(store.root / "FORMAT")

    def test_a_flipped_bit_of_format_is_noticed_wherever_it_changes_what_is_said(
        self, store: SegmentStore
    ) -> None:
        path = store.root / "FORMAT"
        whole = path.read_bytes()
        for bit in range(len(whole) * 8):
            data = bytearray(whole)
            data[bit // 8] ^= 1 << bit % 8
            path.write_bytes(data)
            found = ""
            with suppress(CorruptFileError, WorkspaceError):
                found = SegmentStore(store.root).id
            assert found in ("", store.id)


class TestTransactions:
    def test_nothing_is_visible_before_the_commit(self, store: SegmentStore) -> None:
        with store.writer() as writer:
            transaction = writer.begin()
            entry = transaction.add("events", table(1), segment=DAY, name="Login")
            assert store.snapshot().generation == 0
            assert not (store.root / entry.path).exists()
            assert [p.name for p in (store.root / "tmp").iterdir()] == [entry.path.rsplit("/", 1)[1]]
            committed = transaction.commit()
        assert committed.generation == store.snapshot().generation == 1
        assert store.snapshot().files("events") == [entry]
        assert list((store.root / "tmp").iterdir()) == []

    def test_what_is_never_committed_leaves_nothing(self, store: SegmentStore) -> None:
        with store.writer() as writer:
            writer.begin().add("events", table(1), segment=DAY)
        with store.writer():
            pass
        assert store.snapshot().generation == 0
        assert list(store.root.rglob("*.parquet")) == []

    def test_an_entry_says_what_the_file_holds(self, store: SegmentStore) -> None:
        with store.writer() as writer:
            transaction = writer.begin()
            first = transaction.add(
                "events", table(7, 8), segment=DAY, name="Login", inputs="aa", times=(5, 9), meta={"k": [1]}
            )
            second = transaction.add("knowledge", table(), folder="knowledge/pagerank")
            transaction.commit()
        path = store.root / first.path
        assert path.parent == store.root / "segments" / f"dt={DAY}"
        assert (first.kind, first.segment, first.name, first.inputs) == ("events", DAY, "Login", "aa")
        assert (first.rows, first.bytes, first.hash) == (2, path.stat().st_size, hash_file(path))
        assert (first.min_ts, first.max_ts, first.meta) == (5, 9, {"k": [1]})
        assert (store.root / second.path).parent == store.root / "knowledge" / "pagerank"
        assert (second.rows, second.segment, second.min_ts, second.meta) == (0, "", None, {})

    def test_equal_tables_are_equal_bytes_however_they_are_cut(self, store: SegmentStore) -> None:
        whole = pa.table({"x": list(range(5000)), "y": ["a", None] * 2500, "z": [[1], []] * 2500})
        cut = pa.concat_tables([whole.slice(0, 17), whole.slice(17, 3000), whole.slice(3017)])
        with store.writer() as writer:
            transaction = writer.begin()
            one, two = (transaction.add("events", t, segment=DAY) for t in (whole, cut))
            other = transaction.add("events", whole.slice(1), segment=DAY)
        assert one.hash == two.hash != other.hash
        assert one.path != two.path

    def test_pages_carry_checksums_and_row_groups_the_asked_size(self, store: SegmentStore) -> None:
        with store.writer() as writer:
            transaction = writer.begin()
            entry = transaction.add("events", table(*range(10)), segment=DAY, row_group=4)
            transaction.commit()
        path = store.root / entry.path
        metadata = pq.ParquetFile(path).metadata
        assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [4, 4, 2]
        pages = metadata.row_group(0).column(0)
        damaged = bytearray(path.read_bytes())
        damaged[pages.data_page_offset + pages.total_compressed_size - 1] ^= 1
        path.write_bytes(bytes(damaged))
        with pytest.raises(OSError, match=r"(?i)crc|corrupt"):
            pq.read_table(path, page_checksum_verification=True, partitioning=None)

    def test_removing_and_adding_is_one_generation(self, store: SegmentStore) -> None:
        first = write(store, "2025-06-11", DAY)
        gone = first.files("events", segments=["2025-06-11"])
        second = write(store, "2025-06-13", remove=gone)
        assert first.segments == ["2025-06-11", DAY]
        assert second.segments == [DAY, "2025-06-13"]
        assert second.manifest.previous == store_hash(store, 1)

    def test_ledger_and_state_go_with_the_generation(self, store: SegmentStore) -> None:
        entry = LedgerEntry("a.csv", "Login", "ff", 10, 2, 2, 0, "partial")
        done = LedgerEntry("a.csv", "Login", "ff", 10, 4, 4, 0, "done")
        with store.writer() as writer:
            for record, step in ((entry, 1), (done, 2)):
                transaction = writer.begin()
                transaction.record(record)
                transaction.set_state(step=step, **({"first": True} if step == 1 else {}))
                transaction.commit()
        manifest = store.snapshot().manifest
        assert manifest.ledger == {done.key: done}
        assert manifest.state == {"first": True, "step": 2}

    def test_a_change_on_top_of_an_older_generation_is_refused(self, store: SegmentStore) -> None:
        with store.writer() as writer:
            early, late = writer.begin(), writer.begin()
            late.add("events", table(1), segment=DAY)
            late.commit()
            early.add("events", table(2), segment=DAY)
            with pytest.raises(StorageError, match="no longer the newest"):
                early.commit()
            with pytest.raises(StorageError, match="no longer the newest"):
                late.commit()
            writer.begin().commit()
        assert store.snapshot().generation == 2
        assert [f.rows for f in store.snapshot().files("events")] == [1]

    def test_a_state_that_is_no_json_publishes_nothing(self, store: SegmentStore) -> None:
        with store.writer() as writer:
            transaction = writer.begin()
            transaction.set_state(share=float("inf"))
            with pytest.raises(ValueError, match="JSON"):
                transaction.commit()
        assert store.snapshot().generation == 0


def store_hash(store: SegmentStore, generation: int) -> str:
    return hash_file(store.root / "manifests" / manifest_name(generation))


def test_manifests_form_a_chain_back_to_the_first(store: SegmentStore) -> None:
    with store.writer() as writer:
        for _ in range(4):
            writer.begin().commit()
        manifest = read_current(store.root)
        for number in range(3, -1, -1):
            assert manifest.previous == store_hash(store, number)
            manifest = type(manifest).decode((store.root / "manifests" / manifest_name(number)).read_bytes())
    assert manifest.previous == ""


class TestReading:
    def test_files_are_chosen_by_kind_segment_and_name(self, store: SegmentStore) -> None:
        with store.writer() as writer:
            transaction = writer.begin()
            for kind, day, name in (
                ("events", DAY, "Login"),
                ("events", "2025-06-11", "Click"),
                ("edges", DAY, ""),
                ("events", "2025-06-11", "Login"),
            ):
                transaction.add(kind, table(1), segment=day, name=name)
            snapshot = transaction.commit()
        events = snapshot.files("events")
        assert [f.segment for f in events] == ["2025-06-11", "2025-06-11", DAY]
        assert events == sorted(events, key=lambda f: (f.segment, f.path))
        assert [f.name for f in snapshot.files("events", segments=iter([DAY]))] == ["Login"]
        assert [f.segment for f in snapshot.files("events", name="Login")] == ["2025-06-11", DAY]
        assert snapshot.files("events", segments=[]) == []
        assert snapshot.files("nothing") == []

    @pytest.mark.parametrize("number", [0, 3, 20])
    def test_many_files_are_checked_and_the_first_that_is_damaged_is_named(
        self, store: SegmentStore, number: int
    ) -> None:
        with store.writer() as writer:
            transaction = writer.begin()
            for value in range(number):
                transaction.add("events", table(value), segment=DAY, name="Login")
            snapshot = transaction.commit()
        files = snapshot.files("events")
        assert snapshot.paths(files) == [store.root / file.path for file in files]
        for file in files[1:]:
            (store.root / file.path).write_bytes(b"x" * file.bytes)
        if number:
            with pytest.raises(CorruptFileError) as caught:
                snapshot.paths(files)
            assert caught.value.where == str(store.root / files[1].path)

    def test_a_file_is_read_in_pieces(self, store: SegmentStore) -> None:
        with store.writer() as writer:
            transaction = writer.begin()
            entry = transaction.add("events", table(*range(10)), segment=DAY, row_group=4)
            snapshot = transaction.commit()
        for _ in range(2):
            with snapshot.open(entry) as file:
                assert [file.read_row_group(n).num_rows for n in range(3)] == [4, 4, 2]
        (store.root / entry.path).unlink()
        with pytest.raises(CorruptFileError, match="missing"):
            snapshot.open(entry)

    def test_columns_and_filters_are_pushed_down(self, store: SegmentStore) -> None:
        with store.writer() as writer:
            transaction = writer.begin()
            entry = transaction.add("events", pa.table({"x": [1, 2], "y": ["a", "b"]}), segment=DAY)
            snapshot = transaction.commit()
        assert snapshot.read(entry).column_names == ["x", "y"]  # and no dt
        assert snapshot.read(entry, columns=("y",)).to_pydict() == {"y": ["a", "b"]}
        assert snapshot.read(entry, filters=pc.field("x") > 1).to_pydict() == {"x": [2], "y": ["b"]}
        assert snapshot.read(entry, filters=[("x", "=", 1)]).num_rows == 1

    def test_a_damaged_file_is_never_read(self, store: SegmentStore) -> None:
        snapshot = write(store, DAY)
        (entry,) = snapshot.files("events")
        path = store.root / entry.path
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
        for read in (snapshot.path, snapshot.read):
            with pytest.raises(CorruptFileError):
                read(entry)

    def test_verify_names_each_file_with_what_is_wrong(self, store: SegmentStore) -> None:
        snapshot = write(store, "2025-06-10", "2025-06-11", DAY)
        one, two, three = snapshot.files("events")
        (store.root / one.path).unlink()
        (store.root / two.path).write_bytes(b"short")
        found = {entry.segment: problem for entry, problem in snapshot.verify()}
        assert "missing" in found["2025-06-10"]
        assert "has 5 bytes" in found["2025-06-11"]
        assert found[DAY] == ""
        assert snapshot.path(three) == store.root / three.path

    def test_only_a_full_verify_sees_what_changed_under_the_same_time(self, store: SegmentStore) -> None:
        snapshot = write(store, DAY)
        (entry,) = snapshot.files("events")
        path = snapshot.path(entry)
        times = path.stat()
        data = path.read_bytes()
        path.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert [problem for _, problem in snapshot.verify()] == [""]
        assert [bool(problem) for _, problem in snapshot.verify(full=True)] == [True]


class TestCollection:
    @staticmethod
    def age(root: Path) -> None:
        old = time.time() - 3600
        for path in root.rglob("*"):
            os.utime(path, (old, old))

    def replaced(self, store: SegmentStore, times: int) -> list[str]:
        """Publish a file and take its place so many times; return the paths in order."""
        paths = []
        for _ in range(times + 1):
            old = store.snapshot().files("events")
            paths.append(write(store, DAY, remove=old).files("events")[0].path)
        return paths

    def test_keeps_the_files_of_three_generations(self, store: SegmentStore) -> None:
        paths = self.replaced(store, 5)
        self.age(store.root)
        with store.writer():
            pass
        assert [(store.root / p).exists() for p in paths] == [False, False, False, True, True, True]
        assert len(list((store.root / "manifests").iterdir())) == 3
        assert [problem for _, problem in store.snapshot().verify()] == [""]

    def test_counts_what_it_deletes_and_spares_what_is_young(self, store: SegmentStore) -> None:
        paths = self.replaced(store, 4)
        with store.writer() as writer:
            assert writer.collect() == 0
            assert all((store.root / p).exists() for p in paths)
            assert writer.collect(grace=-1) == 2
        assert [(store.root / p).exists() for p in paths] == [False, False, True, True, True]

    def test_deletes_orphans_when_they_are_old_and_tmp_at_once(self, store: SegmentStore) -> None:
        write(store, DAY)
        old, young = (store.root / "segments" / f"dt={DAY}" / f"{n}.events.parquet" for n in ("old", "young"))
        orphans = [
            old,
            store.root / "knowledge" / "k.parquet",
            store.root / "quarantine" / "q.parquet",
            store.root / "references" / "r.parquet",
        ]
        for path in orphans:
            path.write_bytes(b"")
            os.utime(path, (0, 0))
        young.write_bytes(b"")
        (store.root / "tmp" / "half").write_bytes(b"")
        (store.root / "tmp" / "folder").mkdir()
        with store.writer() as writer:
            assert not (store.root / "tmp" / "half").exists()
            assert writer.collect() == 0
        assert young.exists()
        assert not any(path.exists() for path in orphans)

    def test_leaves_what_is_not_the_stores(self, store: SegmentStore) -> None:
        mine = [store.root / "schema" / "entity.yaml", store.root / "workbench.toml"]
        mine[0].parent.mkdir()
        for path in mine:
            path.write_text("")
            os.utime(path, (0, 0))
        with store.writer() as writer:
            writer.collect(grace=-1)
        assert all(path.exists() for path in mine)

    def test_deletes_nothing_while_a_recent_manifest_is_damaged(self, store: SegmentStore) -> None:
        paths = self.replaced(store, 4)
        self.age(store.root)
        path = store.root / "manifests" / manifest_name(store.snapshot().generation - 1)
        path.write_bytes(path.read_bytes().replace(b"segments/", b"segmentz/"))
        with store.writer() as writer:
            assert writer.collect(grace=-1) == 0
        assert all((store.root / p).exists() for p in paths[2:])
        self.replaced(store, 2)  # and writing goes on
        with store.writer() as writer:
            writer.collect(grace=-1)
        assert not any((store.root / p).exists() for p in paths)

    def test_a_manifest_that_never_became_current_is_written_over(self, store: SegmentStore) -> None:
        write(store, DAY)
        stray = store.root / "manifests" / manifest_name(2)
        stray.write_bytes(b"left by a writer that was killed before it moved CURRENT")
        snapshot = write(store, "2025-06-13")
        assert snapshot.generation == 2
        assert stray.read_bytes() == snapshot.manifest.encode()

    def test_a_snapshot_of_before_three_generations_says_that_its_file_is_missing(
        self, store: SegmentStore
    ) -> None:
        first = write(store, DAY)
        (entry,) = first.files("events")
        first.read(entry)
        self.replaced(store, 3)
        self.age(store.root)
        with store.writer():
            pass
        with pytest.raises(CorruptFileError, match="missing"):
            first.read(entry)


def test_one_writer_at_a_time_and_readers_beside_it(store: SegmentStore) -> None:
    with store.writer() as writer:
        writer.begin().add("events", table(1), segment=DAY)
        with pytest.raises(WriterLockedError), store.writer():
            pass
        assert SegmentStore(store.root).snapshot().generation == 0
    assert write(store, DAY).generation == 1


def test_threads_that_share_a_store_write_in_turn(store: SegmentStore) -> None:
    done: list[int] = []
    with store.writer():
        other = threading.Thread(target=lambda: done.append(write(store, DAY).generation))
        other.start()
        other.join(0.1)
        assert done == []
    other.join()
    assert done == [1]


def test_files_of_the_stages_above_are_there_from_the_start_and_no_obstacle_to_a_second_try(
    tmp_path: Path,
) -> None:
    files = {"schema/entity.yaml": b"kind: EntitySchema"}
    SegmentStore.create(tmp_path / "w", files)
    assert (tmp_path / "w" / "schema" / "entity.yaml").read_bytes() == files["schema/entity.yaml"]
    (tmp_path / "w" / "FORMAT").unlink()  # what a kill before the last step leaves
    with pytest.raises(WorkspaceError, match="there is something already"):
        SegmentStore.create(tmp_path / "w")
    assert SegmentStore.create(tmp_path / "w", files).snapshot().generation == 0
