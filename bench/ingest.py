"""Ingest of full-width days beside plain alternatives: ``python bench/ingest.py [--quick]``.

Reads the generated gaming log (all columns strings) and stores it: workbench as sealed segments with all
partials but vectors, the others as one sorted Parquet file a day and event type, strings as they are, and
nothing derived; delta-rs, where it is installed, puts them behind a transaction log. Each contender runs in a
process of its own, whose wall time, CPU time (imports included) and largest resident memory are taken. The
machine may be busy with other things: the ratio of CPU times is what compares.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from _record import taken_on, write

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = 958_000
LIBRARIES = ("duckdb", "numpy", "pandas", "polars", "pyarrow")


@dataclass(frozen=True)
class Row:
    """What one contender needed."""

    contender: str
    events: int
    wall_seconds: float
    cpu_seconds: float
    events_per_second: float
    peak_mb: float
    stored_mb: float
    ratio: float
    cpu_ratio: float


def workbench(source: Path, target: Path) -> int:
    from workbench.engine import Engine  # noqa: PLC0415  (only in its own process)

    with Engine.create(target, schema="gaming") as engine:
        return sum(engine.ingest(source).rows.values())


def sources(source: Path) -> list[Path]:
    return sorted(p for p in source.rglob("*.parquet") if "_truth" not in p.parts)


def place(path: Path, source: Path, target: Path) -> Path:
    out = target / path.relative_to(source)
    out.parent.mkdir(parents=True, exist_ok=True)
    return out


def duckdb(source: Path, target: Path) -> int:
    import duckdb  # noqa: PLC0415  (only in its own process)

    events = 0
    with duckdb.connect() as connection:
        for path in sources(source):
            out = place(path, source, target)
            rows = f"FROM read_parquet('{path}') ORDER BY \"@timestamp\""
            copy = f"COPY ({rows}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)"
            events += connection.execute(copy).fetchall()[0][0]
    return events


def pandas(source: Path, target: Path) -> int:
    import pandas as pd  # noqa: PLC0415  (only in its own process)

    events = 0
    for path in sources(source):
        frame = pd.read_parquet(path)
        events += len(frame)
        frame.sort_values("@timestamp").to_parquet(place(path, source, target), compression="zstd")
    return events


def delta(source: Path, target: Path) -> int:
    import pyarrow.parquet as pq  # noqa: PLC0415  (only in its own process)
    from deltalake import write_deltalake  # noqa: PLC0415  (only where it is installed)

    events = 0
    for path in sources(source):
        table = pq.read_table(path, partitioning=None).sort_by("@timestamp")
        events += table.num_rows
        # it refuses columns that differ in case alone, which logs have
        again = [
            sum(m.lower() == n.lower() for m in table.column_names[:k])
            for k, n in enumerate(table.column_names)
        ]
        table = table.rename_columns([n + "_" * k for n, k in zip(table.column_names, again, strict=True)])
        write_deltalake(str(place(path, source, target).with_suffix("")), table)
    return events


CONTENDERS: dict[str, Callable[[Path, Path], int]] = {
    "workbench": workbench,
    "DuckDB to Parquet": duckdb,
    "pandas to Parquet": pandas,
    "delta-rs": delta,
}


def child(name: str, source: Path, target: Path) -> None:
    import resource  # noqa: PLC0415  (only in its own process)

    wall = time.perf_counter()
    events = CONTENDERS[name](source, target)
    used = resource.getrusage(resource.RUSAGE_SELF)
    facts = [events, time.perf_counter() - wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]
    print(json.dumps(facts))


def measure(source: Path, scratch: Path) -> list[Row]:
    """Return a row for each contender, each in a fresh process, one after the other."""
    rows: list[Row] = []
    for name in CONTENDERS:
        if name == "delta-rs" and importlib.util.find_spec("deltalake") is None:
            print("delta-rs is left out: deltalake is not installed")
            continue
        target = scratch / name.split()[0]
        command = [sys.executable, __file__, "--child", name, str(source), str(target)]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        events, wall, cpu, peak = json.loads(out.splitlines()[-1])
        stored = sum(p.stat().st_size for p in target.rglob("*.parquet")) / 2**20
        first = rows[0] if rows else None
        ratios = (wall / first.wall_seconds, cpu / first.cpu_seconds) if first else (1.0, 1.0)
        rows.append(Row(name, events, wall, cpu, events / wall, peak, stored, *ratios))
    return rows


def show(rows: list[Row]) -> None:
    print(
        f"{'contender':<20} {'events':>10} {'wall s':>8} {'CPU s':>8} "
        f"{'events/s':>9} {'peak MB':>8} {'MB':>7} {'ratio':>6} {'of CPU':>6}"
    )
    for r in rows:
        print(
            f"{r.contender:<20} {r.events:10,} {r.wall_seconds:8.1f} {r.cpu_seconds:8.1f} "
            f"{r.events_per_second:9,.0f} {r.peak_mb:8,.0f} {r.stored_mb:7,.0f} "
            f"{r.ratio:6.2f} {r.cpu_ratio:6.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time ingest beside plain alternatives.")
    parser.add_argument("--quick", action="store_true", help="one day of a twentieth of the events")
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the rows, with versions, to this file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], Path(options.child[1]), Path(options.child[2]))
        return
    days, events = (1, DAY // 20) if options.quick else (options.days, DAY)
    machine = taken_on(*LIBRARIES)
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as folder:
        scratch = Path(folder)
        log = scratch / "log"
        synth = [sys.executable, "-m", "workbench", "synth", str(log), "--quiet"]
        facts = ["--days", str(days), "--events-per-day", str(events), "--seed", str(options.seed)]
        subprocess.run([*synth, *facts], check=True, capture_output=True)
        rows = measure(log, scratch)
    show(rows)
    quick = ["--quick"] if options.quick else ["--days", str(days)]
    record = {
        "command": " ".join(["python bench/ingest.py", *quick, "--seed", str(options.seed)]),
        "days": days,
        "seed": options.seed,
        **machine,
        "rows": [asdict(row) for row in rows],
    }
    write(options.json, record)


if __name__ == "__main__":
    main()
