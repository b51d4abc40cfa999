"""A stream under kill -9 at many moments of append, rotation, checkpoint and recovery.

A child appends and says on standard output what was acknowledged; it is killed at chosen events of the file
system and at random moments. Invariants, after the next opening: every acknowledged event is there; no event
is there twice, although all are delivered again; nothing is there that was not sent; a second opening changes
nothing.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from faulty_disk import FULL, some
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.engine import Engine
from workbench.storage.wal import Log

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Count

NOW = datetime(2025, 6, 12, 12, tzinfo=UTC)
EVENTS = 60
# Ends its own process with SIGKILL right before the nth event of a kind whose path has some text in it.
APPEND = """
import os, signal, sys
from datetime import UTC, datetime
from workbench.engine import Engine

workspace, first, count, event, text, left = sys.argv[1:]
first, count, left = int(first), int(count), int(left)

def hook(name, arguments):
    global left
    if name == event and any(text in str(a) for a in arguments):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

engine = Engine(workspace, stream_seconds=3600)
sys.addaudithook(hook)
print("begun", flush=True)
stream = engine.stream(clock=lambda: datetime(2025, 6, 12, 12, tzinfo=UTC))
for n in range(first, first + count):
    stream.append("click", {"time": "2025-06-12T10:00:00Z", "n": n}, keys=str(n))
    print(n, flush=True)
    if n % 20 == 19:
        stream.checkpoint()
stream.close()
"""
MOMENTS = {
    "the log's first file is made": ("open", "/wal/", 2),
    "a later file of the log is made": ("open", "/wal/00000001-0000000000000021", 1),
    "a released file is deleted": ("os.remove", "/wal/", 1),
    "documents are staged": ("open", "/w/tmp/", 1),
    "documents take their place": ("os.rename", ".events.", 1),
    "keys take their place": ("os.rename", ".keys.", 2),
    "the first manifest is published": ("os.rename", "/manifests/0000000001", 1),
    "the first generation becomes current": ("os.rename", "CURRENT", 1),
    "the second generation becomes current": ("os.rename", "CURRENT", 2),
    "the last generation becomes current": ("os.rename", "CURRENT", 4),
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return Engine.create(tmp_path / "w").path


def start(
    workspace: Path, first: int, moment: tuple[str, str, int] = ("nothing", "", 1)
) -> subprocess.Popen[str]:
    arguments = [str(a) for a in (workspace, first, EVENTS, *moment)]
    return subprocess.Popen([sys.executable, "-c", APPEND, *arguments], stdout=subprocess.PIPE, text=True)


def stored(engine: Engine) -> list[int]:
    return sorted(n for batch in engine.scan("click", columns=["n"]) for n in batch["n"].to_pylist())


def check(workspace: Path, acknowledged: set[int], sent: int) -> None:
    """Open, deliver everything again, and compare."""
    with Engine(workspace, stream_seconds=3600) as engine:
        with engine.stream(clock=lambda: NOW) as stream:
            stream.checkpoint()
            found = stored(engine.refresh()) if engine.refresh().snapshot.segments else []
            assert len(found) == len(set(found))
            assert acknowledged <= set(found) <= set(range(sent))
            events = [{"time": "2025-06-12T10:00:00Z", "n": n} for n in range(sent)]
            again = stream.append("click", events, keys=[str(n) for n in range(sent)])
            assert (again.accepted, again.duplicates) == (sent - len(found), len(found))
        assert stored(engine) == list(range(sent))
        assert engine.verify() == []
        generation = engine.snapshot.generation
        with engine.stream(clock=lambda: NOW) as stream:
            assert stream.recovered == 0
        assert (engine.snapshot.generation, stored(engine)) == (generation, list(range(sent)))


@pytest.mark.parametrize("name", some([*MOMENTS], 3, "stream"))
def test_a_kill_at_a_chosen_moment_loses_nothing_acknowledged(
    name: str, workspace: Path, count: Count
) -> None:
    process = start(workspace, 0, MOMENTS[name])
    out, _ = process.communicate(timeout=120)

    assert process.returncode == -signal.SIGKILL
    check(workspace, {int(line) for line in out.split()[1:]}, EVENTS)
    count(f"kills of a stream as {name}", 1)


def test_kills_at_random_moments_one_after_the_other(workspace: Path, count: Count) -> None:
    draw = random.Random(11)  # noqa: S311
    acknowledged: set[int] = set()
    rounds = 12 if FULL else 2
    for number in range(rounds):
        process = start(workspace, number * EVENTS)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        acknowledged |= {int(process.stdout.readline()) for _ in range(draw.randrange(EVENTS // 2))}
        time.sleep(draw.uniform(0, 0.01))
        process.kill()
        acknowledged |= {int(line) for line in process.stdout.read().split()}
        process.wait(60)
        process.stdout.close()
    assert len(acknowledged) > rounds
    check(workspace, acknowledged, rounds * EVENTS)
    count("kills of one stream from outside, at random, one after the other", rounds)


def test_reordered_and_repeated_deliveries_give_each_event_once(
    tmp_path_factory: pytest.TempPathFactory, count: Count
) -> None:
    delivered: list[int] = []

    @settings(max_examples=40 if FULL else 6)
    @given(
        deliveries=st.lists(
            st.tuples(
                st.lists(st.integers(0, 30), max_size=8), st.sampled_from(["go on", "checkpoint", "die"])
            ),
            max_size=12,
        )
    )
    def deliver(deliveries: list[tuple[list[int], str]]) -> None:
        with Engine.create(tmp_path_factory.mktemp("s") / "w", stream_seconds=3600) as engine:
            delivered.append(sum(len(numbers) for numbers, _ in deliveries))
            check_deliveries(engine, deliveries)

    deliver()
    count("deliveries of events to a stream, repeated and in another order", sum(delivered))


def check_deliveries(engine: Engine, deliveries: list[tuple[list[int], str]]) -> None:
    """Deliver, publish or die in between, and compare."""
    stream = engine.stream(clock=lambda: NOW)
    sent: set[int] = set()
    for numbers, then in deliveries:
        events = [{"time": "2025-06-12T10:00:00Z", "n": n} for n in numbers]
        found = stream.append("click", events, keys=[str(n) for n in numbers])
        assert found.accepted == len(set(numbers) - sent)
        assert found.accepted + found.duplicates == len(numbers)
        sent |= set(numbers)
        if then == "checkpoint":
            stream.checkpoint()
        if then == "die":
            with stream._lock:
                stream._ended = True
                stream._wake.notify_all()
            stream._thread.join()
            stream._log.close()
            stream = engine.stream(clock=lambda: NOW)
    stream.close()
    assert (stored(engine) if sent else []) == sorted(sent)
    with Log(engine.path / "wal", position=lambda: (1 << 40, 1)) as log:
        assert log.recovered == []
