"""Reads of the segment store beside plain alternatives over the same Parquet files.

    python bench/store.py             30 days of 958,000 events at full width
    python bench/store.py --quick     2 days of 20,000 events

The first ``--generated`` days (3) are generated and ingested; the other ones are byte copies of their
documents under later days, with the times of the day they are copied from, and without partials: they cost
a reader the same and are there in seconds. ``--folder`` keeps the workspace for the next run; ``--workspace``
takes one of schema gaming that is there, of which every day was ingested. It is read where it lies.

Every contender has all cores and runs in a process of its own; files are in the page cache, for a run before
has read them. ``ratio`` is a contender's time over the workbench's: above 1, the workbench is faster.
DuckDB and pyarrow read the workspace's own files, whose hashes they do not check; delta-rs, where it is
installed, has the same files behind a transaction log. On a machine with other work ``--realtime`` (for root)
runs each contender before all of it.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from _record import taken_on, write

from workbench.engine import Engine
from workbench.storage.manifest import commit, read_current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workbench.storage import FileEntry

RATE = 958_000
TYPE = "API Error"
LIBRARIES = ("duckdb", "numpy", "polars", "pyarrow")
SELECT = (
    "SELECT platform, count(*) AS n, avg(latency) AS mean FROM {} WHERE httpStatus >= 500 GROUP BY platform"
)
FIVE = ["_id", "_ts", "memberCode", "platform", "httpStatus"]
WARM = 7
REALTIME = "--realtime" in sys.argv
_BEGUN = 3  # reads after which a reader is on its way
GROUPED = ["platform", "latency", "httpStatus"]


@dataclass(frozen=True)
class Row:
    """What one contender needed for one job; ``ratio`` to the job's first contender."""

    job: str
    contender: str
    seconds: float
    cpu_seconds: float
    ratio: float
    note: str = ""


# the workspace


def build(folder: Path, days: int, generated: int, events: int, seed: int) -> Path:
    """Return a workspace of so many days, made where it is not there yet."""
    root = folder / "workspace"
    if root.exists():
        return root
    log = folder / "log"
    facts = ["--days", str(min(days, generated)), "--events-per-day", str(events), "--seed", str(seed)]
    synth = [sys.executable, "-m", "workbench", "synth", str(log), "--quiet", *facts]
    subprocess.run(synth, check=True, capture_output=True)
    making = folder / "making"
    shutil.rmtree(making, ignore_errors=True)
    with Engine.create(making, schema="gaming") as engine:
        engine.ingest(log)
    copy_days(making, days, generated)
    making.rename(root)
    return root


