"""Mirrors in S3: moto's server, and in front of it one that refuses, breaks off, fails or is silent.

* A mirror that is cut off at any request leaves the former generation whole; the next one goes on.
* Two mirrors at once end in one whole generation.
* A flipped bit, a lost object and every answer that is none are errors; no row is missing in silence.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow as pa
import pytest
from faulty_disk import FULL, LazyDisk

import workbench as wb
from workbench.engine import Engine
from workbench.errors import DriverUnavailableError, ReadOnlyError, RemoteError, UsageError
from workbench.settings import Settings
from workbench.storage import SegmentStore
from workbench.storage.mirror import mirror
from workbench.storage.remote import MirroredStore
from workbench.storage.s3 import S3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Count

DAYS = ("2025-06-12", "2025-06-13", "2025-06-14")
SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class Front(ThreadingHTTPServer):
    """A server in front of S3; ``rule`` says what to do with a request, "" for handing it on."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind = port
        self.requests: list[str] = []
        self.rule: Callable[[int, str], str] = lambda number, request: ""
        self.reached, self.release = threading.Event(), threading.Event()
        self.turn = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients are killed here."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Front
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.turn:
            number = len(self.server.requests)
            self.server.requests.append(f"{self.command} {self.path}")
        todo = self.server.rule(number, f"{self.command} {self.path}")
        if todo == "hang":
            self.server.reached.set()
            self.server.release.wait(60)
        if todo in {"hang", "refuse"}:
            self.close_connection = True
            return
        if todo == "keep":  # an object that is not deleted, said as S3 says it
            kept = b"<Key>k</Key><Code>AccessDenied</Code><Message>kept</Message>"
            self.reply(200, [], b"<DeleteResult><Error>" + kept + b"</Error></DeleteResult>")
            return
        if todo.isdecimal():
            self.reply(int(todo), [], b"<Error><Code>Planned</Code></Error>")
            return
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind)
        with contextlib.closing(behind):
            behind.request(self.command, self.path, body, dict(self.headers.items()))
            found = behind.getresponse()
            data = found.read()
        if todo == "lose":  # done, but nobody hears of it
            self.close_connection = True
            return
        self.reply(found.status, found.getheaders(), data, cut=todo == "cut")

    def reply(self, status: int, headers: Any, data: bytes, *, cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"content-length", "connection", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = cut

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815

    def log_message(self, *_: Any) -> None:  # type: ignore[override]
        pass


@pytest.fixture(scope="module")
def moto() -> Iterator[int]:
    command = [sys.executable, "-c", SERVER]
    quiet = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=quiet,
    ) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.kill()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id-of-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture
def front(moto: int) -> Iterator[Front]:
    with Front(moto) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def bucket(moto: int, credentials: None) -> Any:
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{moto}", region_name="us-east-1")
    name = f"b-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    return boto3.resource("s3", endpoint_url=f"http://127.0.0.1:{moto}", region_name="us-east-1").Bucket(name)


@pytest.fixture
def place(front: Front, bucket: Any) -> S3:
    return S3.at(f"s3://{bucket.name}/a/shop", Settings(s3_endpoint=front.url, s3_retries=0, s3_timeout=5))


@pytest.fixture
def store(tmp_path: Path) -> SegmentStore:
    store = SegmentStore.create(
        tmp_path / "w", {"schema/entity.yaml": b"metadata: {id: mine}\n"}, disk=LazyDisk()
    )
    write(store, *DAYS[:2])
    return store


def write(store: SegmentStore, *days: str) -> None:
    with store.writer() as writer:
        transaction = writer.begin()
        for day in days:
            transaction.add("events", pa.table({"x": [1, 2]}), segment=day, name="Login", times=(1, 2))
        transaction.commit()


def problems(place: S3, cache: Path) -> tuple[int, list[str]]:
    """Return what a reader on another machine finds: the generation, and what is wrong with each file."""
    snapshot = MirroredStore(place, cache, 1 << 30, disk=LazyDisk()).snapshot()
    return snapshot.generation, [problem for _, problem in snapshot.verify(full=True)]


def test_what_is_copied_is_read_elsewhere(
    store: SegmentStore, place: S3, bucket: Any, tmp_path: Path
) -> None:
    assert mirror(store, place).copied == 2
    assert {o.key.split("/")[2] for o in bucket.objects.all()} == {
        *("CURRENT", "FORMAT", "manifests", "schema", "segments"),
    }
    assert problems(place, tmp_path / "c") == (1, ["", ""])
    for _ in range(3):
        write(store, DAYS[2])
        mirror(store, place)
    assert mirror(store, place, prune=True, grace=-60).pruned == 1
    (store.root / "schema" / "entity.yaml").unlink()
    mirror(store, place)
    assert problems(place, tmp_path / "c") == (4, [""] * 5)


def test_a_mirror_that_is_cut_off_anywhere_leaves_the_former_generation(
    store: SegmentStore, place: S3, front: Front, tmp_path: Path, count: Count
) -> None:
    mirror(store, place)
    place.parallel = 1  # the same order each time
    cuts = 0
    for way in ("refuse", "lose"):
        for number in range(100):
            generation, _ = problems(place, tmp_path / "c")
            write(store, DAYS[2])
            first = len(front.requests)
            front.rule = lambda n, _, a=first + number, w=way: "" if n < a else (w if n == a else "refuse")
            with contextlib.suppress(RemoteError):
                mirror(store, place)
            front.rule = lambda n, request: ""
            done, wrong = problems(place, tmp_path / "c")
            assert set(wrong) == {""}
            finished = len(front.requests) - first
            assert done == generation or way == "lose" or finished > number
            if done == store.snapshot().generation and way == "refuse":
                break
            mirror(store, place)
            assert problems(place, tmp_path / "c")[0] == store.snapshot().generation
            cuts += 1
            if number >= 3 and not FULL:
                break
    count("mirrors cut off at a request", cuts)


