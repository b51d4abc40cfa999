"""Streamed events: how many are durable in a second, and how long an acknowledgement takes.

    python bench/stream.py             20,000 events a row, and a day of 960,000 events
    python bench/stream.py --quick     2,000 events a row, and a tenth of the day

Each row sends events of 20 fields to a new workspace, by threads of this process (Python) or over HTTP to a
server in a process of its own; an acknowledgement is what a sender waits for. The bare row writes and syncs
the same bytes to a file, one event at a time, in one thread: what the disk allows without groups. The day is
sent in batches of 1,000 as fast as it is taken, with a checkpoint for every 5,000 events, as at 1,000
events/s and the default of 5 s; its seconds of CPU are those of publishing and of deriving all partials once,
and ``growth`` is the time of the last tenth of the checkpoints over that of the first.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from _record import taken_on, write

from workbench.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = datetime(2025, 6, 12, tzinfo=UTC)
NOW = START + timedelta(hours=23, minutes=59)
LINES = {"content-type": "application/x-ndjson"}
SCHEMA = """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: stream, name: Stream, version: 1}
spec:
  timestamp: {fields: [time]}
  entities:
    user: {who: true}
    page: {}
  edges:
    Visited: {from: user, to: page}
  events:
    click:
      entities: {user: user, page: page}
      edges: [{type: Visited, from: user, to: page}]