def copy_days(root: Path, days: int, generated: int) -> None:
    """Add byte copies of the generated days' documents as those of later days."""
    base = read_current(root)
    events = [file for file in base.files if file.kind == "events"]
    live = sorted({file.segment for file in events})
    copies = []
    for number in range(generated, days):
        moved = timedelta(days=number - number % generated)
        segment = (date.fromisoformat(live[number % generated]) + moved).isoformat()
        (root / f"segments/dt={segment}").mkdir()
        for file in events:
            if file.segment == live[number % generated]:
                path = f"segments/dt={segment}/{uuid.uuid4().hex}.events.parquet"
                shutil.copyfile(root / file.path, root / path)
                times = [(t or 0) + moved // timedelta(microseconds=1) for t in (file.min_ts, file.max_ts)]
                copies.append(replace(file, path=path, segment=segment, min_ts=times[0], max_ts=times[1]))
    commit(root, base.next(base.created, files=(*base.files, *copies)))


def parts(engine: Engine, name: str = TYPE) -> list[str]:
    return [str(engine.path / entry.path) for entry in engine.snapshot.files("events", name=name)]


# open, filter and group: each contender returns its first answer, then how to ask again


def by_workbench(root: Path) -> Callable[[], int]:
    engine = Engine(root)
    return lambda: len(engine.sql(SELECT.format(f'"{TYPE}"')).rows)


def by_scan(root: Path) -> Callable[[], int]:
    engine = Engine(root)

    def ask() -> int:
        reader = engine.scan(TYPE, columns=GROUPED, where=pc.field("httpStatus") >= 500)
        return grouped(reader.read_all())

    return ask


def grouped(table: pa.Table) -> int:
    return int(table.group_by("platform").aggregate([([], "count_all"), ("latency", "mean")]).num_rows)


def by_duckdb(root: Path) -> Callable[[], int]:
    import duckdb  # noqa: PLC0415  (only in its own process)

    listed = ", ".join(f"'{path}'" for path in parts(Engine(root)))
    connection = duckdb.connect()
    connection.execute("SET parquet_metadata_cache = true")
    statement = SELECT.format(f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)")
    return lambda: len(connection.execute(statement).fetchall())


def by_pyarrow(root: Path) -> Callable[[], int]:
    from pyarrow import dataset  # noqa: PLC0415  (only in its own process)

    files = dataset.dataset(parts(Engine(root)), format="parquet")
    return lambda: grouped(files.to_table(columns=GROUPED, filter=pc.field("httpStatus") >= 500))


def by_delta(root: Path) -> Callable[[], int]:
    from deltalake import DeltaTable, QueryBuilder  # noqa: PLC0415  (only where it is installed)

    builder = QueryBuilder().register("t", DeltaTable(str(root.parent / "delta")))
    return lambda: (
        pa.table(builder.execute(SELECT.format("t").replace("httpStatus", '"httpStatus"'))).num_rows
    )


ASKING: dict[str, Callable[[Path], Callable[[], int]]] = {
    "workbench": by_workbench,
    "DuckDB": by_duckdb,
    "pyarrow": by_pyarrow,
    "delta-rs": by_delta,
    "workbench scan": by_scan,
}


def asking(name: str, root: Path) -> list[float]:
    """Return seconds and CPU seconds to the first answer, then the median of the further ones."""
    start, cpu = time.perf_counter(), cpu_seconds()
    ask = ASKING[name](root)
    rows = ask()
    first = [time.perf_counter() - start, cpu_seconds() - cpu]
    again = [timed(ask) for _ in range(WARM)]
    assert rows == ask()
    return [*first, *np.median(np.array(again), axis=0).tolist()]


def cpu_seconds() -> float:
    """Return the CPU time of this process and, as far as it has ended or shows in /proc, of its workers."""
    mine = os.times()
    workers = 0.0
    for path in Path("/proc/self/task").glob("*/children"):
        for child in path.read_text().split():
            words = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            workers += (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return mine.user + mine.system + mine.children_user + mine.children_system + workers


def timed(job: Callable[[], Any]) -> tuple[float, float]:
    start, cpu = time.perf_counter(), cpu_seconds()
    job()
    return time.perf_counter() - start, cpu_seconds() - cpu


# documents by address


def addresses(engine: Engine, number: int, seed: int) -> list[tuple[FileEntry, int]]:
    """Return documents drawn uniformly: their file and their identifier."""
    draw = np.random.default_rng(seed)
    files = engine.snapshot.files("events")
    rows = np.array([file.rows for file in files])
    chosen = draw.choice(len(files), number, p=rows / rows.sum())
    found: list[tuple[FileEntry, int]] = []
    for place in np.unique(chosen):
        ids = engine.snapshot.read(files[place], columns=["_id"])["_id"].to_numpy()
        found += [(files[place], int(i)) for i in draw.choice(ids, int((chosen == place).sum()))]
    return [found[place] for place in draw.permutation(number)]


def get_by_workbench(root: Path, drawn: list[tuple[FileEntry, int]]) -> list[float]:
    engine = Engine(root)
    return [timed(lambda a=f"{f.segment}/{i}": engine.get(a))[0] for f, i in drawn]


def get_again(root: Path, drawn: list[tuple[FileEntry, int]]) -> list[float]:
    engine = Engine(root)
    for file in engine.snapshot.files("events"):
        engine.snapshot.path(file)
    return [timed(lambda a=f"{f.segment}/{i}": engine.get(a))[0] for f, i in drawn]


def get_by_duckdb(root: Path, drawn: list[tuple[FileEntry, int]]) -> list[float]:
    import duckdb  # noqa: PLC0415  (only in its own process)

    connection = duckdb.connect()
    connection.execute("SET parquet_metadata_cache = true")

    def get(file: FileEntry, identifier: int) -> None:
        source = f"read_parquet('{root / file.path}', hive_partitioning = false)"
        found = connection.sql(f"FROM {source} WHERE _id = {identifier}").to_arrow_table()
        assert found.num_rows == 1

    return [timed(lambda f=f, i=i: get(f, i))[0] for f, i in drawn[:100]]


def get_by_pyarrow(root: Path, drawn: list[tuple[FileEntry, int]]) -> list[float]:
    import pyarrow.parquet as pq  # noqa: PLC0415  (only in its own process)

    def get(file: FileEntry, identifier: int) -> None:
        wanted = pc.field("_id") == identifier
        assert pq.read_table(root / file.path, filters=wanted, partitioning=None).num_rows == 1

    return [timed(lambda f=f, i=i: get(f, i))[0] for f, i in drawn[:30]]


GETTING: dict[str, Callable[[Path, list[tuple[FileEntry, int]]], list[float]]] = {
    "workbench": get_again,
    "workbench, files not checked yet": get_by_workbench,
    "DuckDB, told the file": get_by_duckdb,
    "pyarrow, told the file": get_by_pyarrow,
}


# scans


def scanned(root: Path, name: str) -> list[float]:
    """Return seconds and CPU seconds of five columns of all days, then of one day at full width; and rows."""
    from pyarrow import dataset  # noqa: PLC0415  (only in its own process)

    engine = Engine(root)
    day = engine.snapshot.segments[0]
    full = [str(root / f.path) for f in engine.snapshot.files("events", segments=[day], name=TYPE)]
    files = parts(engine)
    narrow: Callable[[], Any]
    wide: Callable[[], Any]
    if name == "workbench":
        narrow = lambda: [b.num_rows for b in engine.scan(TYPE, columns=FIVE)]  # noqa: E731
        until = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
        wide = lambda: [b.num_rows for b in engine.scan(TYPE, since=day, until=until)]  # noqa: E731
    elif name == "DuckDB":
        import duckdb  # noqa: PLC0415  (only in its own process)

        connection = duckdb.connect()
        columns = ", ".join(FIVE)

        def stream(columns: str, paths: list[str]) -> list[int]:
            source = f"read_parquet({paths}, union_by_name = true, hive_partitioning = false)"
            reader = connection.sql(f"SELECT {columns} FROM {source}").to_arrow_reader()  # noqa: S608
            return [batch.num_rows for batch in reader]

        narrow = lambda: stream(columns, files)  # noqa: E731
        wide = lambda: stream("*", full)  # noqa: E731
    else:
        narrow = lambda: [b.num_rows for b in dataset.dataset(files).to_batches(columns=FIVE)]  # noqa: E731
        wide = lambda: [b.num_rows for b in dataset.dataset(full).to_batches()]  # noqa: E731
    rows = [sum(narrow()), sum(wide())]
    return [*timed(narrow), *timed(wide), *rows]


# eviction


def reading(root: Path, drawn: list[tuple[str, int]], number: int) -> list[tuple[float, float]]:
    """Read until told to stop, always at the newest generation; return when each read began and ended."""
    engine = Engine(root)
    for file in engine.snapshot.files("events"):
        engine.snapshot.path(file)
    taken: list[tuple[float, float]] = []
    while not (root / "stop").exists():
        if len(taken) == _BEGUN:
            (root / f"begun-{number}").touch()
        segment, identifier = drawn[len(taken) % len(drawn)]
        start = time.monotonic()
        engine.refresh().get(f"{segment}/{identifier}")
        taken.append((start, time.monotonic()))
    return taken


def evicted(root: Path, folder: Path, drawn: list[tuple[FileEntry, int]], readers: int) -> dict[str, float]:
    """Evict a day while others read, and return what either saw, in milliseconds."""
    copy = folder / "evicting"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(root, copy, copy_function=os.link)
    (copy / "LOCK").unlink(missing_ok=True)
    engine = Engine(copy)
    doomed, *kept = engine.snapshot.segments
    asked = [(f.segment, i) for f, i in drawn if f.segment in kept]
    with ProcessPoolExecutor(readers, get_context("spawn")) as pool:
        jobs = [pool.submit(reading, copy, asked[n::readers], n) for n in range(readers)]
        while len(list(copy.glob("begun-*"))) < readers:
            time.sleep(0.1)
        time.sleep(5)
        start = time.monotonic()
        assert engine.evict(doomed) == [doomed]
        end = time.monotonic()
        time.sleep(1)
        (copy / "stop").touch()
        reads = [read for job in jobs for read in job.result()]
    shutil.rmtree(copy)
    before = [b - a for a, b in reads if start - 5 < a and b < start]
    beside = [b - a for a, b in reads if b >= start and a <= end + 0.5]
    return {
        "evict_ms": (end - start) * 1e3,
        "reads_before": len(before),
        "before_p50_ms": float(np.median(before)) * 1e3,
        "before_max_ms": max(before) * 1e3,
        "reads_beside": len(beside),
        "beside_p50_ms": float(np.median(beside)) * 1e3,
        "beside_max_ms": max(beside) * 1e3,
    }


# all of it


def child(job: str, name: str, root: Path, seed: int, number: int) -> Any:
    if job == "ask":
        return asking(name, root)
    if job == "scan":
        return scanned(root, name)
    drawn = addresses(Engine(root), number, seed)
    cpu = cpu_seconds()
    taken = GETTING[name](root, drawn)
    return taken, (cpu_seconds() - cpu) / len(taken)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Run what begins in this context before all other work of the machine, which has its turn afterwards."""
    if not REALTIME:
        yield
        return
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        time.sleep(2)


def apart(job: str, name: str, root: Path, seed: int, number: int) -> Any:
    """Return what a job gives in a fresh process."""
    with undisturbed(), ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(child, job, name, root, seed, number).result()


def measure(root: Path, folder: Path, number: int, seed: int) -> tuple[list[Row], dict[str, Any]]:
    engine = Engine(root)
    contenders = list(ASKING)
    if importlib.util.find_spec("deltalake") is None:
        print("delta-rs is left out: deltalake is not installed")
        contenders.remove("delta-rs")
    elif problem := prepare_delta(engine, folder):
        print(f"delta-rs is left out: {problem}")
        contenders.remove("delta-rs")
    rows: list[Row] = []

    def add(job: str, name: str, seconds: float, cpu: float, note: str = "") -> None:
        base = next((row.seconds for row in rows if row.job == job), seconds)
        rows.append(Row(job, name, seconds, cpu, seconds / base, note))
        show(rows[-1])

    asked = {name: apart("ask", name, root, seed, number) for name in contenders}
    for name, found in asked.items():
        add("open to first answer", name, found[0], found[1])
    for name, found in asked.items():
        add("filter + group, warm", name, found[2], found[3])
    for name in GETTING:
        taken, cpu = apart("get", name, root, seed, number)
        p50, p99 = np.percentile(taken, (50, 99)) * 1e3
        note = f"p99 {p99:.1f} ms of {len(taken):,}, {cpu * 1e3:.1f} CPU ms each"
        add("get, p50", name, float(p50) / 1e3, cpu, note)
    scans = {name: apart("scan", name, root, seed, number) for name in ("workbench", "DuckDB", "pyarrow")}
    for name, found in scans.items():
        add("scan, 5 columns", name, found[0], found[1], f"{found[4] / found[0]:,.0f} documents/s")
    for name, found in scans.items():
        add("scan, full width", name, found[2], found[3], f"{found[5] / found[2]:,.0f} documents/s")
    size = sum(file.bytes for file in engine.snapshot.manifest.files)
    with undisturbed():
        seconds, cpu = timed(lambda: list(engine.snapshot.verify(full=True)))
    add("verify --full", "workbench", seconds, cpu, f"{size / seconds / 1e9:.2f} GB/s")
    with undisturbed():
        seconds, cpu = timed(lambda: [(root / f.path).read_bytes() for f in engine.snapshot.manifest.files])
    add("verify --full", "reading alone", seconds, cpu, f"{size / seconds / 1e9:.2f} GB/s")
    # readers that never rest would keep the machine from all else: never before other work
    facts = {"evict": evicted(root, folder, addresses(engine, number, seed), 2), "disk": disk(engine)}
    return rows, facts


def prepare_delta(engine: Engine, folder: Path) -> str:
    """Lay links to the files of one event type under a transaction log of delta-rs; return why it refuses."""
    from deltalake import Field, Schema, convert_to_deltalake  # noqa: PLC0415  (only where it is installed)
    from deltalake.exceptions import DeltaError  # noqa: PLC0415  (likewise)

    target = folder / "delta"
    if target.exists():
        return ""
    for entry in engine.snapshot.files("events", name=TYPE):
        place = target / f"dt={entry.segment}" / Path(entry.path).name
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(engine.path / entry.path, place)
    dates = Schema([Field("dt", "string")])
    try:
        convert_to_deltalake(str(target), partition_by=dates, partition_strategy="hive")
    except DeltaError as error:
        return str(error)
    return ""


def disk(engine: Engine) -> dict[str, float]:
    """Return MB of the first day by kind."""
    files = [f for f in engine.snapshot.manifest.files if f.segment == engine.snapshot.segments[0]]
    kinds = sorted({file.kind for file in files})
    found = {kind: sum(f.bytes for f in files if f.kind == kind) / 2**20 for kind in kinds}
    return {**found, "all": sum(found.values())}


def show(row: Row) -> None:
    print(
        f"{row.job:<22} {row.contender:<34} {row.seconds * 1e3:10,.1f} ms {row.cpu_seconds:7.2f} CPU s "
        f"{row.ratio:7.2f}  {row.note}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--generated", type=int, default=3, help="days that are no copies")
    parser.add_argument("--gets", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="keep the workspace here, and use the one that is here")
    parser.add_argument("--workspace", type=Path, help="measure this one")
    parser.add_argument("--realtime", action="store_true", help="before all other work of the machine")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    days, generated, events = (2, 1, 20_000) if options.quick else (options.days, options.generated, RATE)
    number = 100 if options.quick else options.gets
    with tempfile.TemporaryDirectory(prefix="bench-store-") as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        root = options.workspace or build(folder, days, generated, events, options.seed)
        machine = taken_on(*LIBRARIES)
        with Engine(root) as engine:
            generated = len(engine.snapshot.segments) if options.workspace else generated
            facts: dict[str, Any] = {
                "days": len(engine.snapshot.segments),
                "documents": sum(f.rows for f in engine.snapshot.files("events")),
                "documents_of_type": sum(f.rows for f in engine.snapshot.files("events", name=TYPE)),
            }
        print(", ".join(f"{name} {value:,}" for name, value in facts.items()), flush=True)
        rows, more = measure(root, folder, number, options.seed)
    for name, found in more.items():
        print(f"{name}: " + ", ".join(f"{k} {v:,.1f}" for k, v in found.items()))
    command = [
        "python bench/store.py",
        *(["--quick"] if options.quick else []),
        *(["--workspace DIR"] if options.workspace else []),
        *(["--realtime"] if REALTIME else []),
    ]
    facts |= more | {
        "command": " ".join(command),
        "generated": generated,
        "seed": options.seed,
        **machine,
        "rows": [asdict(row) for row in rows],
    }
    write(options.json, facts)


if __name__ == "__main__":
    main()
