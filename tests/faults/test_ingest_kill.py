"""Ingest under kill -9 and Ctrl-C, at moments that are chosen, and the lock of the one writer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import polars as pl
import pytest
from faulty_disk import some
from schemas import PAGES

from workbench.engine import Engine
from workbench.errors import WriterLockedError
from workbench.ingest.derive import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Count

    from workbench.storage import Snapshot

# `workbench ingest` that sends itself a signal right before the nth event of a kind whose path has some text
# in it, or the nth call of a function.
INGEST = """
import importlib, os, signal, sys
from workbench.cli import main

name, event, text, count = sys.argv[1:5]
left = int(count)

def strike():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.Signals[name])

def hook(kind, arguments):
    if kind == event and any(text in str(a) for a in arguments):
        strike()

def called(*arguments, **options):
    strike()
    return function(*arguments, **options)

if event == "call":
    module, _, attribute = text.partition(":")
    function = getattr(importlib.import_module(module), attribute)
    setattr(sys.modules[module], attribute, called)
else:
    sys.addaudithook(hook)
sys.argv = ["workbench", "ingest", *sys.argv[5:], "--quiet"]
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let jobs of theirs ignore it
main()
"""

HOLD = """
import sys
from workbench.engine import Engine

with Engine(sys.argv[1]).store.writer():
    print("held", flush=True)
    sys.stdin.read()
"""

ROWS = 4_000
LAST = -1
MOMENTS = {
    "the first file is written aside": ("open", "/w/tmp/", 1),
    "half of a batch has moved": ("os.rename", "/segments/", 16),
    "the first manifest is published": ("os.rename", "/manifests/0000000001", 1),
    "the second generation becomes current": ("os.rename", "CURRENT", 2),
    "sources of a later batch are read": ("open", "/click/2025-01-09", 1),
    "the last generation becomes current": ("os.rename", "CURRENT", LAST),
}
INTERRUPTED = {
    "while it reads": ("open", "/click/2025-01-05", 2),  # the first time it is hashed
    "while it normalises": ("call", "workbench.partials.documents:content_hash", 4),
    "while it writes": ("open", "/w/tmp/", 12),
    "while it commits": ("os.rename", "CURRENT", 2),
    "between two batches": ("open", "/click/2025-01-09", 1),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve days of a log, of which a batch of 1 MB holds a few, and a reference table."""
    root = tmp_path_factory.mktemp("sources")
    for folder in ("click", "reference"):
        (root / folder).mkdir()
    for day in range(1, 13):
        date = f"2025-01-{day:02d}"
        rows = (f"{date}T{n % 24:02d}:00:00Z,u{n % 50},p{n % 9},{'t' * 60}\n" for n in range(ROWS))
        (root / "click" / f"{date}.csv").write_text("time,user,page,title\n" + "".join(rows))
    (root / "reference" / "users.csv").write_text("user,name\n" + "".join(f"u{n},N{n}\n" for n in range(50)))
    return root


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "schema.yaml"
    path.write_text(PAGES)
    return path


