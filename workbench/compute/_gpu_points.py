"""Points on the GPU, by cuML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compute._gpu_device import on_device
from workbench.compute._point_kernels import PointKernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["GpuPoints"]

_STARTS = 4
_FOREST_POINTS = 256


class GpuPoints(PointKernels):
    """k-means, principal components, UMAP, densities, isolation and neighbours of cuML."""

    def solve_kmeans(
        self, points: NDArray[np.float64], *, k: int, seed: int
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return the clusters of Lloyd's iteration from scalable k-means++ starts, the best of several."""
        from cuml.cluster import KMeans

        with on_device():
            fitted: KMeans = KMeans(n_clusters=k, n_init=_STARTS, random_state=seed, output_type="numpy")
            fitted.fit(points)
            return np.asarray(fitted.labels_), np.asarray(fitted.cluster_centers_, np.float64)

    def solve_pca(self, points: NDArray[np.float64], *, components: int) -> NDArray[np.float64]:
        """Return the directions of a full decomposition."""
        from cuml.decomposition import PCA

        with on_device():
            fitted: PCA = PCA(n_components=components, svd_solver="full", output_type="numpy")
            fitted.fit(points)
            return np.asarray(fitted.components_, np.float64)

    def solve_umap(
        self, points: NDArray[np.float64], *, components: int, neighbours: int, distance: float, seed: int
    ) -> NDArray[Any]:
        """Return cuML's places; its graph of neighbours is exact, which a seed needs to decide them."""
        from cuml.manifold import UMAP

        with on_device():
            fitted: UMAP = UMAP(
                n_neighbors=neighbours,
                n_components=components,
                min_dist=distance,
                random_state=seed,
                build_algo="brute_force_knn",
                output_type="numpy",
            )
            return np.asarray(fitted.fit_transform(points.astype(np.float32)))

    def solve_isolation(self, points: NDArray[np.float64], *, trees: int, seed: int) -> NDArray[np.float64]:
        """Return the scores of cuML's forest, of as many points a tree as the reference takes."""
        from cuml.ensemble import IsolationForest

        drawn = min(_FOREST_POINTS, len(points))
        with on_device():
            forest: IsolationForest = IsolationForest(
                n_estimators=trees, max_samples=drawn, random_state=seed, output_type="numpy"
            )
            forest.fit(points)
            return -np.asarray(forest.score_samples(points), np.float64)

    def solve_dbscan(
        self, points: NDArray[np.float64], weight: NDArray[np.float64], *, eps: float, min_points: int
    ) -> NDArray[Any]:
        """Return the clusters among unit vectors, whose squared distance is twice the cosine distance."""
        from cuml.cluster import DBSCAN

        unit = points / np.linalg.norm(points, axis=1, keepdims=True)
        with on_device():
            found: DBSCAN = DBSCAN(eps=float(np.sqrt(2 * eps)), min_samples=min_points, output_type="numpy")
            return np.asarray(found.fit_predict(unit, sample_weight=weight))

    def solve_hdbscan(
        self, points: NDArray[np.float64], *, min_cluster: int, min_points: int
    ) -> NDArray[Any]:
        """Return the clusters of cuML, which computes in single precision."""
        from cuml.cluster import HDBSCAN

        with on_device():
            found: HDBSCAN = HDBSCAN(
                min_cluster_size=min_cluster, min_samples=min_points, output_type="numpy"
            )
            return np.asarray(found.fit_predict(points.astype(np.float32)))

    def solve_neighbours(
        self, points: NDArray[np.float64], *, k: int
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return the nearest points by brute force, with the second pass that mends rounding."""
        from cuml.neighbors import NearestNeighbors

        with on_device():
            index: NearestNeighbors = NearestNeighbors(n_neighbors=k, algorithm="brute", output_type="numpy")
            single = points.astype(np.float32)
            index.fit(single)
            distance, found = index.kneighbors(single, two_pass_precision=True)
        return np.asarray(found), np.asarray(distance, np.float64)