"""


def events(first: int, number: int, per_second: float = 1_000.0) -> list[dict[str, Any]]:
    """Return events of 20 fields, about 450 bytes as JSON."""
    return [
        {
            "time": (START + timedelta(seconds=n / per_second)).isoformat(timespec="milliseconds"),
            "user": f"user{n * 7919 % 50_000}",
            "page": f"/page/{n * 31 % 1_240}",
            "id": n,
            "ratio": n % 1_000 / 8,
            "mobile": n % 3 == 0,
            **{f"field{f}": f"value {n * f % 97}" for f in range(14)},
        }
        for n in range(first, first + number)
    ]


def senders(threads: int, calls: int, send: Callable[[int], None]) -> dict[str, Any]:
    """Call ``send`` from some threads at once and return the rate and the latencies."""
    taken = np.zeros(calls)

    def work(name: int) -> None:
        for call in range(name, calls, threads):
            start = time.perf_counter()
            send(call)
            taken[call] = time.perf_counter() - start

    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    seconds = time.perf_counter() - start
    p50, p99 = np.percentile(taken, (50, 99)) * 1e3
    return {"seconds": seconds, "p50_ms": float(p50), "p99_ms": float(p99)}


def workspace(folder: Path, name: str) -> Path:
    schema = folder / "schema.yaml"
    schema.write_text(SCHEMA)
    return Engine.create(folder / name, schema=schema).path


def by_python(folder: Path, total: int, threads: int, batch: int) -> dict[str, Any]:
    sent = events(0, total)
    batches = [sent[start : start + batch] for start in range(0, total, batch)]
    with Engine(workspace(folder, f"python-{threads}-{batch}")) as engine:
        with engine.stream(clock=lambda: NOW) as stream:

            def send(call: int) -> None:
                given = batches[call]
                stream.append("click", given, keys=[str(event["id"]) for event in given])

            row = senders(threads, len(batches), send)
        assert engine.status()["documents"] == total
    return row


@contextmanager
def serving(path: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "workbench", "serve", str(path), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        yield process.stderr.readline().split()[0].rstrip("/")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(300)
        process.stderr.close()


def by_http(folder: Path, total: int, threads: int, batch: int) -> dict[str, Any]:
    sent = events(0, total)
    bodies = [
        "\n".join(json.dumps(event) for event in sent[start : start + batch]).encode()
        for start in range(0, total, batch)
    ]
    path = workspace(folder, f"http-{threads}-{batch}")
    clients = threading.local()
    with serving(path) as url:

        def send(call: int) -> None:
            if not hasattr(clients, "own"):
                clients.own = httpx.Client(base_url=url, timeout=300)
            answer = clients.own.post("/api/ingest/click?key=id", content=bodies[call], headers=LINES)
            assert answer.status_code == 200, answer.text

        row = senders(threads, len(bodies), send)
    with Engine(path) as engine:
        assert engine.status()["documents"] == total
    return row


def bare(folder: Path, total: int) -> dict[str, Any]:
    lines = [json.dumps(event).encode() + b"\n" for event in events(0, total)]
    with (folder / "bare").open("wb", buffering=0) as file:

        def send(call: int) -> None:
            file.write(lines[call])
            os.fsync(file.fileno())

        return senders(1, total, send)


def day(folder: Path, total: int) -> dict[str, Any]:
    """Stream a day and return what publishing costs, in all and as it grows."""
    batch, checkpoint = 1_000, 5_000
    checkpoints: list[float] = []
    with Engine(workspace(folder, "day"), stream_seconds=1e6) as engine:
        stream = engine.stream(clock=lambda: NOW)
        append = publish = derive = 0.0
        for first in range(0, total, batch):
            given = events(first, batch, per_second=total / 86_000)
            keys = [str(event["id"]) for event in given]
            append -= time.process_time()
            stream.append("click", given, keys=keys)
            append += time.process_time()
            if (first + batch) % checkpoint == 0:
                start, cpu = time.perf_counter(), time.process_time()
                stream.checkpoint()
                publish += time.process_time() - cpu
                checkpoints.append(time.perf_counter() - start)
        derive -= time.process_time()
        stream.close()
        derive += time.process_time()
        assert engine.status()["documents"] == total
        files = len(engine.snapshot.manifest.files)
    tenth = max(1, len(checkpoints) // 10)
    return {
        "events": total,
        "checkpoints": len(checkpoints),
        "append_cpu_s": append,
        "publish_cpu_s": publish,
        "partials_once_cpu_s": derive,
        "checkpoint_p50_ms": statistics.median(checkpoints) * 1e3,
        "checkpoint_max_ms": max(checkpoints) * 1e3,
        "growth": statistics.mean(checkpoints[-tenth:]) / statistics.mean(checkpoints[:tenth]),
        "files": files,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    total = 2_000 if arguments.quick else 20_000
    machine = taken_on("pyarrow", "polars")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs: list[tuple[str, int, int, int, Callable[[], dict[str, Any]]]] = [
            ("bare fsync", total // 10, 1, 1, lambda: bare(folder, total // 10))
        ]
        for threads, batch, size in (
            (1, 1, total // 10),
            (32, 1, total),
            (4, 100, total * 5),
            (4, 1_000, total * 5),
        ):
            jobs += [
                (
                    "python",
                    size,
                    threads,
                    batch,
                    lambda s=size, t=threads, b=batch: by_python(folder, s, t, b),
                ),
                ("http", size, threads, batch, lambda s=size, t=threads, b=batch: by_http(folder, s, t, b)),
            ]
        for way, size, threads, batch, job in jobs:
            measured = job()
            row = {"way": way, "events": size, "threads": threads, "batch": batch, **measured}
            row["events_per_s"] = size / measured["seconds"]
            rows.append(row)
            print(
                f"{way:10} {threads:3} threads, batches of {batch:5,}: {row['events_per_s']:9,.0f} events/s, "
                f"acknowledged p50 {row['p50_ms']:7.2f} ms, p99 {row['p99_ms']:7.2f} ms",
                flush=True,
            )
        whole = day(folder, 96_000 if arguments.quick else 960_000)
    print(
        "a day: "
        + ", ".join(f"{k} {v:,.1f}" if isinstance(v, float) else f"{k} {v:,}" for k, v in whole.items())
    )
    write(arguments.json, {**machine, "rows": rows, "day": whole})


if __name__ == "__main__":
    main()
