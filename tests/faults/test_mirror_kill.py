"""``workbench mirror`` under kill -9 at random moments, into a directory and into S3.

* Whatever the moment, the mirror is one generation, whole: the one before, or the new one.
* A mirror that was killed, however often, is finished by the next.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow as pa
import pytest
from faulty_disk import FULL, LazyDisk

from workbench.settings import Settings
from workbench.storage import SegmentStore
from workbench.storage.places import Place, place_at
from workbench.storage.remote import MirroredStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KILLS = 60 if FULL else 4
FILES = 6
SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
# Runs `workbench mirror` in forks, for imports take longer than it, and kills each after some seconds.
HOST = """
import json, os, select, signal, sys, time
import boto3
import workbench.engine, workbench.storage.remote, workbench.storage.s3
from workbench.cli import main

def mirrored(arguments):
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = ["workbench", "mirror", "--quiet", *arguments]
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    finally:
        os._exit(code)

for line in sys.stdin:
    seconds, *arguments = json.loads(line)
    begin = time.monotonic()
    process = os.fork()
    if not process:
        mirrored(arguments)
    ended = select.poll()
    ended.register(os.pidfd_open(process), select.POLLIN)
    if not ended.poll(seconds * 1000):
        os.kill(process, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    print(json.dumps([code, time.monotonic() - begin]), flush=True)
"""


def started(program: str, **environ: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("COVERAGE", "AWS_"))}
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**kept, **environ},
    )


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with started(SERVER) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.kill()


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Iterator[Callable[..., tuple[int, float]]]:
    """Return what mirrors, killed if it lasts longer than some seconds, and returns exit code and time."""
    environ = {"AWS_EC2_METADATA_DISABLED": "true"}
    if "s3" in request.node.name:
        environ |= {
            "AWS_ACCESS_KEY_ID": "id-of-key",
            "AWS_SECRET_ACCESS_KEY": "a-secret",
            "WORKBENCH_S3_ENDPOINT": request.getfixturevalue("endpoint"),
        }
    with started(HOST, **environ) as host:

        def mirrored(store: SegmentStore, place: Place, seconds: float = 60) -> tuple[int, float]:
            assert host.stdin is not None
            assert host.stdout is not None
            host.stdin.write(json.dumps([seconds, place.name, "-w", str(store.root)]) + "\n")
            host.stdin.flush()
            code, taken = json.loads(host.stdout.readline())
            return code, taken

        yield mirrored
        host.kill()


@pytest.fixture(params=["directory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "directory":
        return place_at(tmp_path / "mirror", Settings())
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id-of-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    endpoint = request.getfixturevalue("endpoint")
    client: Any = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    bucket = f"b-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    return place_at(f"s3://{bucket}/shop", Settings(s3_endpoint=endpoint))


def write(store: SegmentStore, number: int) -> None:
    """Publish a generation with new files; those of the last one but one go."""
    with store.writer() as writer:
        transaction = writer.begin()
        files = transaction.base.files("events")
        transaction.remove(files[: max(0, len(files) - FILES)])
        for n in range(FILES):
            table = pa.table({"x": [number, n]})
            transaction.add("events", table, segment="2025-06-12", name="Login", times=(1, 2))
        transaction.commit()


def found(place: Place, cache: Path) -> int:
    """Return the generation that a reader finds, every file of it whole."""
    snapshot = MirroredStore(place, cache, 1 << 30, disk=LazyDisk()).snapshot()
    assert {problem for _, problem in snapshot.verify(full=True)} == {""}
    return snapshot.generation


def test_a_mirror_killed_at_any_moment_is_whole_and_the_next_one_finishes(
    place: Place,
    run: Callable[..., tuple[int, float]],
    tmp_path: Path,
    count: Callable[[str, int], None],
) -> None:
    draw = random.Random(0)  # noqa: S311
    store = SegmentStore.create(tmp_path / "w", disk=LazyDisk())
    write(store, 0)
    code, taken = run(store, place)
    assert code == 0
    kills = 0
    for number in range(1, 4 * KILLS):
        before = found(place, tmp_path / "c")
        write(store, number)
        newest = store.snapshot().generation
        code, _ = run(store, place, draw.uniform(0, taken))
        assert code in {0, -9}
        assert found(place, tmp_path / "c") in ({newest} if code == 0 else {before, newest})
        kills += code == -9
        if draw.random() < 0.5:
            code, taken = run(store, place)
            assert code == 0
            assert found(place, tmp_path / "c") == newest
        if kills == KILLS:
            break
    assert run(store, place)[0] == 0
    assert found(place, tmp_path / "c") == store.snapshot().generation
    assert kills >= KILLS // 2
    count("mirrors killed", kills)
