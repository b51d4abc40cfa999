"""A workspace opened from a mirror, in a directory and in S3: what reads works, what writes says no."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import polars as pl
import pytest
from schemas import CLICKS
from typer.testing import CliRunner

import workbench as wb
from workbench.analysis import tasks
from workbench.cli.app import app
from workbench.engine import Engine
from workbench.errors import ReadOnlyError, UsageError, WorkspaceError
from workbench.views import views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY, SECRET = "id-of-key", "a-secret"
SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
SCHEMA = CLICKS + '      text: "visited the page {page}"\n'
START = datetime(2025, 6, 12, 8, tzinfo=UTC)
PAGES = ("garden tools", "winter coats", "running shoes", "coffee machines")
QUESTIONS = (
    "how many clicks per page?",
    "which users are the most important?",
    "users similar to u3",
    "the path from u1 to u2",
)


def clicks() -> pl.DataFrame:
    """Three days of 30 users, of whom each likes two pages."""
    rows = [
        {
            "time": START + timedelta(days=day, minutes=7 * user + n),
            "user": f"u{user}",
            "page": PAGES[(user + n) % 4 if n else user % 4],
        }
        for day in range(3)
        for user in range(30)
        for n in range(2 + user % 3)
    ]
    return pl.DataFrame(rows)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """S3 that a user's environment leads to."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("COVERAGE", "AWS_"))}
    command = [sys.executable, "-c", SERVER]
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=kept
        ) as server,
    ):
        assert server.stdout is not None
        for name in [n for n in os.environ if n.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("WORKBENCH_S3_ENDPOINT", f"http://127.0.0.1:{int(server.stdout.readline())}")
        patch.setenv("WORKBENCH_MIRROR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield patch
        server.kill()


@pytest.fixture(scope="module")
def shop(environment: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "schema.yaml").write_text(SCHEMA)
    with Engine.create(folder / "w", schema=folder / "schema.yaml", device="cpu") as engine:
        engine.ingest(clicks(), type="click")
        engine.compute("pagerank")
        yield engine


@pytest.fixture(scope="module", params=["directory", "s3"])
def address(request: pytest.FixtureRequest, shop: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "directory":
        place = str(tmp_path_factory.mktemp("mirror") / "shop")
    else:
        url = os.environ["WORKBENCH_S3_ENDPOINT"]
        client: Any = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        place = "s3://bucket/a/shop"
    shop.mirror(place)
    return place


@pytest.fixture(scope="module")
def there(address: str) -> Iterator[Engine]:
    with wb.open(address, device="cpu") as engine:
        yield engine


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments), prog_name="workbench")
    assert done.exit_code == code, done.output
    return done.output


def test_documents_tables_and_the_catalog_are_the_workspaces(there: Engine, shop: Engine) -> None:
    statement = "select _segment, _id, page from click order by _segment, _id"
    rows = there.sql(statement).rows
    assert rows == shop.sql(statement).rows
    found = there.get(f"{rows[7][0]}/{rows[7][1]}")
    assert found == shop.get(found.address)
    assert there.scan("click").read_all().equals(shop.scan("click").read_all())
    assert there.catalog.to_dict()["event_types"] == shop.catalog.to_dict()["event_types"]
    assert there.verify(full=True) == []
    assert there.status()["documents"] == len(rows)


def test_graph_entities_and_features_are_the_workspaces(there: Engine, shop: Engine) -> None:
    name = "user:u3"
    assert str(there.graph.around(name)) == str(shop.graph.around(name))
    assert str(there.entity(name)) == str(shop.entity(name))
    assert there.entity(name).events(5).equals(shop.entity(name).events(5))
    assert there.features().to_arrow().equals(shop.features().to_arrow())


@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_are_answered_as_by_the_workspace(there: Engine, shop: Engine, question: str) -> None:
    answer, expected = there.ask(question), shop.ask(question)
    assert answer.status == "answered"
    # what it had to compute the workspace keeps, in a generation of its own
    assert answer.text.rpartition("generation")[0] == expected.text.rpartition("generation")[0]
    assert answer.to_arrow().equals(expected.to_arrow())


def test_a_conversation_goes_on(there: Engine) -> None:
    assert there.ask("how many clicks per page?", session="mine").status == "answered"
    assert there.ask("and per user?", session="mine").status == "answered"


@pytest.mark.parametrize("name", views.names())
def test_every_view_is_shown(there: Engine, name: str) -> None:
    state = {"entity": "user:u3"} if name == "entity" else {}
    view = there.view(name, **state)
    assert "<" in view._repr_mimebundle_()["text/html"]
    assert view.to_html()


def test_texts_are_searched(there: Engine, shop: Engine) -> None:
    found = there.vectors.search("garden tools", k=3).to_arrow()
    assert found.num_rows == 3
    assert found.equals(shop.vectors.search("garden tools", k=3).to_arrow())
    assert there.vectors.similar("user:u3", k=2).to_arrow().num_rows == 2


def test_knowledge_is_read_and_what_is_new_is_computed_without_being_kept(
    there: Engine, shop: Engine
) -> None:
    stored = shop.knowledge.read("pagerank").to_arrow()
    assert there.knowledge.read("pagerank").to_arrow().equals(stored)
    assert there.compute("pagerank").to_arrow().equals(stored)
    with pytest.raises(ReadOnlyError):
        there.compute("pagerank", damping=0.7)
    made = there.compute("pagerank", damping=0.7, keep="if possible")
    assert made.to_arrow().num_rows == stored.num_rows
    assert len(there.knowledge.runs("pagerank")) == 1
    for task in tasks.names():
        assert there.compute(task, keep="if possible") is not None


WRITING: dict[str, Callable[[Engine], object]] = {
    "ingest": lambda db: db.ingest(clicks(), type="more"),
    "retry": lambda db: db.retry(),
    "watch": lambda db: db.watch(".", say=print),
    "stream": lambda db: db.stream(),
    "evict": lambda db: db.evict("2025-06-12"),
    "compact": lambda db: db.compact(),
    "forget": lambda db: db.forget("user:u3", apply=True),
    "repair": lambda db: db.repair(),
    "accept": lambda db: db.accept(db.ask("how many clicks per page?")),
}


@pytest.mark.parametrize("name", WRITING)
def test_what_writes_says_what_this_is_and_what_to_do(there: Engine, address: str, name: str) -> None:
    with pytest.raises(ReadOnlyError, match="mirror, which is only read") as caught:
        WRITING[name](there)
    assert caught.value.where == address
    assert "workbench restore" in caught.value.fix


def test_commands_take_the_address(address: str, tmp_path: Path) -> None:
    assert json.loads(run("status", "--json", "-w", address))["path"] == address
    assert json.loads(run("sql", "select count(*) from click", "--json", "-w", address))["rows"] == [[270]]
    assert json.loads(run("config", "--json", "-w", address))["workspace"] == address
    assert f"workspace: {address}" in run("config", "-w", address)
    assert "user:u3" in run("entity", "user:u3", "-w", address)
    assert "garden tools" in run("ask", "how many clicks per page?", "-w", address)
    assert "all are as they were published" in run("verify", "-q", "--full", "-w", address)
    assert "would remove" in run("forget", "user:u3", "-w", address)
    for command in (("compact",), ("watch", str(tmp_path)), ("evict", "--yes", "2025-06-12"), ("retry",)):
        name = ("quarantine", *command) if command == ("retry",) else command
        assert "only read" in run(*name, "-w", address, code=2)
    assert "not repaired" in run("repair", "-w", address, code=2)
    assert "holds generation" in run("restore", "-q", address, str(tmp_path / "again"))
    assert "270" in run("sql", "select count(*) from click", "-w", str(tmp_path / "again"))


def test_no_workspace_is_made_at_an_address(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="in a local directory"):
        Engine.create("s3://bucket/new")
    with pytest.raises(WorkspaceError, match="no mirror"):
        wb.open("s3://bucket/new")


@contextmanager
def serving(address: str) -> Iterator[httpx.Client]:
    command = [sys.executable, "-m", "workbench", "serve", "-w", address, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            line = server.stderr.readline()
            assert f"shows {address}" in line, line
            with httpx.Client(base_url=line.split()[0], timeout=60) as client:
                yield client
        finally:
            server.kill()


@pytest.mark.parametrize("address", ["s3"], indirect=True)
def test_it_is_served(address: str) -> None:
    with serving(address) as client:
        assert client.get("/").status_code == 200
        for name in ("catalog", "graph", "entity"):
            assert client.get(f"/views/{name}").status_code == 200
        assert client.get("/api/health").json()["documents"] == 270
        rows = client.post("/api/sql", json={"statement": "select count(*) from click"}).json()["rows"]
        assert rows == [[270]]
        told = client.post("/api/ask", json={"question": "how many clicks per page?"}).text
        assert '"status": "answered"' in told.strip().rpartition("event: answer")[2]
        refused = client.post("/api/ingest/click", json={"time": "2025-06-12T10:00:00Z", "user": "u1"})
        assert refused.status_code == 403
        assert "only read" in refused.json()["error"]["message"]
