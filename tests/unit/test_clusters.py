"""Clusters of actors of known kinds: the task, its kernels, profile and labels, and what asks for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from schemas import VIEWS

from workbench.analysis.features import Feature, FeatureMatrix
from workbench.analysis.profile import cluster_labels, cluster_profile
from workbench.compute import Points, backends
from workbench.engine import Engine
from workbench.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

CPU = backends.create("cpu")
START = datetime(2025, 6, 2, tzinfo=UTC)


def log(seed: int = 1) -> tuple[pa.Table, pa.Table]:
    """Thirty who look in at noon on some days, twenty who are there around the clock, ten who mostly fail."""
    draw = np.random.default_rng(seed)
    views: list[tuple[datetime, str, str]] = []
    fails: list[tuple[datetime, str]] = []
    for i in range(60):
        kind = "visitor" if i < 30 else "resident" if i < 50 else "unlucky"
        number = {"visitor": 8, "resident": 150, "unlucky": 20}[kind]
        for _ in range(number):
            day = int(draw.integers(0, 14))
            hour = 12 if kind != "resident" else int(draw.integers(0, 24))
            time = START + timedelta(days=day, hours=hour, seconds=int(draw.integers(0, 3600)))
            views.append((time, f"{kind}{i:02}", f"i{draw.integers(0, 4 if kind != 'resident' else 80)}"))
            if kind == "unlucky":
                fails.append((time, f"{kind}{i:02}"))
    names = ("time", "user", "item")
    return (
        pa.table({n: [row[k] for row in views] for k, n in enumerate(names)}),
        pa.table({n: [row[k] for row in fails] for k, n in enumerate(names[:2])}),
    )


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    root = tmp_path_factory.mktemp("kinds")
    (root / "kinds.yaml").write_text(VIEWS)
    engine = Engine.create(root / "w", schema=root / "kinds.yaml")
    views, fails = log()
    engine.ingest(views, type="View")
    engine.ingest(fails, type="Fail")
    return engine


def test_the_three_kinds_are_found_and_numbered_by_size(db: Engine) -> None:
    found = db.compute("clusters").to_polars()
    assert found.columns == ["entity", "type", "key", "cluster", "size", "distance", "x", "y", "label"]
    kinds = found.group_by("cluster").agg(
        pl.col("key").str.extract("([a-z]+)").unique().sort().str.join(","), pl.col("size").first(), pl.len()
    )
    assert kinds.sort("cluster").rows() == [
        (0, "visitor", 30, 30),
        (1, "resident", 20, 20),
        (2, "unlucky", 10, 10),
    ]


def test_distance_x_and_y_are_those_of_the_standardised_features(db: Engine) -> None:
    run = db.compute("clusters")
    found = {r["entity"]: r for r in run.table.to_pylist()}
    matrix = db.features()
    rows = [found[e] for e in matrix.entities.to_pylist()]
    labels = np.array([r["cluster"] for r in rows])
    centres = np.stack([matrix.standardised[labels == c].mean(0) for c in range(3)])
    distance = np.linalg.norm(matrix.standardised - centres[labels], axis=1)
    assert [r["distance"] for r in rows] == pytest.approx(distance.tolist())
    assert run.run.metrics["inertia"] == pytest.approx(float((distance**2).sum()))
    centred = matrix.standardised - matrix.standardised.mean(0)
    plane = np.array([[r["x"], r["y"]] for r in rows])
    singular = np.linalg.svd(centred, compute_uv=False)
    assert np.linalg.norm(plane, axis=0) == pytest.approx(singular[:2])
    explained = float((singular[:2] ** 2).sum() / (singular**2).sum())
    assert run.run.metrics["explained"] == pytest.approx(explained)


def test_labels_name_what_sets_a_cluster_apart(db: Engine) -> None:
    labels = {r["cluster"]: r["label"] for r in db.clusters.to_arrow().to_pylist()}
    assert len(set(labels.values())) == 3
    assert "few View events" in labels[0]
    assert "many distinct Saw neighbours" in labels[1]
    assert "many Fail events" in labels[2]


def test_the_accessor_answers_by_cluster_and_by_entity(db: Engine) -> None:
    clusters = db.clusters
    assert clusters.columns == ["cluster", "size", "share", "label"]
    assert clusters.to_polars()["share"].sum() == pytest.approx(1)
    row = clusters.of("user:resident31")
    assert (row["cluster"], row["size"]) == (1, 20)
    members = clusters.members(1)
    assert members.height == 20
    assert members["distance"].is_sorted()
    with pytest.raises(UnknownNameError, match="Did you mean 'user:resident31'"):
        clusters.of("user:residnet31")
    with pytest.raises(UsageError, match="there are 0, 1, 2"):
        clusters.members(3)
    assert "k-means" in repr(clusters)


def test_the_profile_compares_means_with_those_of_all(db: Engine) -> None:
    profile = db.clusters.profile()
    assert profile.columns == ["cluster", "size", "feature", "mean", "population_mean", "z"]
    row = profile.filter((pl.col("cluster") == 1) & (pl.col("feature") == "view_count")).row(0, named=True)
    assert (row["size"], row["mean"]) == (20, 150)
    assert row["population_mean"] == pytest.approx((30 * 8 + 20 * 150 + 10 * 20) / 60)
    assert row["z"] > 0
    for part in profile.partition_by("cluster"):
        assert part["z"].abs().is_sorted(descending=True)
    sizes = np.array([30, 20, 10])
    for part in profile.partition_by("feature"):  # the weighted mean deviation of all clusters is none
        assert float(np.dot(part.sort("cluster")["z"].to_numpy(), sizes)) == pytest.approx(0, abs=1e-9)


def test_equal_inputs_and_seed_give_equal_rows(tmp_path: Path, db: Engine) -> None:
    (tmp_path / "kinds.yaml").write_text(VIEWS)
    other = Engine.create(tmp_path / "w", schema=tmp_path / "kinds.yaml")
    views, fails = log()
    draw = np.random.default_rng(7)
    other.ingest(fails.take(draw.permutation(fails.num_rows)), type="Fail")
    other.ingest(views.take(draw.permutation(views.num_rows)), type="View")
    assert other.compute("clusters").table.equals(db.compute("clusters").table)


def test_look_back_and_as_of_bound_what_is_seen(db: Engine) -> None:
    early = db.compute("clusters", asof="2025-06-08", lookback_days=7)
    assert early.run.asof < "2025-06-09"
    expected = db.features(until=datetime.fromisoformat(early.run.asof) + timedelta(microseconds=1))
    assert set(early.table["entity"].to_pylist()) == set(expected.entities.to_pylist())
    with pytest.raises(UsageError, match="lookback_days is -1"):
        db.compute("clusters", lookback_days=-1)


def test_a_new_schema_fact_makes_a_new_run(db: Engine) -> None:
    first = db.compute("clusters").run
    assert db.compute("clusters").run == first
    config = db.path / "schema" / "features.yaml"
    config.write_text(
        "apiVersion: workbench/v1\nkind: FeatureConfig\nmetadata: {id: x}\nspec: {without: [hour_entropy]}\n"
    )
    try:
        assert Engine(db.path).compute("clusters").run.inputs != first.inputs
    finally:
        config.unlink()


# kernels


def blobs(seed: int, groups: int = 5, size: int = 60) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    group = draw.permutation(np.repeat(np.arange(groups), size))
    return draw.normal(0, 1, (len(group), 3)) + 12 * np.eye(groups, 3)[group] * (1 + group[:, None]), group


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_number_of_clusters_is_found_by_silhouette(seed: int) -> None:
    points, group = blobs(seed, groups=3)
    table, metrics = CPU.kmeans(Points(points), seed=seed)
    assert metrics["k"] == 3
    assert len({(a, b) for a, b in zip(table["cluster"].to_pylist(), group, strict=True)}) == 3


@pytest.mark.parametrize(
    ("values", "clusters"),
    [(np.zeros((0, 2)), []), (np.ones((1, 2)), [0]), (np.ones((5, 2)), [0] * 5), (np.ones((3, 0)), [0] * 3)],
)
def test_points_that_cannot_be_told_apart_are_one_cluster(values: np.ndarray, clusters: list[int]) -> None:
    table, metrics = CPU.kmeans(Points(values))
    assert table["cluster"].to_pylist() == clusters
    assert metrics == {"k": 1, "silhouette": 0, "inertia": 0}
    plane, figures = CPU.pca(Points(values))
    assert plane["component_0"].to_pylist() == [0] * len(clusters)
    assert figures == {"explained": 0}


def test_the_silhouette_is_the_one_by_its_definition() -> None:
    from sklearn.metrics import silhouette_score

    points, _ = blobs(4)
    metrics = CPU.kmeans(Points(points), fewest=5, most=5)[1]
    labels = CPU.kmeans(Points(points), fewest=5, most=5)[0]["cluster"].to_numpy()
    assert metrics["silhouette"] == pytest.approx(silhouette_score(points, labels), abs=1e-9)


@pytest.mark.parametrize("bad", [np.array([[np.nan]]), np.array([1.0]), np.array([[1]])])
def test_what_are_no_points_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(UsageError, match="points must be"):
        Points(bad)


def test_options_out_of_range_are_refused() -> None:
    points = Points(np.zeros((3, 2)))
    for call, options in (
        (CPU.kmeans, {"fewest": 1}),
        (CPU.kmeans, {"fewest": 5, "most": 4}),
        (CPU.pca, {"components": 0}),
        (CPU.isolation, {"trees": 0}),
        (CPU.dbscan, {"eps": 0.0}),
    ):
        with pytest.raises(UsageError, match="must be"):
            call(points, **options)


def test_a_label_does_not_say_one_thing_twice() -> None:
    draw = np.random.default_rng(2)
    number = np.append(draw.integers(1, 5, 50), draw.integers(50, 90, 50)).astype(float)
    values = np.stack([number, 2 * number, draw.random(100)], axis=1)
    features = (Feature("a", "count", "A"), Feature("b", "count", "B"), Feature("c", "ordinal", "C"))
    entities = pa.array([f"u:{i}" for i in range(100)])
    matrix = FeatureMatrix("u", features, entities, values, number.astype(int), START, START)
    clusters = np.repeat([0, 1], 50)
    assert cluster_labels(matrix, clusters) == {0: "few A events", 1: "many A events"}
    means: dict[Any, Any] = dict(cluster_profile(matrix, clusters).select("feature", "mean").rows()[:3])
    assert means["b"] == pytest.approx(2 * means["a"])
