"""The generator of gaming logs: its speed, and what its logs are like beside the figures of spec 2.3.

    python bench/synth.py             30 days of 958,000 events
    python bench/synth.py --quick     2 days of 20,000 events

Written to a temporary directory, full width, with the known dirt. One and three threads must give the
same bytes. Shares are of the events of one type on the log's middle day. Communities are found by
networkit's Leiden on who opened which game in a smaller log, hubs left in, and compared with the
planted ones. An isolation forest sees how many events of each type every member has in another log.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import networkit
import numpy as np
import polars as pl
from _record import taken_on, write
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, normalized_mutual_info_score, roc_auc_score

import workbench as wb
from workbench.samples.gaming.dirt import nothing

RATE = 958_000
SPEC = {  # spec 2.3, a day at the full rate
    "API Error": 421_000,
    "GameOpened": 308_000,
    "PopupModule": 172_000,
    "Login": 57_000,
    "members": 50_000,
    "devices": 30_000,
    "games": 1_240,
}
TYPE = {"v2/GridClick": "GameOpened", "v2/PopUpModule": "PopupModule"}


def generate(folder: Path, days: int, events: int, seed: int, threads: int) -> dict[str, Any]:
    """Generate a log and return what it took."""
    cpu = time.process_time()
    report = wb.synth(folder, days=days, events_per_day=events, seed=seed, threads=threads)
    return {
        "days": days,
        "threads": threads,
        "events": report.events,
        "files": report.files,
        "bytes": report.bytes,
        "wall_seconds": report.seconds,
        "cpu_seconds": time.process_time() - cpu,
        "events_per_second": report.events / report.seconds,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def likeness(folder: Path, events: int) -> list[dict[str, Any]]:
    """Return a day's volumes and distinct counts beside the spec's, scaled to the log's rate."""
    manifest = json.loads((folder / "_manifest.json").read_text(encoding="utf-8"))
    days = sorted(manifest["distinct"])
    found = dict.fromkeys(SPEC, 0.0)
    for path, entry in manifest["files"].items():
        name = str(Path(path).parent)
        found[TYPE.get(name, name)] += entry["rows"] / len(days)
    for name in ("members", "devices", "games"):
        found[name] = sum(manifest["distinct"][day][name] for day in days) / len(days)
    scale = events / RATE
    return [
        {"what": name, "a_day": found[name], "spec": number if name == "games" else number * scale}
        for name, number in SPEC.items()
    ]


def top_shares(folder: Path) -> dict[str, list[float]]:
    """Return the shares of the most frequent games and members of the middle day."""
    days = sorted(p.stem for p in (folder / "GameOpened").glob("*.parquet"))
    frame = pl.read_parquet(folder / "GameOpened" / f"{days[(len(days) - 1) // 2]}.parquet")
    shares = {}
    for column in ("gameUid", "memberCode", "gameTrackingProvider"):
        counts = frame[column].str.strip_chars().value_counts(sort=True)["count"]
        shares[column] = [float(counts.head(n).sum() / frame.height) for n in (1, 10, 100)]
    return shares


def identical(root: Path, events: int, seed: int) -> bool:
    """Return whether one and three threads write the same bytes."""
    logs = []
    for threads in (1, 3):
        folder = root / f"threads-{threads}"
        wb.synth(folder, days=2, events_per_day=events, seed=seed, threads=threads)
        logs.append((folder / "_manifest.json").read_bytes())
        shutil.rmtree(folder)
    return logs[0] == logs[1]  # the manifests hold the hashes of all files


def found_communities(root: Path, events: int, seed: int) -> float:
    """Return the normalised mutual information of found and planted communities of the members."""
    folder = root / "communities"
    wb.synth(folder, days=7, events_per_day=events, seed=seed)
    opened = pl.concat(
        [
            pl.read_parquet(path, columns=["memberCode", "gameUid"])
            for name in ("GameOpened", "v2/GridClick")
            for path in sorted((folder / name).glob("*.parquet"))
        ]
    ).with_columns(pl.all().str.strip_chars())
    pairs = opened.group_by("memberCode", "gameUid", maintain_order=True).len().drop_nulls()
    members, games = (pairs[c].unique(maintain_order=True) for c in ("memberCode", "gameUid"))
    number = {
        name: pl.DataFrame({name: keys}).with_row_index(f"{name}_number")
        for name, keys in (("memberCode", members), ("gameUid", games))
    }
    ends = pairs.join(number["memberCode"], on="memberCode").join(number["gameUid"], on="gameUid")
    source = ends["memberCode_number"].to_numpy().astype(np.uint64)
    target = ends["gameUid_number"].to_numpy().astype(np.uint64) + np.uint64(len(members))
    weights = ends["len"].to_numpy().astype(np.float64)
    networkit.setNumberOfThreads(1)
    networkit.setSeed(seed, useThreadId=False)
    graph = networkit.GraphFromCoo((weights, (source, target)), n=len(members) + len(games), weighted=True)
    found = networkit.community.ParallelLeiden(graph, iterations=5).run().getPartition().getVector()
    labels = pl.DataFrame({"member": members, "found": found[: len(members)]})
    both = labels.join(pl.read_parquet(folder / "_truth" / "members.parquet"), on="member")
    shutil.rmtree(folder)
    return float(normalized_mutual_info_score(both["community"].to_numpy(), both["found"].to_numpy()))


