"""The window graph of full-width days: ``python bench/graph.py [--quick] [--days N] [--workspace DIR]``.

The generated gaming log is ingested, or a workspace that holds it is taken as it is (its cache is made
anew). Every row runs in a process of its own, whose wall time, CPU time and largest resident memory are
taken after the imports. igraph and networkx get the same arrays; what building their graph takes is said in
their rows. networkx runs on the largest part of the edges with which it is done within five minutes.

Neighbourhoods start at 1,000 entities drawn uniformly and 1,000 drawn by degree, two hops, at most 200 new
nodes a hop; igraph has no budget, so its rows stop at what is two hops away.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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
SHARES = (1.0, 0.25, 0.05, 0.01)

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
    prepared(engine, 0, None)
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


def starts(graph: Graph, how: str) -> NDArray[np.int64]:
    draw = np.random.default_rng(0)
    if how == "uniform":
        return draw.integers(0, len(graph), STARTS)
    ends = np.concatenate([graph.window.edges[end].to_numpy() for end in ("source", "target")])
    return draw.choice(ends, STARTS).astype(np.int64)


def timed(calls: Iterator[object]) -> Facts:
    """Return percentiles of the milliseconds that each step of a generator takes."""
    spent = []
    before = time.perf_counter()
    for _ in calls:
        spent.append((time.perf_counter() - before) * 1_000)
        before = time.perf_counter()
    return {f"p{q}_ms": float(np.percentile(spent, q)) for q in (50, 99)} | {"calls": len(spent)}


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


STEPS: dict[str, Callable[[Engine], Facts]] = {
    "window merge": merge,
    "window merge, kept on disk": keep,
    "open from disk": opened,
    "two hops, uniform": around("uniform"),
    "two hops, by degree": around("degree"),
    "path": paths,
    "igraph": igraph,
}
CHANGES: dict[str, tuple[tuple[int, int | None], tuple[int, int | None]]] = {
    "adding a day": ((0, -1), (0, None)),
    "evicting a day": ((0, None), (1, None)),
}


def child(step: str, workspace: Path, share: float) -> None:
    with Engine(workspace) as engine:
        wall, cpu = time.perf_counter(), time.process_time()
        if step == "networkx":
            facts = networkx(engine, share)
        elif step.startswith("before "):
            prepared(engine, *CHANGES[step.removeprefix("before ")][0])
            facts = {}
        else:
            facts = (STEPS | {name: change(*after) for name, (_, after) in CHANGES.items()})[step](engine)
        facts["wall_seconds"], facts["cpu_seconds"] = time.perf_counter() - wall, time.process_time() - cpu
        facts["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(facts))


def run(step: str, workspace: Path, share: float = 1.0, seconds: float | None = None) -> Facts | None:
    """Return what a step in its own process found; None where it took too long or too much."""
    command = [sys.executable, __file__, "--child", step, str(workspace), str(share)]
    try:
        out = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds).stdout
    except subprocess.TimeoutExpired:
        return None
    found: Facts = json.loads(out.splitlines()[-1])
    return found


def measure(workspace: Path) -> Iterator[tuple[str, Facts]]:
    """Yield each step with what it found."""
    for name in CHANGES:
        run(f"before {name}", workspace)
        yield name, run(name, workspace) or {}
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
    print(f"{name:<28} {wall:8.2f} s {cpu:8.2f} CPU-s {peak:8,.0f} MB  {', '.join(others)}", flush=True)


def make(workspace: Path, days: int, events: int, seed: int) -> None:
    log = workspace.parent / "log"
    synth = [sys.executable, "-m", "workbench", "synth", str(log), "--quiet"]
    facts = ["--days", str(days), "--events-per-day", str(events), "--seed", str(seed)]
    subprocess.run([*synth, *facts], check=True, capture_output=True)
    with Engine.create(workspace, schema="gaming") as engine:
        engine.ingest(log)


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
        workspace = options.workspace or Path(folder) / "workspace"
        if not options.workspace:
            make(workspace, days, events, options.seed)
        for name, facts in measure(workspace):
            show(name, facts)
            rows.append({"row": name, **facts})
    if options.json:
        machine = {"python": platform.python_version(), "system": platform.machine(), "cpus": os.cpu_count()}
        record = {"days": days, "seed": options.seed, "budget": BUDGET, "machine": machine}
        record["versions"] = {library: version(library) for library in LIBRARIES}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(record | {"rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
