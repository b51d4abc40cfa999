"""Events sent to a server in a process of its own: who may, how much at once, and what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi.testclient import TestClient

from workbench.engine import Engine
from workbench.server.api import rest
from workbench.server.ingest import Intake
from workbench.server.visitor import Role, Visitor, visiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 60
TOKEN = "a-token-of-some-length"  # noqa: S105
BEARER = {"authorization": f"Bearer {TOKEN}"}
TIME = "2025-06-12T10:00:00Z"


@contextmanager
def serving(workspace: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "workbench", "serve", str(workspace), "--port", "0", *options]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "SOME_TOKEN": TOKEN}
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        assert line.startswith("http"), line + process.stderr.read()
        yield line.split()[0].rstrip("/"), process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)
        process.stderr.close()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return Engine.create(tmp_path / "w").path


def numbers(workspace: Path) -> list[int]:
    with Engine(workspace) as engine:
        return [row[0] for row in engine.sql("select n from click order by n").rows]


def test_who_may_write_and_how_much_at_once(workspace: Path) -> None:
    event = {"time": TIME, "n": 1}
    with serving(workspace, "--token", "env:SOME_TOKEN") as (url, _):
        answer = httpx.post(f"{url}/api/ingest/click", json=event, headers=BEARER, timeout=SECONDS)
        assert answer.status_code == 403
        assert "operator" in answer.json()["error"]["message"]

    options = ("--token", "env:SOME_TOKEN", "--token-role", "operator")
    with serving(workspace, *options) as (url, _), httpx.Client(base_url=url, timeout=SECONDS) as client:
        assert client.post("/api/ingest/click", json=event).status_code == 401
        answer = client.post("/api/ingest/click", json=event, headers=BEARER)
        assert answer.json() == {"accepted": 1, "duplicates": 0, "rejected": 0}
        foreign = {**BEARER, "origin": "https://elsewhere.example"}
        assert client.post("/api/ingest/click", json=event, headers=foreign).status_code == 403
        lines = {**BEARER, "content-type": "application/x-ndjson"}
        too_much = b"x" * ((16 << 20) + 1)
        assert client.post("/api/ingest/click", content=too_much, headers=lines).status_code == 413
        many = "\n".join(json.dumps({"time": TIME, "n": n, "pad": "x" * 100}) for n in range(2, 20_002))
        assert len(many) > 1 << 20
        assert client.post("/api/ingest/click", content=many, headers=lines).json()["accepted"] == 20_000
        listed = client.get("/api/openapi.json", headers=BEARER).json()["paths"]
        assert "post" in listed["/ingest/{event_type}"]
    assert numbers(workspace) == list(range(1, 20_002))


def test_what_a_killed_server_had_acknowledged_is_there_with_the_next_one(workspace: Path) -> None:
    acknowledged = []
    with serving(workspace) as (url, process), httpx.Client(base_url=url, timeout=SECONDS) as client:
        for n in range(20):
            answer = client.post("/api/ingest/click?key=n", json={"time": TIME, "n": n})
            acknowledged += [n] * answer.json()["accepted"]
        process.kill()
    assert acknowledged == list(range(20))

    with serving(workspace) as (url, _):
        again = httpx.post(f"{url}/api/ingest/click?key=n", json={"time": TIME, "n": 7}, timeout=SECONDS)
        assert again.json() == {"accepted": 0, "duplicates": 1, "rejected": 0}
    assert numbers(workspace) == acknowledged


ENDLESS = {"statement": "select count(*) from range(10000000000000)", "timeout": 600}


def asking(engine: Engine, intake: Intake) -> TestClient:
    """Return a client whom the gate has let in as an operator."""
    app = rest(engine, intake)

    async def let_in(scope: Any, receive: Any, send: Any) -> None:
        with visiting(Visitor("", Role.OPERATOR)):
            await app(scope, receive, send)

    return TestClient(let_in)


def test_a_statement_runs_no_longer_than_the_setting_and_ends_with_the_server(workspace: Path) -> None:
    with Engine(workspace, sql_timeout=0.2) as engine:
        assert asking(engine, Intake(engine)).post("/sql", json=ENDLESS).status_code == 504
    with Engine(workspace, sql_timeout=600) as engine, ThreadPoolExecutor(1) as asker:
        intake = Intake(engine)
        intake.ending.set()
        answer = asker.submit(asking(engine, intake).post, "/sql", json=ENDLESS)
        assert answer.result(SECONDS).status_code == 504
