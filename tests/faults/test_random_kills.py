"""Kills at random: a process of its own does a step, and dies where chance has it.

Half of the kills come at a random operation of the disk, in the middle of a write too, the others after a
random part of the processor time that the step takes, wherever it is then. Invariants, once it is dead:

* nobody else's lock stays: the next writer begins at once;
* the workspace is one whole generation, the one before the step or the one after it (a stream's or a repair's
  may lie between), and ``verify --full`` is clean, but for what repair has still to repair;
* every event that a stream acknowledged is there;
* the step, taken again, ends where it ends undisturbed.

``make faults`` kills 370 times, ``make test`` a few times. ``mortals.py`` is what dies.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from damaged import repair, repaired
from faulty_disk import FULL, BreakingDisk
from steps import SENT, STEPS, facts, opened, sitting

from workbench.engine import Engine
from workbench.ingest.stream import Stream
from workbench.storage import SegmentStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Count, Place
    from damaged import Damaged

KILLS = {
    "ingest": 60,
    "late events": 30,
    "evict": 30,
    "compact": 40,
    "forget": 30,
    "compute": 40,
    "index": 40,
    "stream": 60,
    "repair": 40,
}
QUICK = 3


class Death(NamedTuple):
    """How a process ended: 0 or a negative signal; the seconds that it used if it was not killed."""

    status: int
    seconds: float


class Mortals:
    """Runs steps in processes that die.

    Attributes:
        logs: The sources.
        ended: How many came to their end before they were killed.
    """

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.ended = 0
        command = [sys.executable, str(Path(__file__).with_name("mortals.py"))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def run(self, name: str, root: Path, *, operations: int = 0, seconds: float = 0.0) -> Death:
        """Let a step be done until the operation or the second of processor time; 0: to its end."""
        assert self.process.stdin is not None
        self.process.stdin.write("\t".join(map(str, (name, root, self.logs, operations, seconds))) + "\n")
        self.process.stdin.flush()
        status, used = self._line().split()
        return Death(int(status), float(used))

    def kill(self, name: str, root: Path, draw: random.Random, operations: int, seconds: float) -> None:
        """Let a step be done until a random one of its operations, or a random part of its time."""
        if draw.randrange(2):
            died = self.run(name, root, operations=draw.randrange(1, operations + 1))
            assert died.status == -signal.SIGKILL
        else:
            died = self.run(name, root, seconds=draw.uniform(0.001, seconds))
            assert died.status in (0, -signal.SIGPROF)
        self.ended += died.status == 0


@pytest.fixture(scope="module")
def mortals(logs: Path) -> Iterator[Mortals]:
    found = Mortals(logs)
    yield found
    found.process.communicate(timeout=60)


@pytest.mark.parametrize("name", [name for name in KILLS if name != "repair"])
def test_a_step_that_is_killed_is_done_or_not_and_can_be_done_again(
    name: str,
    place: Place,
    mortals: Mortals,
    monkeypatch: pytest.MonkeyPatch,
    count: Count,
) -> None:
    logs, step = mortals.logs, STEPS[name]
    monkeypatch.setattr(Stream, "_run", sitting)
    origin = place("origin")
    with Engine(origin) as engine:
        step.prepare(engine, logs)
    before = facts(SegmentStore(origin).snapshot(), step)
    whole = BreakingDisk()
    root = place("whole", origin)
    step.run(opened(root, whole), logs)
    after = facts(SegmentStore(root).snapshot(), step)
    undisturbed = mortals.run(name, place("whole", origin))
    assert undisturbed.status == 0

    draw, mortals.ended = random.Random(name), 0  # noqa: S311
    for number in range(times := KILLS[name] if FULL else QUICK):
        root = place("w", origin)
        mortals.kill(name, root, draw, len(whole.kinds), undisturbed.seconds)
        with Engine(root, stream_seconds=3600) as engine:
            assert step.commits > 1 or facts(engine.snapshot, step) in (before, after), number
            assert engine.verify(full=True) == [], number
            if name == "stream":
                check_acknowledged(engine, root.parent / "acknowledged")
            step.run(engine, logs)
            assert facts(engine.store.snapshot(), step) == after, number
        assert list((root / "tmp").iterdir()) == []
    count(f"kills of {name} at random, {mortals.ended} of them after its end", times)


def check_acknowledged(engine: Engine, said: Path) -> None:
    """Assert that the events that a dead stream acknowledged are there."""
    before = rows(engine)
    with engine.stream() as stream:
        stream.checkpoint()
    there = rows(engine)
    acknowledged = len(said.read_bytes()) if said.exists() else 0
    assert acknowledged <= there - 40 <= SENT, (before, there, acknowledged)


def rows(engine: Engine) -> int:
    return sum(f.rows for f in engine.store.snapshot().files("events"))


def test_a_repair_that_is_killed_is_ended_by_the_next(
    place: Place, damaged: Damaged, mortals: Mortals, count: Count
) -> None:
    whole = BreakingDisk()
    root = place("whole", damaged.root)
    repair(root, whole)
    after = repaired(root)
    undisturbed = mortals.run("repair", place("whole", damaged.root))
    draw, mortals.ended = random.Random("repair"), 0  # noqa: S311
    for number in range(times := KILLS["repair"] if FULL else QUICK):
        root = place("w", damaged.root)
        mortals.kill("repair", root, draw, len(whole.kinds), undisturbed.seconds)
        repair(root)
        assert repaired(root) == after, number
        assert list((root / "tmp").iterdir()) == []
    count(f"kills of repair at random, {mortals.ended} of them after its end", times)
