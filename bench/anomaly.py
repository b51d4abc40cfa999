"""Detection of planted anomalies: ``python bench/anomaly.py [--quick] [--seeds 201,202] [--shuttle DIR]``.

Generated logs of the gaming platform, 28 days each; after two, three and four weeks the last seven days
are judged. A member is anomalous there where something planted of it falls into these days for a day at
least, or as long as it lasts, and shows: it has an event then, or the kind is that it has none. Who is
planted and shows nothing counts for neither side. All members of the log are ranked, also those without
an event.

``classic`` and ``ensemble`` are the product's. The plain detectors get the product's default features of
the seven days, standardised, zeros for who did nothing; ``own history`` is the same less each member's mean
week before. Seeds 1 to 3 are what was tuned on; 201 to 203 are reported and were used for nothing before. On
logs without anomalies it is counted who scores 0.5 and 0.7. ``shuttle`` is the labelled set of the package
river (pip install --no-deps --target DIR river), for detectors of rows alone.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from _record import taken_on, write
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

import workbench as wb
from workbench.analysis.activity import read_activity
from workbench.analysis.features import standardise
from workbench.analysis.signals.ecod import ecod
from workbench.analysis.signals.hbos import hbos
from workbench.engine import Engine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.analysis.features import FeatureMatrix

START, DAYS, WEEK = date(2025, 6, 1), 28, 7
DAY_US = 86_400_000_000
TUNED, REPORTED = (1, 2, 3), (201, 202, 203)
LIBRARIES = ("numpy", "polars", "scikit-learn", "scipy", "workbench")
ABSENT = {"silent churn"}  # kinds that show by having no event
# What the schema and a reader of this log need: full-width events would only take longer to read.
COLUMNS = {
    *("@timestamp", "timestamp", "ts", "memberCode", "fingerprint", "deviceId", "isTestAccount", "rGroup"),
    *("affiliateId", "affiliateid", "affiliateID", "gameUid", "game", "gameTrackingProvider", "componentId"),
    *("trackingId", "popupType", "error", "stage", "platform", "currency"),
}

Scores = dict[str, "NDArray[np.float64]"]
Facts = dict[str, Any]


def made(root: Path, seed: int, events: int, *, anomalies: bool) -> tuple[Engine, pl.DataFrame]:
    """Return the workspace of a generated log and what is planted among its members; made once."""
    name = f"{'a' if anomalies else 'n'}{seed}"
    kept = root / f"{name}.parquet"
    if kept.exists():
        return Engine(root / name), pl.read_parquet(kept)
    log = wb.synth(
        root / f"{name}-log", days=DAYS, events_per_day=events, seed=seed, anomalies=anomalies
    ).path
    truth = pl.read_parquet(log / "_truth" / "anomalies.parquet").filter(pl.col("entity_type") == "member")
    for path in log.rglob("*.parquet"):
        if "_truth" not in path.parts:
            frame = pl.read_parquet(path)
            frame.select(c for c in frame.columns if c in COLUMNS).write_parquet(path)
    engine = Engine.create(root / name, schema="gaming")
    engine.ingest(log)
    shutil.rmtree(log)
    truth.write_parquet(kept)
    return engine, truth


def microseconds(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_US


def labels(engine: Engine, truth: pl.DataFrame, entities: list[str], until: date) -> NDArray[np.str_]:
    """Return the kind of each member that is anomalous in the week, '?' where nothing of it shows."""
    begin, end = microseconds(until - timedelta(WEEK)), microseconds(until)
    acts = truth.with_columns(pl.col("from", "to").cast(pl.Int64)).filter(
        pl.min_horizontal("to", end) - pl.max_horizontal("from", begin)
        >= pl.min_horizontal(DAY_US, pl.col("to") - pl.col("from"))
    )
    activity = read_activity(engine.snapshot, engine.snapshot.segments, engine.schema, "member", begin, end)
    keys = pl.DataFrame({"entity": activity.keys}).with_row_index("actor").cast({"actor": pl.Int32})
    within = pl.col("ts").is_between(pl.col("from"), pl.col("to"), closed="left")
    shown = (
        activity.events.select("actor", "ts")
        .join(acts.join(keys, on="entity"), on="actor")
        .filter(within)["entity"]
        .unique()
    )
    shows = pl.col("kind").is_in(list(ABSENT)) | pl.col("entity").is_in(shown.implode())
    named = acts.with_columns(pl.when(shows).then("kind").otherwise(pl.lit("?")).alias("kind"))
    kind = dict(named.select(pl.lit("member:") + pl.col("entity"), "kind").rows())
    return np.array([kind.get(entity, "") for entity in entities], "U32")


def aligned(matrix: FeatureMatrix, place: dict[str, int]) -> NDArray[np.float64]:
    """Return the features of all members in one order, zeros for who did nothing."""
    values = np.zeros((len(place), len(matrix.features)))
    values[[place[e] for e in matrix.entities.to_pylist()]] = np.nan_to_num(matrix.values)
    return values


def plain(points: NDArray[np.float64], suffix: str = "") -> Scores:
    forest = IsolationForest(random_state=0, n_jobs=1).fit(points)
    return {
        f"IsolationForest{suffix}": -forest.score_samples(points),
        f"ECOD{suffix}": ecod(points),
        f"HBOS{suffix}": hbos(points),
        f"max|z|{suffix}": np.abs((points - points.mean(0)) / np.maximum(points.std(0), 1e-9)).max(1),
    }


def compared(engine: Engine, entities: list[str], until: date) -> Scores:
    """Return the plain detectors' scores: of the week, and of the week less the mean week before."""
    place = {entity: i for i, entity in enumerate(entities)}
    weeks = [until - timedelta(WEEK * n) for n in range(DAYS // WEEK) if until - timedelta(WEEK * n) > START]
    values, features = [], ()
    for end in weeks:
        matrix = engine.features("member", since=end - timedelta(WEEK), until=end)
        features = matrix.features
        values.append(aligned(matrix, place))
    now = values[0]
    change = (now - np.mean(values[1:], axis=0)) / np.sqrt(np.mean(values[1:], axis=0) + 1)
    return plain(standardise(now, features)) | plain(robust(change), " own history")


def robust(values: NDArray[np.float64]) -> NDArray[np.float64]:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    spread = np.where(high > low, high - low, np.maximum(values.std(0), 1e-9))
    found: NDArray[np.float64] = (values - middle) / spread
    return found


def judged(engine: Engine, until: date) -> tuple[list[str], Scores, Facts]:
    """Return all members, the score of each by every detector, and how long the product took."""
    day = until - timedelta(1)
    before = time.perf_counter()
    found = engine.compute("anomalies", asof=day).to_polars().sort("entity")
    seconds = time.perf_counter() - before
    entities = found["entity"].to_list()
    scores: Scores = {"ensemble": found["score"].to_numpy()}
    classic = engine.compute("anomalies", asof=day, profile="classic").to_polars()
    known = dict(classic.select("entity", "score").rows())
    scores["classic"] = np.array([known.get(entity, 0.0) for entity in entities])
    return entities, scores | compared(engine, entities, until), {"ensemble_seconds": seconds}


def measures(truth: NDArray[np.bool_], score: NDArray[np.float64]) -> Facts:
    first = np.argsort(-score, kind="stable")[:50]
    return {
        "roc_auc": float(roc_auc_score(truth, score)),
        "average_precision": float(average_precision_score(truth, score)),
        "precision_at_50": float(truth[first].mean()),
    }


def planted(root: Path, seed: int, events: int, weeks: tuple[int, ...]) -> list[Facts]:
    """Return the measures of every detector after each of the weeks, and by kind those of the product."""
    rows: list[Facts] = []
    engine, truth = made(root, seed, events, anomalies=True)
    with engine:
        for week in weeks:
            until = START + timedelta(WEEK * week)
            entities, scores, facts = judged(engine, until)
            kinds = labels(engine, truth, entities, until)
            counted = kinds != "?"
            true = kinds != ""
            rows.append(
                {
                    "seed": seed,
                    "week": week,
                    "members": int(counted.sum()),
                    "anomalous": int((true & counted).sum()),
                    **facts,
                    "detectors": {n: measures(true[counted], s[counted]) for n, s in scores.items()},
                    "kinds": by_kind(kinds, scores),
                }
            )
            print_row(rows[-1])
    return rows


def by_kind(kinds: NDArray[np.str_], scores: Scores) -> Facts:
    """Return of each kind its number, and by detector the part among as many first as are anomalous."""
    number = int(np.isin(kinds, ["", "?"], invert=True).sum())
    found: Facts = {}
    for kind in sorted(set(kinds) - {"", "?"}):
        mine = kinds == kind
        found[kind] = {"number": int(mine.sum())}
        for name, score in scores.items():
            first = np.argsort(np.where(kinds == "?", -np.inf, score))[::-1][:number]
            found[kind][name] = int(mine[first].sum())
    return found


def nothing(root: Path, seed: int, events: int, weeks: tuple[int, ...]) -> list[Facts]:
    """Return which part of the members scores 0.5 and 0.7 where nobody behaves anomalously."""
    rows: list[Facts] = []
    engine, _ = made(root, seed, events, anomalies=False)
    with engine:
        for week in weeks:
            day = START + timedelta(WEEK * week - 1)
            score = engine.compute("anomalies", asof=day).to_polars()["score"]
            row = {
                "seed": seed,
                "week": week,
                "members": len(score),
                "at_0.5": float((score >= 0.5).mean()),
                "at_0.7": float((score >= 0.7).mean()),
            }
            rows.append(row)
            print(
                f"nothing planted, seed {seed} week {week}: {len(score):,} members, "
                f"{row['at_0.5']:.3%} at 0.5, {row['at_0.7']:.3%} at 0.7",
                flush=True,
            )
    return rows


def shuttle(folder: Path) -> Facts:
    """Return the measures of the detectors of rows alone on the set ``shuttle``."""
    path = folder / "river" / "datasets" / "shuttle.csv.gz"
    with gzip.open(path, "rb") as file:
        frame = pl.read_csv(file.read())
    points = robust(frame.drop("anomaly").to_numpy().astype(np.float64))
    true = frame["anomaly"].to_numpy() == 1
    found = plain(points)
    return {name: measures(true, score) for name, score in found.items()}


def print_row(row: Facts) -> None:
    best = {n: m["average_precision"] for n, m in row["detectors"].items()}
    told = ", ".join(f"{name} {value:.3f}" for name, value in best.items())
    print(
        f"seed {row['seed']} week {row['week']}: {row['anomalous']} of {row['members']:,} anomalous, "
        f"{row['ensemble_seconds']:.1f} s; average precision: {told}",
        flush=True,
    )


def summary(rows: list[Facts]) -> Facts:
    names = rows[0]["detectors"]
    means: Facts = {
        name: {
            measure: float(np.mean([row["detectors"][name][measure] for row in rows]))
            for measure in names[name]
        }
        for name in names
    }
    kinds: Facts = {}
    for row in rows:
        for kind, counts in row["kinds"].items():
            total = kinds.setdefault(kind, dict.fromkeys(counts, 0))
            for name, value in counts.items():
                total[name] += value
    return {"detectors": means, "kinds": kinds}


def print_summary(found: Facts) -> None:
    print(f"{'':28}{'ROC AUC':>9}{'AP':>8}{'P@50':>8}")
    for name, m in sorted(found["detectors"].items(), key=lambda item: -item[1]["average_precision"]):
        figures = f"{m['roc_auc']:9.3f}{m['average_precision']:8.3f}{m['precision_at_50']:8.2f}"
        print(f"{name:28}{figures}")
    others = [n for n in found["detectors"] if n not in ("ensemble", "classic")]
    best = max(others, key=lambda n: found["detectors"][n]["average_precision"])
    print(
        f"\n{'found among as many first as there are':48}{'number':>8}{'ensemble':>10}{'classic':>9}  {best}"
    )
    for kind, counts in sorted(found["kinds"].items()):
        row = f"{counts['number']:8}{counts['ensemble']:10}{counts['classic']:9}  {counts[best]}"
        print(f"{kind:48}{row}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one small log, 3 weeks")
    parser.add_argument("--seeds", default=",".join(map(str, REPORTED)), help="of the logs")
    parser.add_argument("--events", type=int, default=50_000, help="a day")
    parser.add_argument("--weeks", default="2,3,4", help="after which the last seven days are judged")
    parser.add_argument("--logs", type=Path, help="where generated logs are kept for the next time")
    parser.add_argument("--shuttle", type=Path, help="the folder that river is installed into")
    parser.add_argument("--out", type=Path, help="the JSON file")
    chosen = parser.parse_args()
    seeds = tuple(int(seed) for seed in chosen.seeds.split(","))
    events, weeks = chosen.events, tuple(int(week) for week in chosen.weeks.split(","))
    if chosen.quick:
        seeds, events, weeks = TUNED[:1], 4_000, (3,)
    machine = taken_on(*LIBRARIES)
    with tempfile.TemporaryDirectory() as made_new:
        root = chosen.logs or Path(made_new)
        rows = [row for seed in seeds for row in planted(root, seed, events, weeks)]
        clean = [row for seed in seeds for row in nothing(root, seed, events, weeks)]
    found = summary(rows)
    print_summary(found)
    for limit in ("at_0.5", "at_0.7"):
        print(f"nothing planted, {limit.replace('_', ' ')}: {np.mean([row[limit] for row in clean]):.3%}")
    result: Facts = {
        "command": f"python bench/anomaly.py {' '.join(sys.argv[1:])}".strip(),
        **machine,
        "seeds": seeds,
        "tuned_on": TUNED,
        "events_a_day": events,
        "days": DAYS,
        "summary": found,
        "planted": rows,
        "nothing_planted": clean,
    }
    if chosen.shuttle:
        result["shuttle"] = shuttle(chosen.shuttle)
        for name, m in result["shuttle"].items():
            figures = f"{m['roc_auc']:9.3f}{m['average_precision']:8.3f}{m['precision_at_50']:8.2f}"
            print(f"shuttle {name:20}{figures}")
    write(chosen.out, result)


if __name__ == "__main__":
    main()
