"""A workspace's own jobs: what runs in the background, in the kernel and by ``workbench run``."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa
import pytest
from schemas import PLAYS
from typer.testing import CliRunner

from workbench.cli.app import app
from workbench.cli.run import _Watching
from workbench.engine import Engine
from workbench.ingest.overdue import Overdue
from workbench.jobs import jobs_of
from workbench.server import resolve_access, serve

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.ingest.watch import Told

WITHOUT_ACTORS = PLAYS.replace("{who: true}", "{}")


def plays(day: int) -> pa.Table:
    rows = [
        {"time": f"2025-06-{day:02}T{h:02}:00:00Z", "member": f"m{h % 5}", "game": "g"} for h in range(20)
    ]
    return pa.Table.from_pylist(rows)


def workspace(folder: Path, schema: str = PLAYS, **settings: Any) -> Engine:
    (folder / "tiny.yaml").write_text(schema)
    return Engine.create(folder / "w", schema=folder / "tiny.yaml", **settings)


@pytest.fixture
def db(tmp_path: Path) -> Engine:
    engine = workspace(tmp_path)
    engine.ingest(plays(10), type="Play")
    return engine


def settle(db: Engine) -> list[str]:
    """Run all that is due, and return it; while somebody asks, it waits."""
    ran = []
    while (started := db.scheduler.turn()) or any(job.state == "due" for job in db.scheduler.status().jobs):
        ran += started
        db.scheduler.join()
    return ran


def test_every_task_runs_once_and_again_when_there_is_something_new(db: Engine) -> None:
    ran = settle(db)
    assert {"pagerank", "communities", "components", "clusters", "anomalies", "trends"} <= set(ran)
    assert set(db.knowledge.kinds()) <= set(ran)
    assert db.scheduler.status().red == ()
    hourly = {"pagerank", "communities", "components", "clusters"}
    assert not hourly & set(settle(db))
    run = db.knowledge.read("pagerank").run
    assert db.compute("pagerank").run == run
    db.ingest(plays(11), type="Play")
    db.scheduler.wake()
    ran = settle(db)
    assert ran[0] == "streaming_clusters"
    assert not hourly & set(ran)  # their periods have not passed
    states = {job.name: job.state for job in db.scheduler.status().jobs}
    assert states["pagerank"] == "waiting"


def test_an_empty_workspace_has_nothing_to_compute_and_nothing_fails(tmp_path: Path) -> None:
    with workspace(tmp_path) as db:
        settle(db)
        assert db.scheduler.status().red == ()
        assert db.knowledge.kinds() == []


def test_tasks_about_actors_need_a_schema_that_has_some(tmp_path: Path) -> None:
    with workspace(tmp_path, WITHOUT_ACTORS) as db:
        names = {job.name for job in jobs_of(db)}
    assert "pagerank" in names
    assert not {"clusters", "anomalies"} & names


def test_a_rolling_window_is_kept(tmp_path: Path) -> None:
    with workspace(tmp_path, window=2) as db:
        for day in (10, 11, 12):
            db.ingest(plays(day), type="Play")
        settle(db)
        assert db.store.snapshot().segments == ["2025-06-11", "2025-06-12"]


def test_what_is_loaded_stays_where_only_knowledge_is_new(db: Engine) -> None:
    graph = db.graph
    with db.beside() as other:
        other.compute("components")
    assert db.refresh().graph is graph
    with db.beside() as other:
        other.ingest(plays(11), type="Play")
    assert db.refresh().graph is not graph


def test_the_status_tells_of_the_background(db: Engine) -> None:
    assert db.status()["background"] is None
    db.scheduler.start()
    db.scheduler.stop()
    background = db.status()["background"]
    assert background["alive"] is False
    assert "pagerank" in {job["name"] for job in background["jobs"]}


def test_what_fails_is_red_in_the_status_and_in_the_catalog(tmp_path: Path) -> None:
    with workspace(tmp_path) as db:
        db.ingest(plays(10), type="Play")
        (db.path / "schema" / "features.yaml").write_text("kind: [")
        db.scheduler.turn()
        db.scheduler.stop()
        failing = {job.name for job in db.scheduler.status().red}
        assert "anomalies" in failing
        assert "anomalies" in db.catalog.workspace.failing
        assert "failing in the background: " in db.catalog.to_text()
        assert "anomalies fails" in db.catalog.to_html()
        done = CliRunner().invoke(app, ["status", "-w", str(db.path)])
    assert done.exit_code == 0
    assert "anomalies fails: " in done.stdout


def test_an_engine_knows_when_it_is_asked(db: Engine) -> None:
    asked: list[bool] = []
    db.execute({"version": 1, "steps": [], "renders": []}, progress=lambda _: asked.append(db.is_asked))
    assert not db.is_asked
    with db.lock.asked():
        assert db.is_asked


class FakeStream:
    """A stream's two figures."""

    waiting = published = 0

    def status(self) -> dict[str, Any]:
        return {"waiting": self.waiting, "published": self.published}


