"""The window graph on disk: made once, mapped from then on, and brought up to date by what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from workbench.errors import CorruptFileError
from workbench.graph import Window, merge_window, window_of
from workbench.graph.kept import WORTH
from workbench.graph.traversal import Adjacency
from workbench.partials.shapes import EDGES, ENTITIES, PROPERTIES
from workbench.storage import SegmentStore
from workbench.storage.derived import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.storage import FileEntry, Snapshot

SHAPES = {"entities": ENTITIES, "edges": EDGES, "properties": PROPERTIES}
HOUR = 3_600_000_000


@pytest.fixture
def store(tmp_path: Path) -> SegmentStore:
    found = SegmentStore.create(tmp_path / "w")
    for day in range(1, 7):
        publish(found, day, ["anna", *(["ben"] if day % 2 else [])])
    return found


def publish(store: SegmentStore, day: int, members: list[str] | None, weight: int = 1) -> None:
    """Put the partials of a day in place of its earlier ones: members who used x; None: it leaves."""
    name = f"2013-01-{day:02d}" if day else ""
    seen = (day * 24 * HOUR + weight, day * 24 * HOUR + 2 * weight) if day else (None, None)
    with store.writer(within_reserve=True) as writer:
        transaction = writer.begin()
        for kind in SHAPES:
            transaction.remove(transaction.base.files(kind, segments=[name]))
        if members is not None:
            rows = {
                "entities": [
                    *(("member", m, False, weight if day else 0, *seen) for m in members),
                    ("object", "x", False, weight if day else 0, *seen),
                ],
                "edges": [("Used", row, len(members), weight, *seen) for row in range(len(members))],
                "properties": [(0, "tier", f"{weight}", int(day > 0), seen[1])],
            }
            for kind, shape in SHAPES.items():
                found = [dict(zip(shape.names, row, strict=True)) for row in rows[kind]]
                table = pa.Table.from_pylist(found, shape)
                transaction.add(kind, table, segment=name, folder="references")
        transaction.commit()


def scratch(snapshot: Snapshot, segments: list[str] | None = None) -> Window:
    parts: dict[str, dict[str, pa.Table]] = {}
    for kind in SHAPES:
        for entry in snapshot.files(kind, segments=segments):
            parts.setdefault(entry.segment, {})[kind] = snapshot.read(entry)
    return merge_window(parts.items())


def opened(store: SegmentStore) -> tuple[Window, list[str]]:
    """The window of the newest generation, which is right, and the files of which it is kept."""
    snapshot = store.snapshot()
    before = kept_files(store)
    found = window_of(snapshot, store.derived("window"), worth=0)
    expected = scratch(snapshot)
    assert found.equals(expected)
    assert found.segments == expected.segments
    fresh = Adjacency.of(found.edges, found.entities.num_rows)
    assert found.adjacency is not None
    for side, other in ((found.adjacency.out, fresh.out), (found.adjacency.into, fresh.into)):
        assert side.indptr.tolist() == other.indptr.tolist()
        assert (side.far.tolist(), side.rows.tolist()) == (other.far.tolist(), other.rows.tolist())
    return found, sorted(set(kept_files(store)) - set(before))


def kept_files(store: SegmentStore) -> list[str]:
    return sorted(path.name for path in (store.root / FOLDER).glob("*"))


def partials_read(store: SegmentStore) -> set[str]:
    """The days of which a file was asked for while the newest window was made, by their names."""
    read: set[str] = set()
    snapshot = store.snapshot()
    find = snapshot.path

    def noted(entry: FileEntry) -> Path:
        read.add(entry.segment)
        return find(entry)

    snapshot.path = noted  # type: ignore[method-assign]
    window_of(snapshot, store.derived("window"), worth=0)
    return read


def test_it_is_made_once_and_mapped_from_then_on(store: SegmentStore) -> None:
    _, written = opened(store)
    assert len(written) == 8
    window, again = opened(store)
    assert again == []
    assert partials_read(store) == set()
    column = window.edges["weight"]
    assert column.num_chunks == 1
    assert not window.edges["source"].to_numpy().flags.writeable


def test_a_new_day_costs_that_day(store: SegmentStore) -> None:
    opened(store)
    publish(store, 7, ["anna", "zoe"])
    assert partials_read(store) == {"2013-01-07"}
    opened(store)


def test_a_day_that_leaves_costs_that_day_and_the_nearest_that_knows_its_keys(store: SegmentStore) -> None:
    opened(store)
    publish(store, 1, None)
    assert partials_read(store) == {"2013-01-01", "2013-01-02", "2013-01-03"}
    opened(store)


def test_what_is_far_away_is_looked_for_in_all_days_between(store: SegmentStore) -> None:
    for day in (1, 6):
        publish(store, day, ["anna", "zoe"])
    opened(store)
    publish(store, 1, None)
    assert partials_read(store) == {f"2013-01-{day:02d}" for day in range(1, 7)}
    opened(store)


def test_a_damaged_day_that_is_looked_through_is_said(store: SegmentStore) -> None:
    for day in (1, 6):
        publish(store, day, ["anna", "zoe"])
    opened(store)
    publish(store, 1, None)
    path = store.root / store.snapshot().files("edges", segments=["2013-01-05"])[0].path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptFileError, match="bytes"):
        window_of(store.snapshot(), store.derived("window"), worth=0)


def test_a_late_event_and_new_reference_tables_are_followed(store: SegmentStore) -> None:
    opened(store)
    publish(store, 3, ["anna", "ben", "late"], weight=3)
    opened(store)
    publish(store, 0, ["anna", "nobody"], weight=1)
    opened(store)
    publish(store, 6, None)
    publish(store, 7, ["zoe"])
    opened(store)
    assert len([name for name in kept_files(store) if name.endswith(".json")]) == 1


def test_a_part_of_the_window_is_made_from_the_whole_and_not_kept(store: SegmentStore) -> None:
    _, _ = opened(store)
    snapshot, before = store.snapshot(), kept_files(store)
    segments = [f"2013-01-{day:02d}" for day in range(2, 7)]
    found = window_of(snapshot, store.derived("window"), segments, worth=0)
    assert found.equals(scratch(snapshot, segments))
    assert kept_files(store) == before


def test_what_left_and_was_deleted_goes_with_what_was_made_of_it(store: SegmentStore) -> None:
    opened(store)
    publish(store, 1, None)
    with store.writer() as writer:
        writer.collect(grace=-1, manifests=1)
    assert kept_files(store) == []
    opened(store)


def test_a_damaged_window_is_made_again(store: SegmentStore, caplog: pytest.LogCaptureFixture) -> None:
    opened(store)
    for path in (store.root / FOLDER).glob("*.edges.arrow"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    opened(SegmentStore(store.root))
    assert "a kept window is damaged" in caplog.text
    assert len(kept_files(store)) == 8


def test_small_windows_and_full_disks_keep_nothing(store: SegmentStore) -> None:
    snapshot = store.snapshot()
    expected = scratch(snapshot)
    assert scratch(snapshot).edges.num_rows < WORTH
    assert window_of(snapshot, store.derived("window")).equals(expected)
    full = SegmentStore(store.root, reserve=1 << 62)
    assert window_of(snapshot, full.derived("window"), worth=0).equals(expected)
    (store.root / "cache").touch()  # where the folder cannot be made
    assert window_of(snapshot, store.derived("window"), worth=0).equals(expected)
    assert kept_files(store) == []
