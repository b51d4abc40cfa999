"""Tasks of continuous compute on 30 full-width days: ``python bench/compute.py [--quick] [--workspace DIR]``.

Questions, each row in a process of its own, whose wall time, CPU time and largest resident memory are
taken after the imports:

- *day*: the window is open and everything is current; another day's files come. How long until it is stored,
  the oldest day is gone, and graph, ranks, communities, clusters, trends and anomalies are those of the new
  window? Embeddings are not counted. Tasks run as the scheduler runs them: the most urgent first, as many at
  a time as there are worker threads. The time of each overlaps with that of others; ``all of it`` is that of
  the clock from the first file to the last result.
- *growth*: the same in a window of a day, of a week and of all days.
- *kept*: how long does it take to merge the graph and to count all segments once? What comes out is kept.
- *task*: how long does each task take on the whole window, when that is there?
- *kernel*: how long do the kernels take beside the best libraries called bare on the same arrays?
- *usual*: how long does a notebook with pandas, networkx and scikit-learn take from one day's files to ranks,
  communities, clusters and anomalies? It keeps nothing, and its graph has four kinds of pairs; the workbench
  takes the whole day in, at full width, and does the same tasks.

``ratio`` is the row's time over the workbench's in its group: above 1, the workbench is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from _record import taken_on, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from workbench.engine import Engine

DAY = 958_000
LIBRARIES = (
    "faiss-cpu",
    "igraph",
    "networkit",
    "networkx",
    "numpy",
    "pandas",
    "polars",
    "scikit-learn",
    "scipy",
)
CURRENT = ("anomalies", "pagerank", "communities", "trends", "clusters")  # the most urgent first
MIN_WEIGHT = {"communities": {"min_weight": 2}}
KMEANS = {"fewest": 2, "most": 20}
STARTS = 4  # of k-means, here and there
# What the notebook takes from a day: event type, the account's field, then what it is joined with.
ACCOUNT = "memberCode"
JOINED = {"Login": "fingerprint", "GameOpened": "gameUid", "API Error": "error", "PopupModule": "componentId"}

Facts = dict[str, Any]


def opened(folder: Path) -> Engine:
    import workbench as wb  # noqa: PLC0415  (only in its own process)

    return wb.open(folder)


def timed(call: Callable[[], object]) -> dict[str, float]:
    """Return what a step took; the largest memory is that of the process so far."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peak_mb": peak}


# ------------------------------------------------------------------------------------------------ steps


def day(folder: Path, logs: Path) -> Facts:
    """Ingest a day into a window that is current, and make everything current again."""
    with opened(folder) as engine:
        before = engine.snapshot.segments
        for task in CURRENT:  # what the process that has been running all day holds
            engine.compute(task, **MIN_WEIGHT.get(task, {}))
        steps: dict[str, dict[str, float]] = {}

        def one(task: str) -> None:
            with engine.beside() as other:
                steps[task] = timed(lambda: other.compute(task, **MIN_WEIGHT.get(task, {})))

        def everything() -> None:
            steps["ingest"] = timed(lambda: engine.ingest(logs))
            steps["evict"] = timed(lambda: engine.evict(before[0]))
            with ThreadPoolExecutor(engine.settings.worker_threads) as pool:
                list(pool.map(one, CURRENT))

        whole = timed(everything)
        # other tasks' time is in each task's
        told = {name: {**step, "cpu": None} if name in CURRENT else step for name, step in steps.items()}
        nodes, edges = len(engine.graph), engine.graph.stats().edges
        days = len(engine.snapshot.segments)
        return {"steps": {**told, "all of it": whole}, "nodes": nodes, "edges": edges, "days": days}


def kept(folder: Path) -> Facts:
    """Merge the graph, and count what each segment tells of actors and for trends."""
    with opened(folder) as engine:

        def count() -> None:
            len(engine.graph)
            engine.features()
            engine.compute("trends", weeks=25)  # another result than the one that is timed

        return timed(count)


def last(number: int, folder: Path) -> Facts:
    """Drop all days but the last so many."""
    with opened(folder) as engine:
        days = engine.snapshot.segments
        engine.evict(*days[: len(days) - number])
        return {"days": engine.snapshot.segments}