@pytest.fixture(scope="module")
def undisturbed(sources: Path, schema: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    engine = Engine.create(tmp_path_factory.mktemp("undisturbed") / "w", schema=schema, batch_mb=1)
    engine.ingest(sources)
    assert engine.snapshot.generation >= 3
    return engine


@pytest.fixture
def workspace(schema: Path, tmp_path: Path) -> Path:
    return Engine.create(tmp_path / "w", schema=schema).path


def _start(
    workspace: Path, sources: Path, moment: tuple[str, str, int], number: signal.Signals = signal.SIGKILL
) -> subprocess.Popen[str]:
    arguments = [number.name, *map(str, moment), str(sources), "-w", str(workspace)]
    return subprocess.Popen(
        [sys.executable, "-c", INGEST, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "WORKBENCH_BATCH_MB": "1"},
    )


def _partials(snapshot: Snapshot) -> dict[tuple[str, str], str]:
    return {(f.kind, f.segment): f.hash for kind in KINDS for f in snapshot.files(kind)}


def _documents(snapshot: Snapshot) -> dict[str, int]:
    rows: dict[str, int] = {}
    for entry in snapshot.files("events"):
        rows[entry.name] = rows.get(entry.name, 0) + entry.rows
    return rows


def _check_whole(workspace: Path) -> int:
    """Assert that the workspace is a whole generation, consistent with its ledger, and return its number."""
    engine = Engine(workspace)
    snapshot = engine.snapshot
    assert engine.verify() == []
    ledger: dict[str, int] = {}
    for entry in snapshot.manifest.ledger.values():
        if entry.name not in engine.schema.references and entry.rows:
            ledger[entry.name] = ledger.get(entry.name, 0) + entry.rows
    tables = [pl.DataFrame(snapshot.read(f)) for f in snapshot.files("counts")]
    counted = (
        pl.concat(tables).group_by(pl.col("type").cast(pl.String)).agg(pl.col("events").sum()).rows()
        if tables
        else []
    )
    assert ledger == _documents(snapshot) == dict(counted)
    return snapshot.generation


def _check_resumed(workspace: Path, sources: Path, undisturbed: Engine) -> None:
    """Assert that ingesting again gives what an ingest gives that nobody disturbed."""
    engine = Engine(workspace, batch_mb=1)
    engine.ingest(sources)
    assert list((workspace / "tmp").iterdir()) == []
    assert _documents(engine.snapshot) == _documents(undisturbed.snapshot)
    assert _partials(engine.snapshot) == _partials(undisturbed.snapshot)
    assert set(engine.snapshot.manifest.ledger) == set(undisturbed.snapshot.manifest.ledger)
    assert engine.verify() == []
    assert engine.ingest(sources).files == 0


@pytest.mark.parametrize("name", some([*MOMENTS], 2, "kill"))
def test_a_kill_leaves_a_whole_generation_and_is_made_up_for(
    name: str, workspace: Path, sources: Path, undisturbed: Engine, count: Count
) -> None:
    event, text, nth = MOMENTS[name]
    if nth == LAST:
        nth = undisturbed.snapshot.generation
    process = _start(workspace, sources, (event, text, nth))
    process.communicate(timeout=60)

    assert process.returncode == -signal.SIGKILL
    assert _check_whole(workspace) < undisturbed.snapshot.generation
    _check_resumed(workspace, sources, undisturbed)
    count(f"kills of `workbench ingest` as {name}", 1)


def test_a_kill_from_outside_after_a_commit(workspace: Path, sources: Path, undisturbed: Engine) -> None:
    process = _start(workspace, sources, ("nothing", "nothing", 1))
    while not (workspace / "manifests" / "0000000002.json").exists():
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.communicate(timeout=60)

    assert 1 <= _check_whole(workspace) <= undisturbed.snapshot.generation
    _check_resumed(workspace, sources, undisturbed)


@pytest.mark.parametrize("name", some([*INTERRUPTED], 2, "interrupt"))
def test_ctrl_c_leaves_a_whole_generation_says_how_to_go_on_and_is_made_up_for(
    name: str, workspace: Path, sources: Path, undisturbed: Engine, count: Count
) -> None:
    process = _start(workspace, sources, INTERRUPTED[name], signal.SIGINT)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 130
    assert said.startswith("workbench: stopped. The workspace is consistent")
    assert said.endswith("The command can be repeated.\n")
    assert _check_whole(workspace) < undisturbed.snapshot.generation
    _check_resumed(workspace, sources, undisturbed)
    count(f"interrupts of `workbench ingest` {name}", 1)


def test_an_interrupted_engine_goes_on(workspace: Path, sources: Path, undisturbed: Engine) -> None:
    def interrupt(update: object) -> None:
        if getattr(update, "done") == 8:  # noqa: B009
            raise KeyboardInterrupt

    engine = Engine(workspace, batch_mb=1)
    with pytest.raises(KeyboardInterrupt):
        engine.ingest(sources, progress=interrupt)

    engine.ingest(sources)
    assert _partials(engine.snapshot) == _partials(undisturbed.snapshot)


def test_a_killed_reading_goes_on_within_a_large_file(tmp_path: Path) -> None:
    log = tmp_path / "click.csv"
    rows = 40_000
    log.write_text("time,n,pad\n" + "".join(f"2025-01-01T00:00:00Z,{n},{'p' * 60}\n" for n in range(rows)))
    workspace = Engine.create(tmp_path / "w").path

    process = _start(workspace, log, ("os.rename", "CURRENT", 3))
    process.communicate(timeout=60)

    assert process.returncode == -signal.SIGKILL
    engine = Engine(workspace, batch_mb=1)
    (entry,) = engine.snapshot.manifest.ledger.values()
    assert (entry.status, 0 < entry.position < rows) == ("partial", True)
    assert entry.position == entry.rows == _documents(engine.snapshot)["click"]
    engine.ingest(log)
    assert engine.sql("select count(*), count(distinct n), sum(n) from click").rows == [
        (rows, rows, rows * (rows - 1) // 2)
    ]
    engine.close()


# one writer


@pytest.fixture
def holder(workspace: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(workspace)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate(timeout=60)


def test_a_second_writer_is_told_who_holds_the_workspace(
    holder: subprocess.Popen[str], workspace: Path, sources: Path, count: Count
) -> None:
    engine = Engine(workspace)
    with pytest.raises(WriterLockedError) as raised:
        engine.ingest(sources)

    holds = json.loads((workspace / "LOCK").read_text())
    assert f'"pid": {holder.pid}' in str(raised.value)
    assert holds["pid"] == holder.pid
    assert os.uname().nodename in str(raised.value)
    assert raised.value.where == str(workspace)
    count("writers refused beside another", 1)


def test_reading_and_dry_runs_need_no_lock(
    holder: subprocess.Popen[str], workspace: Path, sources: Path
) -> None:
    engine = Engine(workspace)

    assert engine.sql("select count(*) from entities").rows == [(0,)]
    assert engine.ingest(sources, dry_run=True).rows["click"] == 12 * ROWS
    engine.close()


def test_the_lock_of_a_killed_writer_is_free_at_once(
    holder: subprocess.Popen[str], workspace: Path, sources: Path
) -> None:
    holder.kill()
    holder.wait(timeout=60)

    assert Engine(workspace).ingest(sources / "reference").files == 1
