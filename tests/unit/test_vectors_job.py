"""Vectors in the background: a job and a command work off the queue of texts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from llm_servers import Servers
from typer.testing import CliRunner

from workbench import jobs
from workbench.cli.app import app
from workbench.embedders import _remote, embedders
from workbench.engine import Engine
from workbench.errors import ProviderError, WriterLockedError
from workbench.jobs import jobs_of
from workbench.scheduler import Scheduler
from workbench.settings import Settings
from workbench.storage import SegmentStore
from workbench.vectors import IndexKind, Vectors, can_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workbench.scheduler import JobStatus

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: visits}
spec:
  entities: {client: {who: true}, page: {}}
  edges: {Saw: {from: client, to: page}}
  events:
    Visit:
      entities: {client: client, page: page}
      edges: [{type: Saw, from: client, to: page}]
      text: "visited the page {page}"
"""


def visits(day: int, *pages: str) -> pl.DataFrame:
    start = datetime(2025, 3, day, tzinfo=UTC)
    times = [start + timedelta(hours=n) for n in range(len(pages))]
    return pl.DataFrame({"time": times, "client": [f"c{n % 3}" for n in range(len(pages))], "page": pages})


def workspace(folder: Path, schema: str = SCHEMA, **settings: Any) -> Engine:
    (folder / "v.yaml").write_text(schema)
    engine = Engine.create(folder / "w", schema=folder / "v.yaml", **settings)
    engine.ingest(visits(1, "garden tools", "winter coats", "garden tools"), type="Visit")
    return engine


def job(scheduler: Scheduler, name: str = "vectors") -> JobStatus:
    return next(found for found in scheduler.status().jobs if found.name == name)


def only(db: Engine, *names: str, **options: Any) -> Scheduler:
    """Return a scheduler of some jobs alone."""
    return Scheduler([found for found in jobs_of(db) if found.name in names], **options)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.close()


def test_vectors_follow_where_texts_are_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_MOMENT", 0.0)
    now = [0.0]
    with workspace(tmp_path, embedder="hashing") as db:
        scheduler = only(db, "vectors", clock=lambda: now[0])

        def later() -> list[str]:
            now[0] += 1_000
            scheduler.wake()
            started = scheduler.turn()
            scheduler.join()
            return started

        assert later() == ["vectors"]
        assert db.refresh().status()["segments_without_vectors"] == 0
        assert job(scheduler).state == "current"
        assert later() == []
        # it is said again what was said, and something new
        db.ingest(visits(1, "winter coats", "winter coats").tail(1), type="Visit")
        assert db.status()["segments_without_vectors"] == 0
        assert later() == []
        db.ingest(visits(2, "coffee machines"), type="Visit")
        assert db.status()["segments_without_vectors"] == 1
        assert later() == ["vectors"]
        assert db.refresh().status()["segments_without_vectors"] == 0
        assert not job(scheduler).red


def test_it_yields_to_ingest(tmp_path: Path) -> None:
    with workspace(tmp_path, embedder="hashing") as db:
        scheduler = only(db, "vectors", "cooccurrence", backlog=lambda: 20_000)
        assert scheduler.turn() == ["cooccurrence"]
        scheduler.join()
        assert (job(scheduler).state, job(scheduler).why) == ("paused", "ingest is critical")


def test_a_broken_embedder_stops_nothing_else(tmp_path: Path) -> None:
    with workspace(tmp_path, embedder=f"onnx:{tmp_path / 'nothing'}") as db:
        scheduler = only(db, "vectors", "components", "event_clusters", workers=3)
        scheduler.turn()
        assert scheduler.join() == ["components"]
        assert {found.name for found in scheduler.status().red} == {"vectors", "event_clusters"}
        assert "nothing" in job(scheduler).error
        assert db.knowledge.kinds() == ["components"]