def task(name: str, folder: Path) -> Facts:
    """Run one task on the whole window."""
    with opened(folder) as engine:
        facts = timed(lambda: engine.compute(name, **MIN_WEIGHT.get(name, {})))
        return {**facts, "rows": engine.knowledge.read(name).table.num_rows}


def arrays(folder: Path, target: Path) -> Facts:
    """Keep what graph and point kernels get of the window."""
    from workbench.analysis.window import period_features  # noqa: PLC0415  (only in its own process)

    target.mkdir()
    with opened(folder) as engine:
        for name, least in (("pagerank", 1), ("communities", 2)):
            edges, _ = engine.graph.edge_list(min_weight=least)
            np.savez(
                target / f"{name}.npz",
                nodes=edges.nodes,
                **{c: edges.table[c] for c in edges.table.column_names},
            )
        context = engine.context(engine.snapshot.segments, engine.now, {"type": "", "lookback_days": 0})
        points = period_features(context)[0].standardised
    np.save(target / "points.npy", points)
    return {"points": points.shape}


# ------------------------------------------------------------------------------------ kernels, bare libraries


def own(kernel: str, **options: Any) -> Callable[[Any], tuple[NDArray[Any], float | None]]:
    from workbench.compute import backends  # noqa: PLC0415  (only in its own process)

    def run(given: Any) -> tuple[NDArray[Any], float | None]:
        table, metrics = getattr(backends.create("cpu"), kernel)(given, **options)
        return table.column(1).to_numpy(), metrics.get("silhouette")

    return run


def sklearn_kmeans(points: NDArray[np.float64]) -> tuple[NDArray[Any], float]:
    """Return the best clusters for 2 to 20, by the silhouette of 5,000 points."""
    from sklearn.cluster import KMeans  # noqa: PLC0415
    from sklearn.metrics import silhouette_score  # noqa: PLC0415

    found = []
    for k in range(KMEANS["fewest"], KMEANS["most"] + 1):
        labels = KMeans(k, n_init=STARTS, random_state=0).fit_predict(points)
        size = min(5_000, len(points))
        found.append((silhouette_score(points, labels, sample_size=size, random_state=0), k, labels))
    quality, _, labels = max(found, key=lambda one: one[:2])
    return labels, float(quality)


def sklearn_forest(points: NDArray[np.float64], trees: int = 100) -> tuple[NDArray[Any], None]:
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415

    return -IsolationForest(n_estimators=trees, random_state=0).fit(points).score_samples(points), None


def alone(call: Callable[[Any], NDArray[Any]]) -> Callable[[Any], tuple[NDArray[Any], None]]:
    return lambda given: (call(given), None)


def contenders(kernel: str) -> dict[str, Callable[[Any], tuple[NDArray[Any], float | None]]]:
    """Return what runs a kernel, by name; the workbench first."""
    import graph_kernels as bare  # noqa: PLC0415  (imports every library)

    threads = os.cpu_count() or 1
    return {
        "pagerank": {
            "workbench": own("pagerank"),
            "scipy bare": alone(bare.scipy_ranks),
            "igraph": alone(bare.igraph_ranks),
        },
        "communities": {
            "workbench": own("communities", seed=0),
            "networkit bare": alone(lambda edges: bare.networkit_leiden(edges, threads)),
            "networkit bare, 1 thread": alone(lambda edges: bare.networkit_leiden(edges, 1)),
            "igraph": alone(bare.igraph_leiden),
        },
        "components": {"workbench": own("components"), "scipy bare": alone(bare.scipy_components)},
        "kmeans": {"workbench": own("kmeans", seed=0, **KMEANS), "scikit-learn bare": sklearn_kmeans},
        # as many trees as the kernel has by default
        "isolation": {
            "workbench": own("isolation", seed=0),
            "scikit-learn bare": lambda points: sklearn_forest(points, 200),
        },
    }[kernel]


