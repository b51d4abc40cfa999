"""Rotation: at most two days a pass, and no clock that jumped is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from workbench.errors import ClockJumpError, UnknownNameError
from workbench.storage import SegmentStore
from workbench.storage.missing import Missing, missing_state
from workbench.storage.rotation import evict, expired

if TYPE_CHECKING:
    from pathlib import Path

DAYS = [f"2025-06-{day:02d}" for day in range(1, 11)]


@pytest.mark.parametrize(
    ("window", "gone"), [(1, DAYS[:2]), (8, DAYS[:2]), (9, DAYS[:1]), (10, []), (30, [])]
)
def test_the_oldest_days_go_two_at_a_time(window: int, gone: list[str]) -> None:
    assert expired(DAYS, window) == gone


def test_passes_end_when_the_window_is_right() -> None:
    days, passes = DAYS, 0
    while gone := expired(days, 3):
        days, passes = [d for d in days if d not in gone], passes + 1
    assert (days, passes) == (DAYS[-3:], 4)


def test_a_day_far_ahead_drops_nothing_unless_forced() -> None:
    jumped = [*DAYS, "2026-01-01"]
    with pytest.raises(ClockJumpError, match="2026-01-01, lies 205 days after the one before it, 2025-06-10"):
        expired(jumped, 3)
    assert expired(jumped, 3, force=True) == DAYS[:2]
    # a gap that pushes nothing out is nobody's concern
    assert expired(jumped, 1000) == []


def test_an_empty_workspace_and_a_single_day_have_nothing_to_drop() -> None:
    assert expired([], 1) == []
    assert expired(DAYS[:1], 1) == []


@pytest.fixture
def store(tmp_path: Path) -> SegmentStore:
    """A workspace of three days, of one of which all is missing but a note of it."""
    store = SegmentStore.create(tmp_path / "w")
    with store.writer() as writer:
        transaction = writer.begin()
        for day in DAYS[:4]:
            transaction.add("events", pa.table({"x": [1]}), segment=day, name="Login", times=(1, 2))
        base = transaction.commit()
        transaction = writer.begin()
        (entry,) = base.files("events", segments=[DAYS[1]])
        transaction.remove([entry])
        lost = Missing(entry, "Login documents", 1, "2025-06-20", "the file is damaged", DAYS[1])
        transaction.set_state(**missing_state([lost]))
        transaction.commit()
    return store


def left(store: SegmentStore) -> tuple[list[str], list[str]]:
    """Return the days that have a segment, and those of which something is missing."""
    snapshot = store.snapshot()
    return snapshot.segments, [missing.day for missing in snapshot.missing]


def test_days_go_by_name_before_one_or_with_the_window(store: SegmentStore) -> None:
    assert evict(store, [], window=None) == []
    assert evict(store, [], window=3) == [DAYS[0]]
    # what is missing of a day stays told as long as the day does not leave itself
    assert left(store) == ([DAYS[2], DAYS[3]], [])
    assert evict(store, [], before=DAYS[3]) == [DAYS[2]]
    assert evict(store, [DAYS[3]]) == [DAYS[3]]
    assert left(store)[0] == []


def test_a_day_of_which_all_is_missing_can_be_dropped(store: SegmentStore) -> None:
    assert left(store) == ([DAYS[0], DAYS[2], DAYS[3]], [DAYS[1]])
    assert evict(store, [DAYS[1]]) == [DAYS[1]]
    assert left(store) == ([DAYS[0], DAYS[2], DAYS[3]], [])


def test_a_day_that_is_not_there_is_refused_and_nothing_goes(store: SegmentStore) -> None:
    with pytest.raises(UnknownNameError, match="2025-06-09"):
        evict(store, [DAYS[0], DAYS[8]])
    assert left(store)[0] == [DAYS[0], DAYS[2], DAYS[3]]


def test_a_generation_says_its_latest_time_and_what_it_has_in_common(store: SegmentStore) -> None:
    base = store.snapshot()
    assert base.latest().microsecond == 2
    assert base.latest([]).year == 1970
    with store.writer() as writer:
        transaction = writer.begin()
        transaction.add("knowledge", pa.table({"x": [1]}), name="pagerank", folder="knowledge/pagerank")
        known = transaction.commit()
    assert known.differs(base, but=["vectors"])
    assert not known.differs(base, but=["knowledge"])
    evict(store, [DAYS[0]])
    assert store.snapshot().differs(base, but=["knowledge"])
    assert base.damages() == []
    (base.root / base.files("events")[0].path).unlink(missing_ok=True)
    assert len(base.damages(full=True)) == 1
