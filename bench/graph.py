"""The window graph of full-width days: ``python bench/graph.py [--quick] [--days N] [--workspace DIR]``.

The generated gaming log is ingested, or a workspace that holds it is copied, by links, without its cache.
Every row runs in a process of its own, whose wall time, CPU time and largest resident memory are taken after
the imports; ``load`` is the machine's at its end. igraph and networkx get the same arrays; what building
their graph takes is said in their rows. networkx runs on the largest part of the edges with which it is done
within five minutes and 12 GB.

Neighbourhoods start at 1,000 entities drawn uniformly and 1,000 drawn by degree, two hops, at most 200 new
nodes a hop; igraph has no budget, so its rows stop at what is two hops away.
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
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _record import taken_on, write

from workbench.engine import Engine
from workbench.graph import Graph, merge_window, window_of
from workbench.storage import Snapshot
from workbench.storage.derived import FOLDER
from workbench.storage.files import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

DAY = 958_000
LIBRARIES = ("igraph", "networkx", "numpy", "polars", "pyarrow")
STARTS, PATHS, BUDGET = 1_000, 50, 200
NETWORKX_SECONDS = 300
NETWORKX_BYTES = 12 << 30
SHARES = (1.0, 0.5, 0.25, 0.05, 0.01)

Facts = dict[str, Any]


def of_days(engine: Engine, first: int, last: int | None) -> Snapshot:
    """Return the newest generation as if it had only some of its days."""
    whole = engine.snapshot
    days = {"", *whole.segments[first:last]}
    manifest = replace(whole.manifest, files=tuple(f for f in whole.manifest.files if f.segment in days))
    return Snapshot(whole.root, manifest, Verifier())


def prepared(engine: Engine, first: int, last: int | None) -> None:
    """Keep the window of some days, and none else."""
    for path in (engine.path / FOLDER).glob("*"):
        path.unlink()
    window_of(of_days(engine, first, last), engine.store.derived("window"), worth=0)


def merge(engine: Engine) -> Facts:
    snapshot = engine.snapshot
    parts: dict[str, dict[str, Any]] = {}
    for kind in ("entities", "edges", "properties"):
        for entry in snapshot.files(kind):
            parts.setdefault(entry.segment, {})[kind] = snapshot.read(entry)
    window = merge_window(parts.items())
    return {"nodes": window.entities.num_rows, "edges": window.edges.num_rows}


def keep(engine: Engine) -> Facts:
    """Leave out the newest day, which the next step adds."""
    prepared(engine, 0, -1)
    kept = sum(path.stat().st_size for path in (engine.path / FOLDER).glob("*"))
    return {"kept_mb": kept / 2**20}


def change(first: int, last: int | None) -> Callable[[Engine], Facts]:
    def run(engine: Engine) -> Facts:
        window = window_of(of_days(engine, first, last), engine.store.derived("window"), worth=0)
        return {"nodes": window.entities.num_rows, "edges": window.edges.num_rows}

    return run


def opened(engine: Engine) -> Facts:
    graph = engine.graph
    first = graph.node(graph.entities_of(np.array([0]))[0].as_py())
    return {"nodes": len(graph), "first": first["entity"]}


def memory() -> dict[str, float]:
    """Return the memory of this process in megabytes; getrusage would count that of its parent."""
    told = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {line[0].rstrip(":"): int(line[1]) / 1024 for line in told if line[-1] == "kB"}


def current(engine: Engine) -> Facts:
    """Have everything that a workspace in use has: ranks, components, texts of tables, an entity's page."""
    wall = time.perf_counter()
    engine.compute("pagerank")
    facts: Facts = {"pagerank_seconds": time.perf_counter() - wall}
    graph = engine.graph
    names = graph.entities_of(starts(graph, "degree")[:20]).to_pylist()
    stats = graph.stats()
    for a, b in zip(names[::2], names[1::2], strict=True):
        graph.around(a, 2, limit=BUDGET)
        graph.path(a, b)
        engine.view("entity", entity=a).to_arrow()
    facts |= {f"{name}_mb": memory()[name] for name in ("VmRSS", "RssAnon", "RssFile")}
    return facts | {"components": stats.components, "largest_component": stats.largest_component}