def forest(root: Path, events: int, days: int, seed: int) -> list[dict[str, Any]]:
    """Return how well an isolation forest on the members' counts of events finds the planted anomalies."""
    folder = root / "anomalies"
    wb.synth(folder, days=days, events_per_day=events, seed=seed)
    counts = pl.concat(
        pl.read_parquet(path, columns=["memberCode"])
        .select(pl.col("memberCode").str.strip_chars())
        .filter(~pl.col("memberCode").is_in(list(nothing(numeric=False))))
        .group_by("memberCode")
        .len()
        .with_columns(type=pl.lit(TYPE.get(name, name)))
        for name in (*TYPE, *TYPE.values(), "Login", "API Error")
        for path in sorted((folder / name).glob("*.parquet"))
    )
    wide = counts.pivot("type", index="memberCode", values="len", aggregate_function="sum").fill_null(0)
    features = np.log1p(wide.drop("memberCode").to_numpy())
    scores = -IsolationForest(random_state=seed).fit(features).score_samples(features)
    planted = pl.read_parquet(folder / "_truth" / "anomalies.parquet").filter(
        pl.col("entity_type") == "member"
    )
    shutil.rmtree(folder)
    kinds = {"all": planted, **{str(kind): rows for (kind,), rows in sorted(planted.group_by("kind"))}}
    others = ~wide["memberCode"].is_in(planted["entity"].to_list()).to_numpy()
    found = []
    for kind, rows in kinds.items():
        is_anomaly = wide["memberCode"].is_in(rows["entity"].to_list()).to_numpy()
        judged = is_anomaly | others  # of one kind, the other kinds' members count as neither
        auc = roc_auc_score(is_anomaly[judged], scores[judged])
        precision = average_precision_score(is_anomaly[judged], scores[judged])
        found.append({"kind": kind, "members": int(is_anomaly.sum()), "roc_auc": auc, "ap": precision})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the generator and describe its logs.")
    parser.add_argument("--quick", action="store_true", help="2 days of 20,000 events")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the figures, with versions, to this file")
    options = parser.parse_args()
    days, events = (2, 20_000) if options.quick else (options.days, RATE)
    machine = taken_on("networkit", "numpy", "polars", "pyarrow", "scikit-learn")
    with tempfile.TemporaryDirectory(prefix="synth-") as name:
        root = Path(name)
        speed = generate(root / "log", days, events, options.seed, options.threads)
        like = likeness(root / "log", events)
        shares = top_shares(root / "log")
        shutil.rmtree(root / "log")
        same = identical(root, min(events, 100_000), options.seed)
        detected = forest(root, *((20_000, 7) if options.quick else (100_000, 14)), options.seed)
        agreement = found_communities(root, 5_000 if options.quick else 100_000, options.seed)
    for key, value in speed.items():
        print(f"{key:<20} {value:>16,.1f}" if isinstance(value, float) else f"{key:<20} {value:>16,}")
    print(f"\n{'a day':<14} {'generated':>12} {'spec 2.3':>12}")
    for row in like:
        print(f"{row['what']:<14} {row['a_day']:>12,.0f} {row['spec']:>12,.0f}")
    print("\nshare of the most frequent    1      10     100")
    for key, top in shares.items():
        print(f"{key:<24} " + " ".join(f"{share:7.3f}" for share in top))
    print(f"\none and three threads write the same bytes: {same}")
    print(f"Leiden on members and games, NMI with the planted communities: {agreement:.2f}")
    print(f"\n{'isolation forest on counts':<28} members  ROC AUC      AP")
    for row in detected:
        print(f"{row['kind']:<28} {row['members']:>7} {row['roc_auc']:8.3f} {row['ap']:7.3f}")
    record = {
        "seed": options.seed,
        "command": "python bench/synth.py" + (" --quick" if options.quick else f" --days {days}"),
        **machine,
        "speed": speed,
        "likeness": like,
        "top_shares": shares,
        "threads_identical": same,
        "communities_nmi": agreement,
        "isolation_forest": detected,
    }
    write(options.json, record)
    assert same


if __name__ == "__main__":
    main()
