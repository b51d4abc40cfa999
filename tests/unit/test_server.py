"""The server in a process of its own: what it answers, and that all of it is closed without a login."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import polars as pl
import pyarrow as pa
import pytest
import websockets
from bokeh.util.token import get_token_payload
from schemas import CLICKS

from workbench.engine import Engine
from workbench.server import resolve_access
from workbench.server.app import application
from workbench.server.passwords import add_password
from workbench.server.visitor import Role
from workbench.views import views

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 60
TOKEN = "a-token-of-some-length"  # noqa: S105
NAME, PASSWORD = "anna", "correct horse"
BEARER = {"authorization": f"Bearer {TOKEN}"}
HTML = {"accept": "text/html"}


def clicks(*pages: str, hour: int = 10) -> pl.DataFrame:
    times = [datetime(2025, 6, 12, hour, minute, tzinfo=UTC) for minute in range(len(pages))]
    return pl.DataFrame({"time": times, "user": ["anna"] * len(pages), "page": list(pages)})


@contextmanager
def serving(workspace: Path, *options: str) -> Iterator[str]:
    """Run ``workbench serve`` and give its address; it must end in order when it is told to."""
    command = [sys.executable, "-m", "workbench", "serve", str(workspace), "--port", "0", *options]
    environment = {**os.environ, "SOME_TOKEN": TOKEN}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        assert line.startswith("http"), line + process.stderr.read()
        yield line.split()[0].rstrip("/")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
        process.stderr.close()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served")
    (root / "schema.yaml").write_text(CLICKS)
    engine = Engine.create(root / "w", schema=root / "schema.yaml")
    engine.ingest(clicks("/home", "<i>", "/shop"), type="click")
    engine.compute("pagerank")
    return engine.path


@pytest.fixture(scope="module")
def url(workspace: Path) -> Iterator[str]:
    with serving(workspace) as address:
        yield address


@pytest.fixture(scope="module")
def closed(workspace: Path) -> Iterator[str]:
    users = workspace.with_name("users")
    add_password(users, NAME, PASSWORD)
    with serving(workspace, "--password-file", str(users), "--token", "env:SOME_TOKEN") as address:
        yield address


def log_in(address: str, name: str = NAME, password: str = PASSWORD, **options: Any) -> httpx.Response:
    form = {"name": name, "password": password}
    return httpx.post(f"{address}/login", data=form, timeout=SECONDS, **options)


def every_route(workspace: Path) -> set[tuple[str, str]]:
    """Return kind and path of every route of the application, with a value for each parameter."""
    gate = application(Engine(workspace), resolve_access())
    found = set()

    def walk(routes: Any, prefix: str) -> None:
        for route in routes:
            path = prefix + re.sub(r"{[^}]+}", "x", getattr(route, "path", ""))
            if inner := getattr(route, "routes", None):
                walk(inner, path)
                continue
            methods = getattr(route, "methods", None) or {"WS" if path.endswith("ws") else "GET"}
            found.update((method, path) for method in methods)

    walk(gate.app.routes, "")
    return found


OPEN = {("GET", "/healthz"), ("GET", "/login"), ("POST", "/login"), ("HEAD", "/login")}


def test_without_a_login_everything_is_closed_over_http(workspace: Path, closed: str) -> None:
    routes = every_route(workspace)
    assert {("GET", "/"), ("GET", "/views/catalog"), ("POST", "/api/sql"), ("GET", "/static")} <= routes
    with httpx.Client(base_url=closed, timeout=SECONDS) as client:
        for method, path in sorted(routes - OPEN):
            if method != "WS":
                answer = client.request(method, path)
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"].startswith("Bearer")
        for path in (
            "/static/js/bokeh.min.js",
            "/rest/session_info",
            "/nothing",
            "/api/openapi.json",
            "//",
            "/ws",
        ):
            assert client.get(path).status_code == 401, path
        for method, path in sorted(OPEN):
            assert "www-authenticate" not in client.request(method, path).headers, path


def test_without_a_login_every_websocket_is_closed(workspace: Path, closed: str) -> None:
    paths = [path for kind, path in every_route(workspace) if kind == "WS"]
    assert len(paths) == 1 + len(views.names())
    for path in paths:
        assert socket_status(closed, path) == 403
        assert socket_status(closed, path, {"authorization": "Bearer wrong-wrong-wrong"}) in {403, 429}
        assert (
            socket_status(closed, path, BEARER, subprotocols=bokeh(closed + path.removesuffix("ws"))) == 101
        )


def socket_status(address: str, path: str, headers: dict[str, str] | None = None, **options: Any) -> int:
    """Return the status with which a WebSocket is refused; 101 if it is opened."""

    async def knock() -> int:
        target = address.replace("http", "ws", 1) + path
        try:
            async with websockets.connect(target, additional_headers=headers, proxy=None, **options):
                return 101
        except websockets.InvalidStatus as refusal:
            return refusal.response.status_code

    return asyncio.run(knock())


def bokeh(page: str) -> list[str]:
    """Return what a page opens its WebSocket with."""
    token = re.search(
        r'"token":"([^"]+)"', httpx.get(page.rstrip("/") or page, headers=BEARER, timeout=SECONDS).text
    )
    assert token is not None
    return ["bokeh", token[1]]


def test_a_browser_is_sent_to_the_login_and_back(closed: str) -> None:
    sent = httpx.get(f"{closed}/?view=catalog&entity=user:anna", headers=HTML)
    assert sent.status_code == 303
    login = sent.headers["location"]
    assert login == "/login?next=%2F%3Fview%3Dcatalog%26entity%3Duser%3Aanna"
    with httpx.Client(base_url=closed, timeout=SECONDS) as client:
        page = client.get(login)
        assert page.status_code == 200
        action = re.search(r'action="([^"]+)"', page.text)
        assert action is not None
        answer = client.post(f"/{action[1]}", data={"name": NAME, "password": PASSWORD})
        assert answer.status_code == 303
        assert answer.headers["location"] == "/?view=catalog&entity=user:anna"
        assert client.get("/api/health").status_code == 200
        (cookie,) = answer.headers.get_list("set-cookie")
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert client.post("/logout").status_code == 303
        client.cookies.set(*cookie.partition(";")[0].split("=", 1))
        assert client.get("/api/health").status_code == 401


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", ""])
def test_the_login_leads_to_no_other_site(closed: str, target: str) -> None:
    answer = log_in(closed, params={"next": target})
    assert answer.headers["location"] == "/"


def test_the_secret_of_a_session_stands_in_no_page(closed: str) -> None:
    with httpx.Client(base_url=closed, timeout=SECONDS) as client:
        cookie = log_in(closed).headers["set-cookie"].partition(";")[0]
        name, _, secret = cookie.partition("=")
        client.cookies.set(name, secret)
        page = client.get("/views/catalog")
        assert page.status_code == 200
        assert secret not in page.text
        token = re.search(r'"token":"([^"]+)"', page.text)
        assert token is not None
        payload = get_token_payload(token[1])
        assert "arguments" in payload
        assert secret not in str(payload)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_a_token_lets_a_program_in(closed: str, scheme: str) -> None:
    answer = httpx.get(
        f"{closed}/api/health", headers={"authorization": f"{scheme} {TOKEN}"}, timeout=SECONDS
    )
    assert answer.json()["documents"] == 3
    for wrong in ("Bearer", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"):
        assert httpx.get(f"{closed}/api/health", headers={"authorization": wrong}).status_code in {401, 429}


def test_attempts_are_limited(workspace: Path) -> None:
    users = workspace.with_name("users-2")
    add_password(users, NAME, PASSWORD)
    with serving(workspace, "--password-file", str(users)) as address:
        answers = [log_in(address, password=f"guess number {n}").status_code for n in range(7)]
        assert answers[:6] == [401] * 6
        assert answers[6] == 429
        blocked = log_in(address)
        assert blocked.status_code == 429
        time.sleep(int(blocked.headers["retry-after"]))
        assert log_in(address).status_code == 303


@pytest.mark.parametrize("name", ["anna", "nobody", "", "anna\x00", "a" * 10_000])
def test_a_wrong_login_says_the_same_whatever_is_wrong(workspace: Path, closed: str, name: str) -> None:
    log_in(closed)
    answer = log_in(closed, name=name, password="wrong horse")  # noqa: S106
    assert answer.status_code == 401
    assert "The name or the password is wrong." in answer.text
    assert "set-cookie" not in answer.headers
    log_in(closed)


# who may do what


@pytest.fixture(scope="module")
def roles(workspace: Path) -> Iterator[str]:
    users = workspace.with_name("roles")
    for role in Role:
        add_password(users, str(role), PASSWORD, role)
    with serving(
        workspace, "--password-file", str(users), "--token", "env:SOME_TOKEN", "--token-role", "viewer"
    ) as address:
        yield address


@pytest.mark.parametrize("role", Role)
def test_a_role_may_do_what_it_says_and_no_more(roles: str, role: Role) -> None:
    with httpx.Client(base_url=roles, timeout=SECONDS) as client:
        answer = client.post("/login", data={"name": str(role), "password": PASSWORD})
        client.cookies.set(*answer.headers["set-cookie"].partition(";")[0].split("=", 1))
        assert client.get("/api/me").json() == {"name": str(role), "role": str(role)}
        assert client.get("/api/catalog").status_code == 200
        assert client.post("/api/ask", json={"question": "clicks per page"}).status_code == 200
        statement = client.post("/api/sql", json={"statement": "select 1"})
        assert statement.status_code == (200 if role >= Role.ANALYST else 403)
        if role < Role.ANALYST:
            assert "this needs the role analyst; viewer has the role viewer." in statement.text


def test_a_token_has_the_role_that_it_was_given(roles: str, closed: str) -> None:
    for address, role, status in ((roles, "viewer", 403), (closed, "analyst", 200)):
        with httpx.Client(base_url=address, headers=BEARER, timeout=SECONDS) as client:
            assert client.get("/api/me").json()["role"] == role
            assert client.post("/api/sql", json={"statement": "select 1"}).status_code == status


def test_without_a_login_everybody_may_do_everything(url: str) -> None:
    assert httpx.get(f"{url}/api/me", timeout=SECONDS).json() == {"name": "", "role": "operator"}


# what comes from elsewhere


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1", "http://localhost:1"])
def test_another_origin_is_refused(url: str, origin: str) -> None:
    answer = httpx.post(f"{url}/api/sql", json={"statement": "select 1"}, headers={"origin": origin})
    assert answer.status_code == 403
    assert socket_status(url, "/ws", origin=origin) == 403


def test_its_own_origin_is_let_in(url: str) -> None:
    answer = httpx.post(
        f"{url}/api/sql", json={"statement": "select 1"}, headers={"origin": url}, timeout=SECONDS
    )
    assert answer.status_code == 200
    assert socket_status(url, "/ws", origin=url, subprotocols=bokeh(url)) == 101


def test_another_host_is_refused(url: str) -> None:
    answer = httpx.get(f"{url}/api/health", headers={"host": "rebound.example"})
    assert answer.status_code == 421


def test_a_body_that_is_too_large_is_refused(url: str) -> None:
    large = "x" * (1 << 20)
    assert httpx.post(f"{url}/api/sql", json={"statement": large}).status_code == 413

    def parts() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * (1 << 16)

    assert httpx.post(f"{url}/api/sql", content=parts(), timeout=SECONDS).status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/static/extensions/panel/..%2f..%2f..%2f..%2fetc/passwd",
        "/components/panel.io.fastapi/x/../../etc/passwd",
        "/api/entity/..%2f..%2fetc%2fpasswd",
        "/views/..%2f..%2fetc%2fpasswd",
    ],
)
def test_no_path_leads_out_of_what_is_served(url: str, path: str) -> None:
    with httpx.Client(base_url=url) as client:
        request = client.build_request("GET", url)
        request.url = request.url.copy_with(raw_path=path.encode())
        answer = client.send(request)
    assert answer.status_code in {400, 404}
    assert "root:" not in answer.text


def test_every_answer_has_the_headers_that_browsers_obey(url: str) -> None:
    for path in ("/", "/api/health", "/nothing", "/healthz", "/static/js/bokeh.min.js"):
        headers = httpx.get(f"{url}{path}", timeout=SECONDS).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "server" not in headers


# what there is


def test_the_first_page_needs_nothing_from_elsewhere(url: str) -> None:
    page = httpx.get(url, timeout=SECONDS)
    assert page.status_code == 200
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//[^"']*""", page.text) == []
    assert httpx.get(f"{url}/rest/session_info").status_code == 404


