"""Rules on a disk that breaks or loses power: what triggered is logged once, and somebody hears of it.

An evaluation writes its log before its state, and both before anybody is told. Whatever is left after a loss
of power or a failed write, the next evaluation ends with the same log as one that nothing happened to: each
subject has triggered once, each delivery has one final outcome.
"""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from faulty_disk import BreakingDisk, KilledError, Machine, RecordingDisk, points, some
from steps import opened

from workbench.engine import Engine
from workbench.errors import StorageError
from workbench.rules.journal import Journal
from workbench.storage import SegmentStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Place

QUICK = 6
NOW = datetime(2025, 1, 3, tzinfo=UTC)
RULE = """\
apiVersion: workbench/v1
kind: AnomalyRule
metadata: {id: busy}
spec:
  template: {threshold: {feature: click_count, value: 1}}
  notifications: [{file: {path: told.jsonl}}]
"""


def prepared(place: Place, name: str) -> Path:
    root = place(name)
    (root / "rules").mkdir()
    (root / "rules" / "busy.yaml").write_text(RULE)
    return root


def counts(root: Path) -> dict[str, int]:
    """Return how often each subject has triggered, and how often each delivery was done with."""
    found: dict[str, int] = {}
    for record in Journal(SegmentStore(root)).log():
        key = {"triggered": record.get("subject", ""), "outcome": record.get("id", "")}.get(record["kind"])
        if key and record.get("final", True):
            found[key] = found.get(key, 0) + 1
    return found


def check(root: Path, acknowledged: dict[str, int]) -> None:
    """Assert that the next evaluation leaves everything as if nothing had happened."""
    before = counts(root)
    assert before.items() >= acknowledged.items()
    with Engine(root) as engine:
        engine.rules.evaluate(NOW + timedelta(hours=1))
        assert engine.rules.problems() == []
        assert len(engine.rules.active()["busy"]) == 5
    after = counts(root)
    assert set(after.values()) == {1}
    assert len(after) == 6  # five subjects and a delivery
    assert after.items() >= before.items()


def test_what_triggered_survives_a_loss_of_power(
    place: Place, tmp_path: Path, count: Callable[[str, int], None]
) -> None:
    root = prepared(place, "recorded")
    disk = RecordingDisk(root.parent)
    machine = Machine.of(disk.root)
    opened(root, disk).rules.evaluate(NOW)
    done = counts(root)
    draw = random.Random(3)  # noqa: S311
    states = {}
    for number in range(len(disk.log) + 1):
        for state in machine.states(draw):
            states[state.key] = state, done if number == len(disk.log) else {}
        if number < len(disk.log):
            machine.apply(disk.log[number])
    for number, (state, known) in enumerate(chosen := some(list(states.values()), QUICK, "rules")):
        where = tmp_path / str(number)
        where.mkdir()
        state.write(where)
        check(where / "w", known)
        shutil.rmtree(where)
    count(f"states after a loss of power in rules, of {len(states):,}", len(chosen))


def test_what_the_disk_refuses_is_said_and_done_the_next_time(
    place: Place, count: Callable[[str, int], None]
) -> None:
    disk = BreakingDisk()
    opened(prepared(place, "whole"), disk).rules.evaluate(NOW)
    cases = some(points(disk.kinds), QUICK, "rules")
    for at, how in cases:
        root = prepared(place, f"{at}-{how}")
        with suppress(KilledError, StorageError):
            opened(root, BreakingDisk(at, how)).rules.evaluate(NOW)
        check(root, {})
        shutil.rmtree(root.parent)
    count(f"failed writes and kills in rules, of {len(points(disk.kinds)):,}", len(cases))
