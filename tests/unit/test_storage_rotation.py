"""Rotation: at most two days a pass, and no clock that jumped is believed."""

from __future__ import annotations

import pytest

from workbench.errors import ClockJumpError
from workbench.storage.rotation import expired

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