def kernel(name: str, contender: str, folder: Path) -> Facts:
    """Run a kernel on arrays that were kept, and judge the result where a number says how good it is."""
    import graph_kernels as bare  # noqa: PLC0415

    from workbench.compute import EdgeList, Points  # noqa: PLC0415

    call = contenders(name)[contender]
    if name in ("kmeans", "isolation"):
        points = np.load(folder / "points.npy")
        given: Any = Points(points) if contender == "workbench" else points
        size, edges = len(points), None
    else:
        kept = np.load(folder / f"{'communities' if name == 'communities' else 'pagerank'}.npz")
        table = pa.table({column: kept[column] for column in ("source", "target", "weight")})
        given = edges = EdgeList(table, int(kept["nodes"]))
        size = edges.table.num_rows
    result: list[Any] = []
    facts: Facts = timed(lambda: result.extend(call(given)))
    values, quality = result
    if edges is not None and name in bare.QUALITY and name != "pagerank":
        quality = bare.QUALITY[name](edges, values)
    return {**facts, "size": size, "quality": quality}


# --------------------------------------------------------------------------------------- the usual notebook


def notebook(logs: Path) -> Facts:
    """Do with pandas, networkx and scikit-learn what a notebook does with a day."""
    import networkx as nx  # noqa: PLC0415  (only in its own process)
    import pandas as pd  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    def run() -> None:
        frames = {n: pd.concat([pd.read_parquet(p) for p in (logs / n).glob("*.parquet")]) for n in JOINED}
        pairs = []
        for name, frame in frames.items():
            two = frame[[ACCOUNT, JOINED[name]]].dropna()
            two.columns = ["account", "other"]
            two = two.assign(other=name + ":" + two["other"].astype(str))
            pairs.append(two.groupby(["account", "other"]).size().rename("weight").reset_index())
        graph = nx.from_pandas_edgelist(pd.concat(pairs), "account", "other", "weight")
        nx.pagerank(graph)
        nx.community.louvain_communities(graph, seed=0)
        features = pd.DataFrame({n: f.groupby(ACCOUNT).size() for n, f in frames.items()}).fillna(0)
        for name, frame in frames.items():
            hours = pd.to_datetime(frame["@timestamp"], format="ISO8601", errors="coerce", utc=True).dt.hour
            features[f"{name} hour"] = hours.groupby(frame[ACCOUNT]).mean()
            features[f"{name} others"] = frame.groupby(ACCOUNT)[JOINED[name]].nunique()
        points = StandardScaler().fit_transform(features.fillna(0))
        sklearn_kmeans(points)
        sklearn_forest(points)

    return timed(run)


def same_day(logs: Path, folder: Path) -> Facts:
    """Do the same, and more, in a new workspace: full width, all entities, knowledge kept."""
    from workbench.engine import Engine  # noqa: PLC0415  (only in its own process)

    def run() -> None:
        with Engine.create(folder, schema="gaming") as engine:
            engine.ingest(logs)
            for name in ("pagerank", "communities", "clusters", "anomalies"):
                engine.compute(name, **MIN_WEIGHT.get(name, {}))

    return timed(run)


# ------------------------------------------------------------------------------------------------- harness


CHILDREN: dict[str, Callable[..., Facts]] = {
    "day": lambda folder, logs: day(Path(folder), Path(logs)),
    "kept": lambda folder: kept(Path(folder)),
    "last": lambda number, folder: last(int(number), Path(folder)),
    "task": lambda name, folder: task(name, Path(folder)),
    "arrays": lambda folder, target: arrays(Path(folder), Path(target)),
    "kernel": lambda name, contender, folder: kernel(name, contender, Path(folder)),
    "notebook": lambda logs: notebook(Path(logs)),
    "same_day": lambda logs, folder: same_day(Path(logs), Path(folder)),
}


def child(name: str, *arguments: str | Path, limit: float | None = None) -> Facts | None:
    """Run a part in a process of its own; None if it was not done within ``limit`` seconds."""
    command = [sys.executable, __file__, "--child", name, *map(str, arguments)]
    try:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return None
    facts: Facts = json.loads(done.stdout.splitlines()[-1])
    return facts


def said(group: str, name: str, facts: Facts, ratio: float | None = None) -> Facts:
    """Print a row and return it."""
    cpu = f"{facts['cpu']:8.2f}" if facts["cpu"] is not None else " " * 8
    times = f"{facts['wall']:8.2f} {cpu} {facts['peak_mb']:8,.0f}"
    more = [f"{key} {facts[key]:,.4g}" for key in ("rows", "size", "quality") if facts.get(key) is not None]
    told = f"{ratio:7.2f}" if ratio is not None else " " * 7
    print(f"{group:<12} {name:<26} {times} {told}  {', '.join(more)}", flush=True)
    return {"group": group, "name": name, **facts, "ratio": ratio}