def test_two_at_once_end_in_one_whole_generation(store: SegmentStore, place: S3, tmp_path: Path) -> None:
    for _ in range(3):
        write(store, DAYS[2])
        with ThreadPoolExecutor(2) as pool:
            for report in pool.map(lambda _: mirror(store, place, prune=True), range(2)):
                assert report.generation == store.snapshot().generation
        assert set(problems(place, tmp_path / "c")[1]) == {""}


def test_a_flipped_bit_and_a_lost_object_are_errors(
    store: SegmentStore, place: S3, bucket: Any, tmp_path: Path
) -> None:
    mirror(store, place)
    one, other = (bucket.Object(f"a/shop/{f.path}") for f in store.snapshot().files("events"))
    data = bytearray(one.get()["Body"].read())
    data[len(data) // 2] ^= 1
    one.put(Body=bytes(data))
    other.delete()
    _, (flipped, lost) = problems(place, tmp_path / "c")
    assert "not those that were published" in flipped
    assert "lost this file" in lost
    assert mirror(store, place, full=True).copied == 2
    assert problems(place, tmp_path / "c") == (1, ["", ""])


def test_a_mirror_is_opened_by_its_address_and_followed(
    front: Front, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_S3_ENDPOINT", front.url)
    monkeypatch.setenv("WORKBENCH_MIRROR_CACHE", str(tmp_path / "cache"))
    url = f"s3://{bucket.name}/shop"
    clicks = pa.table({"time": ["2025-06-12T10:00:00Z", "2025-06-13T10:00:00Z"], "n": [1, 2]})
    with Engine.create(tmp_path / "shop") as shop:
        shop.ingest(clicks, type="click")
        shop.mirror(url)
        with wb.open(url) as there:
            assert there.sql("select n from click order by n").rows == [(1,), (2,)]
            with pytest.raises(ReadOnlyError):
                there.ingest(clicks, type="other")
            shop.ingest(clicks, type="later")
            shop.mirror(url)
            assert there.refresh().sql("select count(*) from later").rows == [(2,)]
            assert there.catalog.to_dict()["event_types"] == shop.catalog.to_dict()["event_types"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("refuse", "nobody answers|no whole answer"),
        ("403", "refuses access"),
        ("400", "refuses the request"),
        ("503", "S3 fails"),
        ("cut", "no whole answer"),
    ],
)
def test_every_answer_that_is_none_is_an_error(  # noqa: PLR0913, PLR0917  (fixtures)
    store: SegmentStore, place: S3, front: Front, tmp_path: Path, answer: str, said: str
) -> None:
    mirror(store, place)
    snapshot = MirroredStore(place, tmp_path / "c", 1 << 30, disk=LazyDisk()).snapshot()
    front.rule = lambda n, request: answer
    for ask in (lambda: snapshot.paths(snapshot.files("events")), lambda: mirror(store, place)):
        with pytest.raises(RemoteError, match=said) as caught:
            ask()
        assert place.name in caught.value.where
        assert "secret" not in str(caught.value)
        assert "id-of-key" not in str(caught.value)


def test_silence_is_an_error_and_what_breaks_off_is_asked_for_again(
    store: SegmentStore, place: S3, front: Front, tmp_path: Path
) -> None:
    mirror(store, place)
    patient = S3.at(place.name, Settings(s3_endpoint=front.url, s3_retries=1, s3_timeout=5))
    first = len(front.requests)
    front.rule = lambda n, request: "cut" if n == first else ""
    assert problems(patient, tmp_path / "c") == (1, ["", ""])
    hasty = S3.at(place.name, Settings(s3_endpoint=front.url, s3_retries=0, s3_timeout=0.2))
    front.rule = lambda n, request: "hang"
    with pytest.raises(RemoteError, match="no whole answer"):
        hasty.head()


def test_what_is_wrong_with_the_caller_is_said(
    place: S3, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in ("s3://key:secret@bucket/x", "s3://B/x", "s3://bucket/x?y"):
        with pytest.raises(UsageError) as caught:
            S3.at(address, Settings())
        assert "secret" not in str(caught.value)
    with pytest.raises(RemoteError, match="no such bucket"):
        S3.at("s3://no-such-bucket", Settings(s3_endpoint=front.url)).list()
    with pytest.raises(RemoteError, match="no such bucket"):
        S3.at("s3://no-such-bucket", Settings(s3_endpoint=front.url)).swap(b"", None)
    with pytest.raises(RemoteError, match="cannot be spoken to"):
        S3(place._client, "no bucket", "", 0).list()
    front.rule = lambda n, request: "keep"
    with pytest.raises(RemoteError, match=r"stays \(AccessDenied\)"):
        place.delete(["k"])
    front.rule = lambda n, request: "409"
    assert not place.swap(b"", None)
    front.rule = lambda n, request: ""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(RemoteError, match="no credentials"):
        S3.at(place.name, Settings(s3_endpoint=front.url)).list()
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(DriverUnavailableError, match="boto3"):
        S3.at(place.name, Settings())
