"""What every backend has to show of points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from workbench.compute import Points
from workbench.errors import UsageError
from workbench.testing._comparison import compares
from workbench.testing._graphs import blobs
from workbench.testing._suite import AGREEMENT, adjusted_rand, cpu, has

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.compute import Backend

__all__ = ["PointSuite"]

INERTIA_TOLERANCE = 0.02
TRUST = 0.9
RECALL = 0.95


class PointSuite:
    """The part of the conformance suite that is about :class:`workbench.compute.Points`."""

    @compares(
        "kmeans",
        "quality",
        "adjusted Rand index of at least 0.95 with planted groups, inertia within 2 % of the CPU's",
    )
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_separated_clusters_are_found(self, backend: Backend, seed: int) -> None:
        """Comparison: quality, adjusted Rand index of at least 0.95 with what was planted; largest first."""
        has(backend, "kmeans")
        points, group = blobs(seed=seed)
        table, metrics = backend.kmeans(points, seed=seed)
        labels = table["cluster"].to_numpy()
        assert table.schema == pa.schema({"row": pa.int32(), "cluster": pa.int32(), "distance": pa.float64()})
        assert metrics["k"] == 4
        assert adjusted_rand(labels, group) >= AGREEMENT
        assert (np.diff(np.bincount(labels)) <= 0).all()
        expected = cpu().kmeans(points, seed=seed)[1]["inertia"]
        assert metrics["inertia"] == pytest.approx(expected, rel=INERTIA_TOLERANCE)

    def test_clusters_repeat_by_seed(self, backend: Backend) -> None:
        """The same points and seed give the same table."""
        has(backend, "kmeans")
        points = Points(np.random.default_rng(6).normal(size=(400, 5)))
        first, second = (backend.kmeans(points, seed=5)[0] for _ in range(2))
        assert first.equals(second)

    @compares("pca", "close", "within 1e-6 of numpy's decomposition, signs included")
    def test_components_are_those_of_the_singular_values(self, backend: Backend) -> None:
        """Comparison: close, within 1e-6 of numpy's decomposition, signs included."""
        has(backend, "pca")
        values = blobs(seed=3)[0].values @ np.diag([3.0, 1.0, 0.2])
        table, metrics = backend.pca(Points(values), components=2)
        centred = values - values.mean(0)
        _, singular, directions = np.linalg.svd(centred, full_matrices=False)
        largest = directions[np.arange(3), np.abs(directions).argmax(1)]
        expected = centred @ (directions * np.sign(largest)[:, None]).T
        for place in range(2):
            found = table[f"component_{place}"].to_numpy()
            np.testing.assert_allclose(found, expected[:, place], atol=1e-6 * singular[0])
        share = np.square(singular[:2]).sum() / np.square(singular).sum()
        assert metrics["explained"] == pytest.approx(share, rel=1e-6)

    @compares("isolation", "quality", "the point that lies apart scores highest")
    def test_what_lies_apart_is_isolated_first(self, backend: Backend) -> None:
        """The point far from all others scores highest, and the same seed gives the same scores."""
        has(backend, "isolation")
        values = np.vstack([np.random.default_rng(2).normal(size=(500, 4)), np.full((1, 4), 9.0)])
        first, second = (backend.isolation(Points(values), seed=3)[0] for _ in range(2))
        scores = first["score"].to_numpy()
        assert scores.argmax() == 500
        assert ((scores > 0) & (scores < 1)).all()
        assert first.equals(second)

    @compares("dbscan", "exact", "the partition that the definition gives")
    def test_dense_directions_are_clusters_and_the_rest_is_noise(self, backend: Backend) -> None:
        """Comparison: exact, the partition that the definition gives; a row may stand for many points."""
        has(backend, "dbscan")
        angles = np.radians([0, 5, 10, 90, 95, 180, 270])
        points = Points(np.stack([np.cos(angles), np.sin(angles)], axis=1))
        weight = np.array([1.0, 1, 1, 1, 2, 1, 3])
        table, metrics = backend.dbscan(points, weight=weight, eps=0.05, min_points=3)
        assert table["cluster"].to_pylist() == [0, 0, 0, 1, 1, -1, 2]
        assert metrics == {"clusters": 3, "noise": 1}

    @compares("hdbscan", "quality", "adjusted Rand index of at least 0.95 with planted groups")
    @pytest.mark.parametrize("metric", ["cosine", "euclidean"])
    def test_densities_of_different_scale_are_clusters(self, backend: Backend, metric: Any) -> None:
        """Comparison: quality, adjusted Rand index of at least 0.95 with what was planted."""
        has(backend, "hdbscan")
        draw = np.random.default_rng(4)
        group = np.repeat([0, 1, 2], [80, 60, 40])
        centres, spread = 20 * np.eye(3)[group], np.array([0.3, 0.6, 1.2])[group, None]
        points = Points(centres + draw.normal(size=(180, 3)) * spread)
        table, metrics = backend.hdbscan(points, metric=metric, min_cluster=10)
        labels = table["cluster"].to_numpy()
        clustered = labels >= 0
        assert metrics == {"clusters": 3, "noise": (~clustered).sum()}
        assert clustered.mean() > 0.8
        assert adjusted_rand(labels[clustered], group[clustered]) >= AGREEMENT

    @compares("neighbours", "close", "each distance within 1e-5 of all distances' smallest")
    @pytest.mark.parametrize("metric", ["cosine", "euclidean"])
    def test_neighbours_are_the_nearest(self, backend: Backend, metric: Any) -> None:
        """Comparison: close, each distance within 1e-5 of all distances' smallest; no point is its own."""
        from scipy.spatial.distance import cdist

        has(backend, "neighbours")
        values = np.random.default_rng(8).normal(size=(300, 6))
        values[1] = values[0]
        table, metrics = backend.neighbours(Points(values), k=5, metric=metric)
        found = table["neighbour"].to_numpy().reshape(300, 5)
        near = table["distance"].to_numpy().reshape(300, 5)
        every = cdist(values, values, metric)
        np.testing.assert_allclose(near, np.take_along_axis(every, found, 1), atol=1e-5)
        np.fill_diagonal(every, np.inf)
        np.testing.assert_allclose(near, np.sort(every)[:, :5], atol=1e-5)
        assert (found != np.arange(300)[:, None]).all()
        assert all(len(set(row)) == 5 for row in found.tolist())
        assert metrics == {"k": 5, "recall": 1}

    @compares(
        "neighbours",
        "quality",
        "recall of at least 0.95 against all distances, which are those of the points within 1e-5",
        method="approximate",
    )
    @pytest.mark.parametrize("metric", ["cosine", "euclidean"])
    def test_the_nearest_of_many_are_mostly_found(self, backend: Backend, metric: Any) -> None:
        """Comparison: quality, recall of at least 0.95; groups of points, and far from the origin."""
        from scipy.spatial.distance import cdist

        has(backend, "neighbours", "approximate")
        draw = np.random.default_rng(9)
        values = 3 + draw.normal(size=(60, 24))[draw.integers(60, size=6_000)]
        values += 0.2 * draw.normal(size=values.shape)
        asked = {"k": 7, "metric": metric, "method": "approximate", "seed": 4}
        table, metrics = backend.neighbours(Points(values), **asked)
        found = table["neighbour"].to_numpy().reshape(-1, 7)
        near = table["distance"].to_numpy().reshape(-1, 7)
        rows = draw.choice(len(values), 300, replace=False)
        every = cdist(values[rows], values, metric)
        np.testing.assert_allclose(near[rows], np.take_along_axis(every, found[rows], 1), atol=1e-5)
        assert (np.diff(near, axis=1) >= 0).all()
        every[np.arange(300), rows] = np.inf
        last = np.sort(every)[:, 6:7]
        recall = (near[rows] <= last + 1e-5).mean()
        assert recall >= RECALL
        assert metrics == {"k": 7, "recall": pytest.approx(recall, abs=0.02)}
        assert (found != np.arange(len(values))[:, None]).all()
        assert backend.neighbours(Points(values), **asked)[0].equals(table)

    def test_equal_points_are_nearest_and_crowd_no_others_out(self, backend: Backend) -> None:
        """More equal points than neighbours, few, and pairs: each finds its own before any other."""
        has(backend, "neighbours", "approximate")
        draw = np.random.default_rng(10)
        size = np.concatenate([[900, 40, 3], np.repeat([2, 1], 1_500)])
        group = draw.permutation(np.repeat(np.arange(len(size)), size))
        points = Points(draw.normal(size=(len(size), 12))[group])
        table, metrics = backend.neighbours(points, k=5, method="approximate")
        found = table["neighbour"].to_numpy().reshape(-1, 5)
        equal = table["distance"].to_numpy().reshape(-1, 5) <= 1e-6
        assert (equal.sum(1) == np.minimum(size[group] - 1, 5)).all()
        assert (equal == (group[found] == group[:, None])).all()
        assert (np.diff(np.sort(found, axis=1), axis=1) > 0).all()
        assert (found != np.arange(len(found))[:, None]).all()
        assert metrics["recall"] >= RECALL

    def test_lists_that_are_shorter_than_k_are_gone_beyond(self, backend: Backend) -> None:
        """Where the nearest lists hold fewer points than are asked for, each has as many nevertheless."""
        has(backend, "neighbours", "approximate")
        draw = np.random.default_rng(11)
        crowd, few = draw.normal(size=(5_000, 8)), 50 * np.eye(8)[np.arange(60) % 8]
        points = Points(np.vstack([0.01 * crowd, few + 0.1 * draw.normal(size=few.shape)]))
        table, metrics = backend.neighbours(points, k=100, metric="euclidean", method="approximate")
        found = table["neighbour"].to_numpy().reshape(-1, 100)
        assert all(len(set(row)) == 100 for row in found[-60:].tolist())
        assert np.isfinite(table["distance"].to_numpy()).all()
        assert metrics["k"] == 100

    def test_few_points_are_compared_exactly(self, backend: Backend) -> None:
        """Of few points, and of many that are few places, the approximate answer is the exact one."""
        has(backend, "neighbours", "approximate")
        draw = np.random.default_rng(12)
        places = draw.normal(size=(30, 4))
        for values in (places, places[draw.integers(30, size=3_000)]):
            near = [
                backend.neighbours(Points(values), k=6, method=method)[0]["distance"].to_numpy()
                for method in ("exact", "approximate")
            ]
            np.testing.assert_allclose(near[0], near[1], atol=1e-6)

    def test_neighbours_are_asked_for_properly(self, backend: Backend) -> None:
        """What is out of range is said."""
        has(backend, "neighbours")
        points = Points(np.eye(3))
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"k": 0}, "k is 0, must be at least 1"),
            ({"seed": -1}, "seed is -1, must be at least 0"),
            ({"method": "fast"}, "method is 'fast', must be one of exact, approximate"),
            ({"metric": "taxi"}, "metric is 'taxi', must be one of cosine, euclidean"),
        ]
        for options, message in wrong:
            with pytest.raises(UsageError, match=message):
                backend.neighbours(points, **options)
        with pytest.raises(UsageError, match="the origin has no direction"):
            backend.neighbours(Points(np.zeros((3, 2))), method="approximate")

    def test_few_points_have_all_others_as_neighbours(self, backend: Backend) -> None:
        """Fewer points than asked for are no error."""
        has(backend, "neighbours")
        three = backend.neighbours(Points(np.eye(3)), k=9)
        found = three[0]["neighbour"].to_numpy().reshape(3, 2)
        assert np.sort(found, axis=1).tolist() == [[1, 2], [0, 2], [0, 1]]
        assert three[1] == {"k": 2, "recall": 1}
        assert backend.neighbours(Points(np.ones((1, 2))), k=9)[0].num_rows == 0

    @compares(
        "umap", "quality", "trustworthiness of at least 0.9 on planted groups, whose neighbours stay together"
    )
    def test_a_plane_keeps_neighbours(self, backend: Backend) -> None:
        """Rows stand in their order, planted groups do not mix, and scikit-learn finds the same figure."""
        from sklearn.manifold import trustworthiness

        has(backend, "umap")
        points, group = blobs(seed=2)
        table, metrics = backend.umap(points, seed=1)
        plane = np.stack([table[f"component_{place}"].to_numpy() for place in range(2)], axis=1)
        assert table["row"].to_pylist() == list(range(len(points)))
        assert metrics["trustworthiness"] >= TRUST
        expected = trustworthiness(points.values, plane, n_neighbors=15)
        assert metrics["trustworthiness"] == pytest.approx(expected, abs=1e-3)
        near = _nearest(plane, 5)
        assert (group[near] == group[:, None]).mean() >= AGREEMENT

    def test_a_plane_repeats_by_seed(self, backend: Backend) -> None:
        """The same points and seed give the same table."""
        has(backend, "umap")
        points = Points(np.random.default_rng(6).normal(size=(60, 4)))
        first, second = (backend.umap(points, seed=5)[0] for _ in range(2))
        assert first.equals(second)

    def test_few_points_stay_where_principal_components_put_them(self, backend: Backend) -> None:
        """Too few points to have neighbourhoods, and equal ones, are no error."""
        has(backend, "umap")
        for values in (np.eye(3), np.ones((40, 2)), np.empty((0, 2))):
            table, metrics = backend.umap(Points(values))
            assert table.equals(backend.pca(Points(values))[0])
            assert metrics == {"trustworthiness": 1}


def _nearest(plane: NDArray[np.float64], k: int) -> NDArray[Any]:
    """Return the rows of each point's nearest others, by numpy."""
    apart = np.square(plane[:, None] - plane[None]).sum(2)
    np.fill_diagonal(apart, np.inf)
    found: NDArray[Any] = apart.argsort(1)[:, :k]
    return found