def generated(target: Path, days: int, events: int, start: date) -> Path:
    facts = ["--days", str(days), "--events-per-day", str(events), "--start", str(start), "--quiet"]
    command = [sys.executable, "-m", "workbench", "synth", str(target), *facts]
    subprocess.run(command, check=True, capture_output=True)
    return target


def copied(source: Path, target: Path) -> Path:
    """Copy a workspace by links, without what is derived and kept of it: published files never change."""
    shutil.copytree(
        source, target, copy_function=os.link, ignore=shutil.ignore_patterns("cache", "readers", "tmp")
    )
    for name in ("CURRENT", "LOCK"):
        (target / name).unlink()
        shutil.copy2(source / name, target / name)
    for name in ("readers", "tmp"):
        (target / name).mkdir(exist_ok=True)
    return target


def measure(source: Path, scratch: Path, events: int) -> Iterator[Facts]:
    """Yield each row when it is measured."""
    from workbench.analysis import tasks  # noqa: PLC0415

    print(f"{'group':<12} {'name':<26} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'ratio':>7}")
    with opened(source) as engine:
        days = engine.snapshot.segments
    logs = generated(scratch / "next", 1, events, date.fromisoformat(days[-1]) + timedelta(days=1))
    for number in (1, 7):
        if number < len(days):
            few = copied(source, scratch / f"last {number}")
            child("last", str(number), few)
            yield said("growth", f"{number} days", (child("day", few, logs) or {})["steps"]["all of it"])
    work = copied(source, scratch / "work")
    yield said("kept", "graph and segments", child("kept", work) or {})
    for name in tasks.names():
        facts = child("task", name, work)
        yield said("task", name, facts or {})
    facts = child("day", work, logs) or {}
    for name, step in facts["steps"].items():
        yield said("day", name, step)
    yield said("growth", f"{len(days)} days", facts["steps"]["all of it"])
    child("arrays", work, scratch / "arrays")
    for name in ("pagerank", "communities", "components", "kmeans", "isolation"):
        base = None
        for contender in contenders(name):
            facts = child("kernel", name, contender, scratch / "arrays", limit=1_200)
            if facts is None:
                print(f"{name:<12} {contender:<26} not done within 20 minutes")
                continue
            base = base or facts["wall"]
            yield said(name, contender, facts, facts["wall"] / base)
    mine = child("same_day", logs, scratch / "day") or {}
    yield said("usual", "workbench", mine, 1.0)
    other = child("notebook", logs) or {}
    yield said("usual", "pandas, networkx, sklearn", other, other["wall"] / mine["wall"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Time tasks, kernels and a new day beside other libraries.")
    parser.add_argument("--quick", action="store_true", help="three days of a fiftieth of the events")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--workspace", type=Path, help="one that holds the days already")
    parser.add_argument("--json", type=Path, help="also write the rows, with versions, to this file")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, *arguments = options.child
        print(json.dumps(CHILDREN[name](*arguments)))
        return
    days, events = (3, DAY // 50) if options.quick else (options.days, DAY)
    near = options.workspace.resolve().parent if options.workspace else None  # links need the same disk
    with tempfile.TemporaryDirectory(prefix="bench-compute-", dir=near) as folder:
        scratch = Path(folder)
        source = options.workspace
        if source is None:
            source = scratch / "source"
            logs = generated(scratch / "log", days, events, date(2025, 6, 1))
            command = [sys.executable, "-m", "workbench", "init", str(source), "--schema", "gaming"]
            subprocess.run(command, check=True, capture_output=True)
            command = [sys.executable, "-m", "workbench", "ingest", "-w", str(source), str(logs), "--quiet"]
            subprocess.run(command, check=True, capture_output=True)
        record: Facts = {
            "command": f"python bench/compute.py{' --quick' if options.quick else ''}",
            **taken_on(*LIBRARIES),
            "rows": [],
        }
        for row in measure(source, scratch, events):
            record["rows"].append(row)
            write(options.json, record)  # after each row: the last ones take long


if __name__ == "__main__":
    main()
