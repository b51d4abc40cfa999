"""A workspace that runs under a stream: backlog, how old each result gets, and whether memory stays flat.

    python bench/run.py             10 minutes of 1,000 events/s
    python bench/run.py --quick     20 seconds of 200 events/s

``workbench run`` has a workspace of schema gaming with one generated day in it. Events of another generated
day, at full width and with the time at which they are sent, go to it over HTTP in batches; they are sent on
time, whatever the answers: what is refused is sent again. Every few seconds the status is read that the
process writes down, and the memory of it and of the processes that it started. A result is stale from the
moment when what it reads changes to the end of the run that sees that. At the end the process is told to stop
and every file is verified.

Memory is read every second. A task takes some for as long as it runs, so what tells growth is the floor
between tasks: the least in each twentieth of the time, ``memory_floors_mb``, with and without the pages of
mapped files. Its slope is how much it grows in a minute, by least squares over the second half.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
from _record import taken_on, write

import workbench as wb
from workbench.engine import Engine
from workbench.jobs import STATUS_FILE
from workbench.scheduler import read_status

LINES = {"content-type": "application/x-ndjson"}
BATCHES = 10  # a second
TIME = "@timestamp"


def bodies(logs: Path, most: int) -> list[tuple[str, list[str]]]:
    """Return, for each event type, events as JSON without their time and without what is empty."""
    found = []
    for folder in sorted(p for p in logs.iterdir() if p.is_dir() and not p.name.startswith("_")):
        frames = [pl.read_parquet(path).cast(pl.String) for path in sorted(folder.rglob("*.parquet"))]
        if not frames:
            continue
        rows = pl.concat(frames, how="diagonal").drop(TIME, strict=False).head(most).to_dicts()
        lines = [json.dumps({k: v for k, v in row.items() if v is not None})[1:] for row in rows]
        found.append((folder.name, lines))
    return found


class Sender:
    """Sends batches at a rate and counts what became of them."""

    def __init__(self, url: str, events: list[tuple[str, list[str]]], rate: int) -> None:
        self.url, self.events, self.rate = url, events, rate
        self.sent = self.refused = self.late = 0
        self.taken: list[float] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        shares = np.array([len(lines) for _, lines in self.events], float)
        sizes = np.maximum(np.round(shares / shares.sum() * self.rate / BATCHES), 1).astype(int)
        places = [0] * len(self.events)
        begin = time.monotonic()
        turn = 0
        with httpx.Client(timeout=60) as client:
            while not self.stop.is_set():
                for kind, ((name, lines), size) in enumerate(zip(self.events, sizes, strict=True)):
                    chosen = [lines[(places[kind] + i) % len(lines)] for i in range(size)]
                    places[kind] += int(size)
                    self._send(client, name, chosen)
                turn += 1
                ahead = begin + turn / BATCHES - time.monotonic()
                self.late += ahead < -1
                self.stop.wait(max(ahead, 0))

    def _send(self, client: httpx.Client, name: str, lines: list[str]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        body = "\n".join(f'{{"{TIME}": "{now}", {line}' for line in lines).encode()
        while not self.stop.is_set():
            start = time.perf_counter()
            answer = client.post(f"{self.url}/api/ingest/{name}", content=body, headers=LINES)
            if answer.status_code == 200:
                self.taken.append(time.perf_counter() - start)
                self.sent += len(lines)
                return
            self.refused += len(lines)
            self.stop.wait(float(answer.headers.get("retry-after", 1)))


def memory(pid: int) -> tuple[float, float]:
    """Return the resident MB of a process and of all that it started: all, and without mapped files."""
    pages, shared, open_ = 0, 0, [pid]
    while open_:
        one = open_.pop()
        try:
            fields = Path(f"/proc/{one}/statm").read_text().split()
            pages, shared = pages + int(fields[1]), shared + int(fields[2])
            for task in Path(f"/proc/{one}/task").iterdir():
                open_ += [int(child) for child in (task / "children").read_text().split()]
        except (OSError, IndexError):
            continue
    page = os.sysconf("SC_PAGE_SIZE") / 2**20
    return pages * page, (pages - shared) * page


class Scale:
    """Reads the memory of a process every second: rows of second, MB, MB without mapped files."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.rows: list[tuple[float, float, float]] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        begin = time.monotonic()
        while not self.stop.wait(1):
            self.rows.append((time.monotonic() - begin, *memory(self.pid)))

    def found(self, parts: int = 20) -> dict[str, Any]:
        """Return floors of the memory in equal parts of the time, and how the later half of them grows."""
        seconds, all_, private = np.array(self.rows).T
        part = np.minimum((seconds / seconds[-1] * parts).astype(int), parts - 1)
        floors = {
            name: [round(float(values[part == p].min())) for p in np.unique(part)]
            for name, values in (("all", all_), ("private", private))
        }
        half = len(floors["all"]) // 2
        minutes = np.arange(len(floors["all"]))[half:] * seconds[-1] / parts / 60
        return {
            "memory_floors_mb": floors,
            "memory_floor_slope_mb_per_minute": {
                name: round(float(np.polyfit(minutes, values[half:], 1)[0]), 1)
                for name, values in floors.items()
            },
            "memory_most_mb": round(float(all_.max())),
        }