def test_what_a_server_leaves_out_is_red_until_it_is_there(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBEDDER_KEY", servers.key)
    monkeypatch.setattr(_remote, "_FIRST_WAIT", 0.0)

    def opened(address: str) -> Engine:
        return Engine(
            tmp_path / "w",
            embedder=f"ollama:{servers.model}",
            embedder_base_url=address,
            embedder_api_key="env:EMBEDDER_KEY",
        )

    workspace(tmp_path).close()
    with servers.serve("ollama") as server, opened(server.base_url) as db:
        db.scheduler.run_now("vectors")
        db.refresh().ingest(visits(2, "coffee machines"), type="Visit")
    away = opened("http://127.0.0.1:9")
    with pytest.raises(ProviderError, match=r"texts of 1 segments wait, first those of 2025-03-02: .*nobody"):
        away.scheduler.run_now("vectors")
    assert job(away.scheduler).red
    away.scheduler.turn()
    away.close()
    assert job(away.scheduler).state == "failing"
    assert away.refresh().status()["segments_without_vectors"] == 1
    with servers.serve("ollama") as server, opened(server.base_url) as db:
        db.scheduler.run_now("vectors")
        assert not job(db.scheduler).red
        assert db.refresh().status()["segments_without_vectors"] == 0


def test_another_writer_is_waited_for(tmp_path: Path) -> None:
    with workspace(tmp_path, embedder="hashing") as db:
        scheduler = only(db, "vectors")
        with SegmentStore(db.path).writer(), pytest.raises(WriterLockedError):
            scheduler.run_now("vectors")
        assert job(scheduler).red
        scheduler.run_now("vectors")
        assert not job(scheduler).red


def test_there_is_a_job_where_there_are_texts_and_an_embedder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "silent").mkdir()
    silent = workspace(tmp_path / "silent", SCHEMA.replace("text:", "# text:"))
    assert "vectors" not in {found.name for found in jobs_of(silent)}
    (tmp_path / "empty").mkdir()
    (tmp_path / "v.yaml").write_text(SCHEMA)
    with Engine.create(tmp_path / "e", schema=tmp_path / "v.yaml", embedder="hashing") as empty:
        scheduler = only(empty, "vectors")
        scheduler.turn()
        scheduler.join()
        assert not job(scheduler).red
        assert empty.snapshot.generation == 0
        monkeypatch.setattr(embedders.load("hashing"), "can_run", lambda: "something is missing")
        assert "vectors" not in {found.name for found in jobs_of(empty)}
    # what is none is said by the job
    assert can_run(Settings(embedder="nothing"))


def test_the_day_of_a_stream_gets_its_index_when_the_stream_has_ended(tmp_path: Path) -> None:
    with workspace(tmp_path, embedder="hashing") as db:
        vectors = Vectors(db, "hashing", IndexKind("exact", "float32", above=1), lambda _: db.refresh())
        db.ingest(visits(2, "coffee machines", "running shoes"), type="Visit")
        with db.stream():
            done = vectors.index()
            assert (done.segments, done.indexes) == (["2025-03-01", "2025-03-02"], ["2025-03-01"])
            assert vectors.waiting == []
        assert vectors.waiting == ["2025-03-02"]
        assert vectors.index().indexes == ["2025-03-02"]


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    workspace(tmp_path, embedder="hashing").close()

    def index(*options: str) -> str:
        done = CliRunner().invoke(app, ["index", "-w", str(tmp_path / "w"), *options])
        assert done.exit_code == 0, done.output
        return done.stdout

    document = json.loads(index("--json"))
    assert (document["segments"], document["texts"], document["waiting"]) == (["2025-03-01"], 2, [])
    assert index("-q") == "every segment's texts have their vectors\n"
    silent = tmp_path / "silent"
    silent.mkdir()
    workspace(silent, SCHEMA.replace("text:", "# text:")).close()
    mistake = CliRunner().invoke(app, ["index", "-w", str(silent / "w")])
    assert mistake.exit_code == 2
    assert "text template" in mistake.stderr