def test_sql_as_json_and_as_arrow(url: str) -> None:
    body = {"statement": "select page from click order by page"}
    answer = httpx.post(f"{url}/api/sql", json=body, timeout=SECONDS).json()
    assert (answer["columns"], answer["rows"]) == (["page"], [["/home"], ["/shop"], ["<i>"]])
    assert answer["timezone"] == "Europe/Berlin"
    stream = httpx.post(
        f"{url}/api/sql",
        json=body,
        headers={"accept": "application/vnd.apache.arrow.stream"},
        timeout=SECONDS,
    )
    assert pa.ipc.open_stream(stream.content).read_all()["page"].to_pylist() == ["/home", "/shop", "<i>"]


def test_entities_paths_and_knowledge(url: str) -> None:
    with httpx.Client(base_url=f"{url}/api", timeout=SECONDS) as client:
        page = client.get("/entity/page:%2Fhome").json()
        assert (page["entity"], page["sightings"], page["neighbours"][0]["entity"]) == (
            "page:/home",
            1,
            "user:anna",
        )
        around = client.get("/graph/around", params={"entity": "user:anna", "limit": 2}).json()
        assert around["hidden"] == [1]
        assert len(around["nodes"]["rows"]) == 3
        path = client.get("/graph/path", params={"start": "page:/home", "end": "page:/shop"}).json()
        names = [row[0] for row in path["paths"][0]["nodes"]["rows"]]
        assert names == ["page:/home", "user:anna", "page:/shop"]
        runs = client.get("/knowledge").json()["runs"]
        assert [run["kind"] for run in runs] == ["pagerank"]
        ranks = client.get("/knowledge/pagerank", params={"limit": 1}).json()
        assert (len(ranks["rows"]), ranks["total"]) == (1, 4)
        hits = client.get("/catalog/search", params={"text": "hoem"}).json()
        assert hits["rows"][0][hits["columns"].index("name")] in {"/home", "page:/home"}
        names = [event["name"] for event in client.get("/catalog").json()["event_types"]]
        assert names == ["click"]
        assert {view["name"] for view in client.get("/views").json()["views"]} == set(views.names())