def watched(
    path: Path, process: subprocess.Popen[str], sender: Sender, seconds: float, every: float
) -> list[Any]:
    """Return the status, the memory and the counts at each look."""
    seen = []
    begin = time.monotonic()
    while (now := time.monotonic() - begin) < seconds:
        status = read_status(path / STATUS_FILE)
        row = {"second": round(now), "memory_mb": round(memory(process.pid)[0]), "sent": sender.sent}
        if status is not None:
            row |= {"level": status["level"], "overdue": status["backlog"], "jobs": status["jobs"]}
            behind = [j["stale_seconds"] or 0 for j in status["jobs"]]
            red = [j["name"] for j in status["jobs"] if j["error"]]
            print(
                f"{row['second']:4} s  {row['sent']:8,} sent  {status['level']:8} "
                f"{status['backlog']:6,} overdue  {row['memory_mb']:6,} MB  "
                f"oldest result {max(behind):4.0f} s  failing {', '.join(red) or 'none'}",
                flush=True,
            )
        seen.append(row)
        time.sleep(every)
    return seen


def summary(seen: list[Any]) -> list[dict[str, Any]]:
    """Return what became of each job."""
    last = {job["name"]: job for job in seen[-1].get("jobs", [])}
    rows = []
    for name, job in last.items():
        ages = [j["stale_seconds"] or 0.0 for row in seen for j in row.get("jobs", []) if j["name"] == name]
        row = {key: job[key] for key in ("name", "priority", "state", "runs", "failures", "error")}
        median, p95, longest = job["seconds"]
        rows.append(
            {
                **row,
                "median_s": median,
                "p95_s": p95,
                "longest_s": longest,
                "stale_median_s": round(float(np.median(ages)), 1),
                "stale_most_s": round(max(ages), 1),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="20 seconds of 200 events/s")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--rate", type=int)
    parser.add_argument("--day", type=int, help="events of the day that is there already")
    parser.add_argument("--out", type=Path, help="write what was measured as JSON")
    given = parser.parse_args()
    seconds = given.seconds or (20 if given.quick else 600)
    rate = given.rate or (200 if given.quick else 1_000)
    day = given.day or (5_000 if given.quick else 100_000)
    machine = taken_on("polars", "httpx", "numpy")
    with tempfile.TemporaryDirectory(prefix="workbench-run-") as folder:
        root = Path(folder)
        wb.synth(root / "logs", days=2, events_per_day=day, seed=1)
        path = root / "ws"
        with Engine.create(path, schema="gaming") as engine:
            engine.ingest(root / "logs")
            there = engine.status()["documents"]
        events = bodies(root / "logs", 50_000)
        command = [sys.executable, "-m", "workbench", "run", "-w", str(path), "--port", "0", "--json"]
        with (root / "said").open("w") as said:
            process = subprocess.Popen(command, stdout=said, stderr=subprocess.PIPE, text=True)
            assert process.stderr is not None
            url = next(line for line in process.stderr if line.startswith("http")).split()[0].rstrip("/")
            sender = Sender(url, events, rate)
            scale = Scale(process.pid)
            start = time.monotonic()
            sender.thread.start()
            scale.thread.start()
            seen = watched(path, process, sender, seconds, min(seconds / 8, 10))
            sender.stop.set()
            sender.thread.join()
            scale.stop.set()
            scale.thread.join()
            took = time.monotonic() - start
            process.send_signal(signal.SIGTERM)
            ended = time.monotonic()
            process.stderr.read()
            code = process.wait(600)
            ended = time.monotonic() - ended
        with Engine(path) as engine:
            documents = engine.status()["documents"]
            damaged = engine.verify(full=True)
    latency = np.percentile(sender.taken or [0.0], (50, 99)) * 1e3
    found = {
        "seconds": round(took, 1),
        "rate_wanted": rate,
        "rate": round(sender.sent / took, 1),
        "sent": sender.sent,
        "refused_and_sent_again": sender.refused,
        "documents_lost": there + sender.sent - documents,
        "acknowledged_ms": {"p50": round(float(latency[0]), 1), "p99": round(float(latency[1]), 1)},
        "overdue_most": max(r.get("overdue", 0) for r in seen),
        "levels": {
            level: sum(r.get("level") == level for r in seen) for level in ("normal", "elevated", "critical")
        },
        **scale.found(),
        "exit_code": code,
        "ending_seconds": round(ended, 1),
        "damaged_files": len(damaged),
        **machine,
        "jobs": summary(seen),
    }
    print(json.dumps({k: v for k, v in found.items() if k != "jobs"}, indent=1))
    with pl.Config(tbl_rows=40, tbl_cols=12, tbl_width_chars=160, tbl_hide_dataframe_shape=True):
        print(pl.DataFrame(found["jobs"]).drop("error"))
    if given.out is not None:
        write(given.out, found)


if __name__ == "__main__":
    main()
