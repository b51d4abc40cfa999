"""Tables kept beside the generations: whole or not there, checked, and gone with what they were made of."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from workbench.errors import CorruptFileError
from workbench.storage import SegmentStore
from workbench.storage.derived import FOLDER, Derived, unused
from workbench.storage.disk import Disk
from workbench.storage.files import Verifier

if TYPE_CHECKING:
    from pathlib import Path

TABLES = {
    "numbers": pa.table({"n": pa.array([1, 2, 3], pa.int32())}),
    "nothing": pa.table({"s": pa.array([], pa.string())}),
    "pieces": pa.table({"s": pa.chunked_array([["a"], ["b", "c"]])}),
}


class BreakingDisk(Disk):
    """A disk whose operation of one kind fails."""

    def __init__(self, operation: str) -> None:
        self._operation = operation

    def write(self, descriptor: int, data: memoryview) -> int:
        self._maybe("write")
        return super().write(descriptor, data[:7])  # as short as a kernel may

    def sync(self, descriptor: int) -> None:
        self._maybe("sync")

    def rename(self, source: Path, target: Path) -> None:
        self._maybe("rename")
        super().rename(source, target)

    def _maybe(self, operation: str) -> None:
        if operation == self._operation:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def derived(root: Path, disk: Disk | None = None, reserve: int = 0) -> Derived:
    return Derived(root, "window", Verifier(), reserve=reserve, disk=disk or Disk())


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / FOLDER).glob("*"))


def test_tables_come_back_as_they_were(tmp_path: Path) -> None:
    made = derived(tmp_path).keep(TABLES, generation=3, inputs=["b", "a"], facts={"x": 1})
    assert made is not None
    (found,) = derived(tmp_path).sets()
    assert found == made
    assert (found.generation, found.inputs, found.facts) == (3, ("a", "b"), {"x": 1})
    for name, table in TABLES.items():
        read = derived(tmp_path).read(found, name)
        assert read.equals(table)
        assert read.column(0).num_chunks == 1
    assert Derived(tmp_path, "other", Verifier()).sets() == []


def test_of_each_part_there_is_one_set(tmp_path: Path) -> None:
    kept = derived(tmp_path)
    for generation, part in ((3, "a"), (3, "b"), (4, "a"), (2, "b")):
        kept.keep(TABLES, generation=generation, inputs=[], facts={}, part=part)
    assert {made.part: made.generation for made in kept.sets()} == {"a": 4, "b": 3}
    assert len(names(tmp_path)) == 8
    assert kept.keep(TABLES, generation=5, inputs=[], facts={}) is not None
    assert len(kept.sets()) == 3


def test_a_set_takes_the_place_of_earlier_ones_and_gives_way_to_a_later(tmp_path: Path) -> None:
    kept = derived(tmp_path)
    for generation in (3, 3, 5):
        assert kept.keep(TABLES, generation=generation, inputs=[], facts={}) is not None
        assert [made.generation for made in kept.sets()] == [generation]
        assert len(names(tmp_path)) == 4
    assert kept.keep(TABLES, generation=4, inputs=[], facts={}) is None
    assert [made.generation for made in kept.sets()] == [5]


def test_what_is_damaged_or_missing_is_not_believed(tmp_path: Path) -> None:
    made = derived(tmp_path).keep(TABLES, generation=1, inputs=[], facts={})
    assert made is not None
    file = tmp_path / FOLDER / made.files["numbers"][0]
    data = file.read_bytes()
    for position in range(0, len(data), 29):
        broken = bytearray(data)
        broken[position] ^= 1
        file.write_bytes(broken)
        with pytest.raises(CorruptFileError):
            derived(tmp_path).read(made, "numbers")
    file.unlink()
    with pytest.raises(CorruptFileError):
        derived(tmp_path).read(made, "numbers")
    description = tmp_path / FOLDER / made.name
    description.write_bytes(description.read_bytes().replace(b'"generation": 1', b'"generation": 2'))
    (tmp_path / FOLDER / "folder.json").mkdir()
    assert derived(tmp_path).sets() == []


@pytest.mark.parametrize("operation", ["write", "sync", "rename"])
def test_a_disk_that_refuses_leaves_what_was_there(tmp_path: Path, operation: str) -> None:
    assert derived(tmp_path).keep(TABLES, generation=1, inputs=[], facts={}) is not None
    before = derived(tmp_path).sets()
    assert derived(tmp_path, BreakingDisk(operation)).keep(TABLES, generation=2, inputs=[], facts={}) is None
    assert derived(tmp_path).sets() == before
    assert [name for name in names(tmp_path) if name.endswith(".arrow")] == sorted(
        file for file, _, _ in before[0].files.values()
    )


def test_short_writes_and_the_reserve(tmp_path: Path) -> None:
    made = derived(tmp_path, BreakingDisk("")).keep(TABLES, generation=1, inputs=[], facts={})
    assert made is not None
    assert derived(tmp_path).read(made, "pieces").equals(TABLES["pieces"])
    assert derived(tmp_path, reserve=1 << 62).keep(TABLES, generation=2, inputs=[], facts={}) is None


def test_a_set_is_collected_with_its_inputs_and_what_nobody_describes_when_it_is_old(tmp_path: Path) -> None:
    root = tmp_path / "w"
    store = SegmentStore.create(root)
    with store.writer() as writer:
        transaction = writer.begin()
        entry = transaction.add("counts", TABLES["numbers"], segment="2013-01-01")
        transaction.commit()
    made = store.derived("window").keep(TABLES, generation=1, inputs=[entry.path], facts={})
    assert made is not None
    folder = root / FOLDER
    (folder / "left.arrow").write_bytes(b"of a process that was killed")
    (folder / "damaged.json").write_bytes(b"{}")
    whole = {made.name, *(file for file, _, _ in made.files.values())}

    assert {path.name for path in unused(root, {entry.path}, 0.0)} == {"damaged.json"}
    assert {path.name for path in unused(root, {entry.path}, 1e12)} == {"damaged.json", "left.arrow"}
    assert {path.name for path in unused(root, set(), 0.0)} == {"damaged.json", *whole}
    with store.writer() as writer:
        assert writer.collect() == 0  # the writer did it as it began
        assert set(names(root)) == {"left.arrow", *whole}
        transaction = writer.begin()
        transaction.remove(transaction.base.manifest.files)
        transaction.commit()
        writer.collect(grace=-1, manifests=1)
    assert names(root) == []


def test_a_file_that_vanishes_while_it_is_looked_at_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "named.json.7").symlink_to(tmp_path / "gone")
    assert unused(tmp_path, set(), 1e12) == []
