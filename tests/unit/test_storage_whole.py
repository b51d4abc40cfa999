"""What is read while a writer removes files: read again at the newest generation, all of it, but once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from workbench.errors import CorruptFileError
from workbench.storage import SegmentStore
from workbench.storage.whole import read_whole

if TYPE_CHECKING:
    from pathlib import Path


class World:
    """A reader of a workspace with one file."""

    def __init__(self, root: Path) -> None:
        self.store = SegmentStore.create(root)
        self.publish(1)
        self.snapshot = self.store.snapshot()
        self.reads = 0

    def publish(self, value: int) -> None:
        """Put a file in the place of the one that is there, whose bytes go at once."""
        with self.store.writer() as writer:
            transaction = writer.begin()
            gone = transaction.base.files("events")
            transaction.remove(gone)
            transaction.add("events", pa.table({"x": [value]}), segment="2025-06-12", name="A", times=(1, 1))
            transaction.commit()
        for entry in gone:
            (self.store.root / entry.path).unlink()

    def refresh(self) -> None:
        self.snapshot = self.store.snapshot()

    def read(self) -> int:
        self.reads += 1
        (entry,) = self.snapshot.files("events")
        return int(self.snapshot.read(entry)["x"][0].as_py())


def test_what_is_there_is_read_once(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    assert (read_whole(world, world.read), world.reads) == (1, 1)


def test_where_a_newer_generation_removed_it_that_is_read(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    world.publish(2)
    assert (read_whole(world, world.read), world.reads) == (2, 2)


def test_what_is_damaged_stays_an_error(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    (entry,) = world.snapshot.files("events")
    (world.store.root / entry.path).unlink()
    with pytest.raises(CorruptFileError, match="missing"):
        read_whole(world, world.read)
    assert world.reads == 1