def pages(how: str) -> Callable[[Engine], Facts]:
    def run(engine: Engine) -> Facts:
        graph = engine.graph
        drawn = starts(graph, how)
        seen = graph.window.entities["sightings"].to_numpy()
        heavy = drawn[np.argsort(-seen[drawn], kind="stable")[:50]] if how == "degree" else drawn[:50]
        names = graph.entities_of(heavy).to_pylist()
        engine.view("entity", entity=names[0]).to_arrow()  # what is made once is made
        return timed(engine.view("entity", entity=name).to_arrow() for name in names[1:])

    return run


def starts(graph: Graph, how: str) -> NDArray[np.int64]:
    draw = np.random.default_rng(0)
    if how == "uniform":
        return draw.integers(0, len(graph), STARTS)
    ends = np.concatenate([graph.window.edges[end].to_numpy() for end in ("source", "target")])
    return draw.choice(ends, STARTS).astype(np.int64)


def timed(calls: Iterator[object]) -> Facts:
    """Return percentiles of the milliseconds that each step of a generator takes, and those of a CPU."""
    spent = []
    before = time.perf_counter(), time.process_time()
    for _ in calls:
        now = time.perf_counter(), time.process_time()
        spent.append((now[0] - before[0], now[1] - before[1]))
        before = time.perf_counter(), time.process_time()
    wall, cpu = (np.array(times) * 1_000 for times in zip(*spent, strict=True))
    by_clock = {f"p{q}_ms": float(np.percentile(wall, q)) for q in (50, 99)}
    return by_clock | {f"p{q}_cpu_ms": float(np.percentile(cpu, q)) for q in (50, 99)} | {"calls": len(spent)}


def around(how: str) -> Callable[[Engine], Facts]:
    def run(engine: Engine) -> Facts:
        graph = engine.graph
        names = graph.entities_of(starts(graph, how)).to_pylist()
        graph.around(names[0], 2, limit=BUDGET)  # what is made once is made
        return timed(graph.around(name, 2, limit=BUDGET) for name in names)

    return run


def paths(engine: Engine) -> Facts:
    graph = engine.graph
    names = graph.entities_of(starts(graph, "degree")[: PATHS * 2]).to_pylist()
    graph.path(names[0], names[1])
    return timed(graph.path(a, b) for a, b in zip(names[::2], names[1::2], strict=True))


def igraph(engine: Engine) -> Facts:
    import igraph as ig  # noqa: PLC0415  (only in its own process)

    graph = engine.graph
    draws = {how: starts(graph, how) for how in ("uniform", "degree")}
    edges = graph.window.edges
    before = time.perf_counter()
    ends = np.column_stack([edges["source"].to_numpy(), edges["target"].to_numpy()])
    built = ig.Graph(n=len(graph), edges=ends)
    facts: Facts = {"build_seconds": time.perf_counter() - before}
    length = (1.0 / edges["weight"].to_numpy()).tolist()
    for how, drawn in draws.items():
        found = timed(built.neighborhood(int(start), order=2) for start in drawn[:100])
        facts |= {f"{how}_{name}": value for name, value in found.items()}
    pairs = draws["degree"][: PATHS * 2]
    walked = (
        built.get_shortest_path(int(a), int(b), weights=length)
        for a, b in zip(pairs[::2], pairs[1::2], strict=True)
    )
    return facts | {f"path_{name}": value for name, value in timed(walked).items()}


def networkx(engine: Engine, share: float) -> Facts:
    import networkx as nx  # noqa: PLC0415  (only in its own process)

    edges = engine.graph.window.edges
    kept = np.random.default_rng(0).random(edges.num_rows) < share
    source, target = (edges[end].to_numpy()[kept].tolist() for end in ("source", "target"))
    length = (1.0 / edges["weight"].to_numpy()[kept]).tolist()
    before = time.perf_counter()
    built = nx.Graph()
    built.add_weighted_edges_from(zip(source, target, length, strict=True))
    facts: Facts = {"share": share, "edges": len(source), "build_seconds": time.perf_counter() - before}
    drawn = [source[place] for place in np.random.default_rng(0).integers(0, len(source), 20)]
    facts |= timed(nx.single_source_shortest_path_length(built, start, cutoff=2) for start in drawn)
    walked = (
        nx.bidirectional_dijkstra(built, a, b)
        for a, b in zip(drawn[::2], drawn[1::2], strict=True)
        if nx.has_path(built, a, b)
    )
    return facts | {f"path_{name}": value for name, value in timed(walked).items()}


