"""Events over HTTP: what is taken, what is answered, and what of it is stored."""

from __future__ import annotations

import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from workbench.engine import Engine
from workbench.server.errors import answer_errors
from workbench.server.ingest import Intake, ingest_routes
from workbench.storage.disk import Disk, Space

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIME = "2025-06-12T10:00:00Z"
JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-ndjson"}
ARROW = {"content-type": "application/vnd.apache.arrow.stream"}


def application(intake: Intake) -> FastAPI:
    app = FastAPI(lifespan=intake.lifespan)
    answer_errors(app)
    app.include_router(ingest_routes(intake), prefix="/api")
    return app


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.create(tmp_path / "w", stream_seconds=3600, stream_backlog_mb=1) as opened:
        yield opened


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with TestClient(application(Intake(engine))) as opened:
        yield opened


def stored(client: TestClient, engine: Engine, what: str = "n") -> list[Any]:
    """End the server and return a column of what it was sent."""
    client.__exit__()
    client.__enter__()
    return [row[0] for row in engine.sql(f"select {what} from click order by n").rows]  # noqa: S608


def counts(accepted: int, duplicates: int = 0, rejected: int = 0) -> dict[str, int]:
    return {"accepted": accepted, "duplicates": duplicates, "rejected": rejected}


def test_one_event_many_lines_and_an_arrow_stream(client: TestClient, engine: Engine) -> None:
    pretty = json.dumps({"time": TIME, "n": 1, "text": "two\nlines"}, indent=2)
    answer = client.post("/api/ingest/click", content=pretty, headers=JSON)
    assert (answer.status_code, answer.json()) == (200, counts(1))

    lines = "".join(json.dumps({"time": TIME, "n": n}) + "\r\n" for n in (2, 3))
    answer = client.post("/api/ingest/click", content=lines, headers=LINES)
    assert answer.json() == counts(2)

    sink = pa.BufferOutputStream()
    table = pa.table({"time": [TIME] * 2, "n": [4, 5]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    answer = client.post("/api/ingest/click", content=sink.getvalue().to_pybytes(), headers=ARROW)
    assert answer.json() == counts(2)

    assert stored(client, engine) == [1, 2, 3, 4, 5]
    assert stored(client, engine, "text")[0] == "two\nlines"


def test_a_request_that_is_sent_again_adds_nothing(client: TestClient, engine: Engine) -> None:
    lines = "\n".join(json.dumps({"time": TIME, "n": n}) for n in range(3))
    with_key = {**LINES, "idempotency-key": "request 7"}
    assert client.post("/api/ingest/click", content=lines, headers=with_key).json() == counts(3)
    assert client.post("/api/ingest/click", content=lines, headers=with_key).json() == counts(0, 3)
    again = client.post("/api/ingest/click?source=other", content=lines, headers=with_key)
    assert again.json() == counts(3)
    assert stored(client, engine) == [0, 0, 1, 1, 2, 2]
    assert client.post("/api/ingest/click", content=lines, headers=with_key).json() == counts(0, 3)


def test_a_field_can_be_the_key(client: TestClient, engine: Engine) -> None:
    lines = "\n".join(json.dumps({"time": TIME, "n": n, "id": n // 2}) for n in range(4))
    answer = client.post("/api/ingest/click?key=id", content=lines, headers=LINES)
    assert answer.json() == counts(2, 2)
    assert stored(client, engine) == [0, 2]


def test_what_is_malformed_goes_to_quarantine_with_its_bytes(client: TestClient, engine: Engine) -> None:
    broken = b'{"n":\n 1'
    assert client.post("/api/ingest/click", content=broken, headers=JSON).json() == counts(0, 0, 1)
    mixed = b'{"time":"2025-06-12T10:00:00Z","n":1}\nnonsense\n\xff\n'
    assert client.post("/api/ingest/click", content=mixed, headers=LINES).json() == counts(1, 0, 2)
    assert stored(client, engine) == [1]
    assert engine.quarantine["original"].to_pylist() == [broken, b"nonsense", b"\xff"]


def test_what_cannot_be_meant_is_refused(client: TestClient, engine: Engine) -> None:
    refusals = [
        ("click", b"a,b", {"content-type": "text/csv"}, 415),
        ("click", b"{}", {}, 415),
        ("click", b" ", JSON, 400),
        ("click", b"no arrow", ARROW, 400),
        ("<b>", b'{"n":1}', JSON, 400),
    ]
    for name, body, headers, status in refusals:
        answer = client.post(f"/api/ingest/{name}", content=body, headers=headers)
        assert (answer.status_code, set(answer.json()["error"])) == (
            status,
            {"type", "message", "where", "fix"},
        )
    assert client.get("/api/ingest/click").status_code == 405
    assert engine.refresh().snapshot.generation == 0


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        ({"content-encoding": "gzip"}, gzip.compress(b'{"n": 1}'), "'gzip' is not read"),
        (
            {"content-type": "application/json; charset=UTF-16"},
            '{"n": 1}'.encode("utf-16"),
            "'utf-16' is not",
        ),
    ],
)
def test_a_body_in_another_form_is_refused_and_not_taken_for_bad_events(
    client: TestClient, engine: Engine, headers: dict[str, str], body: bytes, said: str
) -> None:
    answer = client.post("/api/ingest/click", content=body, headers={**JSON, **headers})
    assert answer.status_code == 415
    assert said in answer.json()["error"]["message"]
    as_ever = {"content-type": 'application/json; charset="utf-8"', "content-encoding": "identity"}
    event = json.dumps({"time": TIME, "n": 2})
    assert client.post("/api/ingest/click", content=event, headers=as_ever).json() == counts(1)
    assert stored(client, engine) == [2]
    assert engine.quarantine.num_rows == 0


def test_events_come_in_while_all_other_threads_wait(engine: Engine) -> None:
    app, over, inside = application(Intake(engine)), threading.Event(), threading.Semaphore(0)

    @app.get("/slow")
    def slow() -> None:
        inside.release()
        over.wait(60)

    with TestClient(app) as client, ThreadPoolExecutor(40) as askers:
        waiting = [askers.submit(client.get, "/slow") for _ in range(40)]
        for _ in waiting:
            assert inside.acquire(timeout=60)
        with ThreadPoolExecutor(1) as sender:
            sent = sender.submit(client.post, "/api/ingest/click", json={"time": TIME, "n": 1})
            done, _ = wait([sent], timeout=20)
            over.set()
        assert done
        assert sent.result().json() == counts(1)


def test_under_pressure_the_sender_is_told_when_to_come_again(client: TestClient, engine: Engine) -> None:
    held = Engine(engine.path)
    with held.store.writer():
        event = json.dumps({"time": TIME, "n": 1, "text": "x" * 900_000})
        lines = f"{event}\n{event}"
        assert client.post("/api/ingest/click", content=lines, headers=LINES).status_code == 200
        answer = client.post("/api/ingest/click", content=event, headers=JSON)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "3600")
        assert answer.json()["error"]["type"] == "BackPressureError"
    assert stored(client, engine) == [1, 1]


def test_a_full_disk_is_told_from_a_failure(client: TestClient, engine: Engine) -> None:
    class Full(Disk):
        def space(self, path: Path) -> Space:
            return Space(1 << 30, 1 << 20)

    engine.store.disk, before = Full(), engine.store.disk
    answer = client.post("/api/ingest/click", content=json.dumps({"time": TIME, "n": 1}), headers=JSON)
    assert (answer.status_code, answer.json()["error"]["type"]) == (507, "DiskFullError")
    engine.store.disk = before
    assert client.post(
        "/api/ingest/click", content=json.dumps({"time": TIME, "n": 2}), headers=JSON
    ).is_success
    assert stored(client, engine) == [2]


def test_another_streamer_has_it(client: TestClient, engine: Engine) -> None:
    with engine.stream():
        answer = client.post("/api/ingest/click", content=b'{"n":1}', headers=JSON)
    assert (answer.status_code, answer.json()["error"]["type"]) == (409, "WriterLockedError")


def test_after_a_failed_write_the_next_request_opens_the_stream_again(engine: Engine) -> None:
    class Failing(Disk):
        def sync(self, descriptor: int) -> None:
            raise OSError(5, "Input/output error")

    intake = Intake(engine)
    with TestClient(application(intake)) as client:
        event = {"time": TIME, "n": 1}
        headers = {**JSON, "idempotency-key": "1"}
        assert client.post("/api/ingest/click", json=event, headers=headers).json() == counts(1)
        intake._opened()._log._disk = Failing()
        answer = client.post("/api/ingest/click", json={**event, "n": 2}, headers=JSON)
        assert answer.status_code == 500
        assert client.post("/api/ingest/click", json=event, headers=headers).json() == counts(0, 1)
        assert client.post("/api/ingest/click", json={**event, "n": 3}, headers=JSON).json() == counts(1)
    numbers = [row[0] for row in engine.sql("select n from click order by n").rows]
    assert numbers in ([1, 3], [1, 2, 3])


def test_requests_at_once_are_all_stored(client: TestClient, engine: Engine) -> None:
    ready = threading.Barrier(8)

    def send(name: int) -> int:
        ready.wait(60)
        events = [{"time": TIME, "n": name * 10 + n} for n in range(10)]
        found = [client.post("/api/ingest/click", json=event).json()["accepted"] for event in events]
        return sum(found)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(send, range(8))) == 80
    assert stored(client, engine) == list(range(80))