def events(address: str, question: str) -> list[tuple[str, Any]]:
    """Return the server-sent events of an answer."""
    found = []
    with httpx.stream("POST", f"{address}/api/ask", json={"question": question}, timeout=SECONDS) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for block in answer.read().decode().strip().split("\n\n"):
            name, _, data = block.partition("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_an_answer_is_told_as_it_comes_about(url: str) -> None:
    told = events(url, "clicks per page")
    names = [name for name, _ in told]
    assert names[-3:] == ["plan", "text", "answer"]
    assert set(names[:-3]) <= {"progress"}
    answer = told[-1][1]
    assert answer["status"] == "answered"
    assert sorted(answer["tables"][0]["rows"]) == [["/home", 1], ["/shop", 1], ["<i>", 1]]
    assert told[-3][1] == answer["plan"]
    (_, text), (_, declined) = events(url, "what is the colour of money")[-2:]
    assert text["status"] == declined["status"] != "answered"
    wrong = httpx.post(f"{url}/api/ask", json={"question": ""}, timeout=SECONDS)
    assert wrong.status_code == 422


def test_the_interface_describes_itself_without_scripts(url: str) -> None:
    paths = httpx.get(f"{url}/api/openapi.json").json()["paths"]
    assert {"/sql", "/ask", "/catalog", "/graph/around", "/knowledge/{kind}"} <= set(paths)
    page = httpx.get(f"{url}/api/docs").text
    assert "<script" not in page
    assert "/api/graph/around" in page


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "said"),
    [
        ("POST", "/sql", {"json": {"statement": "drop table click"}}, 400, "SELECT"),
        ("POST", "/sql", {"json": {"statement": "select pgae from click"}}, 400, "page"),
        ("POST", "/sql", {"json": {"statement": "select 1", "write": True}}, 422, "write"),
        ("POST", "/sql", {"content": b"no json"}, 422, "body"),
        ("GET", "/entity/user:ana", {}, 404, "anna"),
        ("GET", "/entity/nothing", {}, 400, "nothing"),
        ("GET", "/knowledge/pagerang", {}, 404, "pagerank"),
        ("GET", "/graph/around", {"params": {"entity": "user:anna", "hops": 9}}, 422, "hops"),
        ("GET", "/nothing", {}, 404, "/api/nothing"),
        ("DELETE", "/catalog", {}, 405, "Method"),
    ],
)
def test_an_error_says_what_where_and_what_to_do(  # noqa: PLR0913, PLR0917
    url: str, method: str, path: str, options: dict[str, Any], status: int, said: str
) -> None:
    answer = httpx.request(method, f"{url}/api{path}", timeout=SECONDS, **options)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"type", "message", "where", "fix"}
    assert said in str(error)


def test_a_new_generation_is_answered_at_once(tmp_path: Path) -> None:
    engine = Engine.create(tmp_path / "w")
    engine.ingest(clicks("/home"), type="click")
    with serving(engine.path) as address:
        count = {"statement": "select count(*) from click"}
        assert httpx.post(f"{address}/api/sql", json=count, timeout=SECONDS).json()["rows"] == [[1]]
        engine.ingest(clicks("/a", "/b", hour=11), type="click")
        assert httpx.post(f"{address}/api/sql", json=count, timeout=SECONDS).json()["rows"] == [[3]]