# Each leaves on disk what the next one starts from.
STEPS: dict[str, Callable[[Engine], Facts]] = {
    "window merge but for a day, kept on disk": keep,
    "adding a day": change(0, None),
    "open from disk": opened,
    "two hops, uniform": around("uniform"),
    "two hops, by degree": around("degree"),
    "path": paths,
    "entity page, uniform": pages("uniform"),
    "entity page, most sightings": pages("degree"),
    "engine, everything current": current,
    "evicting a day": change(1, None),
    "window merge, not kept": merge,
    "igraph": igraph,
}


def child(step: str, workspace: Path, share: float) -> None:
    with Engine(workspace) as engine:
        wall, cpu = time.perf_counter(), time.process_time()
        if step == "networkx":
            resource.setrlimit(resource.RLIMIT_AS, (NETWORKX_BYTES, NETWORKX_BYTES))
            facts = networkx(engine, share)
        else:
            facts = STEPS[step](engine)
        facts["wall_seconds"], facts["cpu_seconds"] = time.perf_counter() - wall, time.process_time() - cpu
        facts["peak_mb"] = memory()["VmHWM"]
        facts["load"] = os.getloadavg()[0]
    print(json.dumps(facts))


def run(step: str, workspace: Path, share: float = 1.0, seconds: float | None = None) -> Facts | None:
    """Return what a step in its own process found; None where it took too long or too much memory."""
    command = [sys.executable, __file__, "--child", step, str(workspace), str(share)]
    try:
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode and seconds is None:
        raise SystemExit(f"{step} ended with {done.returncode}")
    found: Facts | None = None if done.returncode else json.loads(done.stdout.splitlines()[-1])
    return found


def measure(workspace: Path) -> Iterator[tuple[str, Facts]]:
    """Yield each step with what it found."""
    for name in STEPS:
        yield name, run(name, workspace) or {}
    for share in SHARES:
        found = run("networkx", workspace, share, NETWORKX_SECONDS)
        if found is not None:
            yield "networkx", found
            return


def show(name: str, facts: Facts) -> None:
    usual = ("wall_seconds", "cpu_seconds", "peak_mb")
    wall, cpu, peak = (facts[name] for name in usual)
    others = (
        f"{key} {value:,.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in facts.items()
        if key not in usual
    )
    print(f"{name:<40} {wall:8.2f} s {cpu:8.2f} CPU-s {peak:8,.0f} MB  {', '.join(others)}", flush=True)


def make(workspace: Path, days: int, events: int, seed: int) -> None:
    log = workspace.parent / "log"
    synth = [sys.executable, "-m", "workbench", "synth", str(log), "--quiet"]
    facts = ["--days", str(days), "--events-per-day", str(events), "--seed", str(seed)]
    subprocess.run([*synth, *facts], check=True, capture_output=True)
    with Engine.create(workspace, schema="gaming") as engine:
        engine.ingest(log)


def copy(workspace: Path, place: Path) -> None:
    """Copy a workspace without its cache; what is in segments is never written to, and linked."""

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)

    def passing(folder: str, names: list[str]) -> list[str]:
        return [
            n for n in names if Path(folder) == workspace and n in {"cache", "readers", "tmp", "segments"}
        ]

    shutil.copytree(workspace, place, ignore=passing)
    shutil.copytree(workspace / "segments", place / "segments", copy_function=link)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the window graph beside igraph and networkx.")
    parser.add_argument("--quick", action="store_true", help="two days of a twentieth of the events")
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--workspace", type=Path, help="one that holds the days already")
    parser.add_argument("--json", type=Path, help="also write the rows, with versions, to this file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], Path(options.child[1]), float(options.child[2]))
        return
    days, events = (2, DAY // 20) if options.quick else (options.days, DAY)
    rows: list[Facts] = []
    with tempfile.TemporaryDirectory(prefix="bench-graph-") as folder:
        workspace = Path(folder) / "workspace"
        if options.workspace:
            copy(options.workspace.resolve(), workspace)
            days = len(list((workspace / "segments").iterdir()))
        else:
            make(workspace, days, events, options.seed)
        record: Facts = {"days": days, "seed": options.seed, "budget": BUDGET, **taken_on(*LIBRARIES)}
        for name, facts in measure(workspace):
            show(name, facts)
            rows.append({"row": name, **facts})
            write(options.json, record | {"rows": rows})  # after each row: the last ones take long


if __name__ == "__main__":
    main()