def test_overdue_is_what_waits_longer_than_it_should() -> None:
    now, stream = [0.0], FakeStream()
    overdue = Overdue(lambda: [stream], 10.0, clock=lambda: now[0])

    def after(seconds: float, waiting: int, published: int) -> int:
        now[0] += seconds
        stream.waiting, stream.published = waiting, published
        return overdue.count()

    assert after(0, 5_000, 0) == 0
    assert after(5, 8_000, 0) == 0
    assert after(5, 9_000, 3_000) == 2_000  # of the first 5,000
    assert after(5, 9_000, 9_000) == 0  # of the 8,000 of then, 9,000 are published
    assert after(10, 9_000, 9_000) == 9_000
    assert after(1, 0, 0) == 0  # another stream


def test_run_once_computes_what_is_due(db: Engine, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "Play.csv").write_text("time,member,game\n2025-06-11T08:00:00Z,z,g\n")
    settings = tmp_path / "w" / "workbench.toml"
    settings.write_text("watch_seconds = 0.05\n")
    done = CliRunner().invoke(app, ["run", "-w", str(db.path), "--once", "--watch", str(logs), "--json"])
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["what"] == "stored"
    assert {"pagerank", "clusters"} <= {line.get("job") for line in lines}
    assert "member:z" in db.knowledge.read("pagerank").to_polars()["entity"]


def test_run_once_says_by_its_exit_code_that_a_job_failed(db: Engine) -> None:
    next(db.path.glob("segments/*/*.entities.parquet")).unlink()
    done = CliRunner().invoke(app, ["run", "-w", str(db.path), "--once"])
    assert done.exit_code == 1, done.output
    assert "pagerank: failed" in done.stdout


def test_run_begins_nothing_where_a_directory_to_watch_is_not_there(db: Engine, tmp_path: Path) -> None:
    missing = tmp_path / "lgos"
    done = CliRunner().invoke(app, ["run", "-w", str(db.path), "--watch", str(missing)])
    assert done.exit_code == 2
    assert f"{missing}: there is no such directory." in done.stderr
    assert "pagerank" not in done.stdout


def test_run_ends_when_its_watch_has_failed(db: Engine, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "Play.csv").write_text("time,member,game\n2025-06-11T08:00:00Z,z,g\n")

    def fail(told: Told) -> None:
        raise ArithmeticError(told.text)

    stop = threading.Event()
    with Engine(db.path, watch_seconds=0.05) as engine:
        watching = _Watching(engine, [logs], fail, stop)
        assert stop.wait(60)
        with pytest.raises(ArithmeticError, match=r"Play\.csv: 1 Play"):
            watching.join()


def test_run_ends_when_nobody_reads_what_it_says(db: Engine) -> None:
    command = [sys.executable, "-m", "workbench", "run", "-w", str(db.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_goes_on_until_it_is_told_to_stop(db: Engine, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "logs").mkdir()
    command = [sys.executable, "-m", "workbench", "run", "-w", str(db.path)]
    if number == signal.SIGINT:
        command += ["--watch", str(tmp_path / "logs")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert ": " in first
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "ending" in errors
    assert db.verify(full=True) == []
    assert db.background is not None
    assert db.background["running"] is False


def test_a_server_that_is_told_to_stop_before_it_answers_stops(db: Engine) -> None:
    stop = threading.Event()
    stop.set()
    serve(db, resolve_access(port=0), stop=stop)


def test_run_serves_and_takes_events(db: Engine) -> None:
    command = [sys.executable, "-m", "workbench", "run", "-w", str(db.path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        url = next(line for line in process.stderr if line.startswith("http")).split()[0]
        event = {"time": "2025-06-11T00:00:00Z", "member": "new", "game": "g"}
        answer = httpx.post(f"{url.rstrip('/')}/api/ingest/Play", json=event, timeout=60)
        assert answer.json()["accepted"] == 1
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert db.refresh().status()["documents"] == 21
