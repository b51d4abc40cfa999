"""What sets groups of actors apart: figures, and a label made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.analysis.features import Feature, FeatureMatrix

__all__ = ["cluster_labels", "cluster_profile"]

# Below this many standard deviations from the mean of all, a feature does not set a cluster apart.
_DISTINGUISHING = 0.4
_STRONG = 1.5
# Of features about as telling, the first in the matrix is named: counts are easiest to understand.
_EQUAL = 0.25
# Of two features that go together like this, one says it all.
_SAME = 0.8
_NAMED = 2
_PROFILE = {
    "cluster": pl.Int32(),
    "size": pl.Int64(),
    "feature": pl.String(),
    "mean": pl.Float64(),
    "population_mean": pl.Float64(),
    "z": pl.Float64(),
}


def cluster_profile(matrix: FeatureMatrix, clusters: NDArray[Any]) -> pl.DataFrame:
    """Return ``cluster``, ``size``, ``feature``, ``mean``, ``population_mean`` and ``z``, most telling first.

    Means are in the feature's own unit; ``z`` is how many standard deviations of all actors the
    cluster's mean lies from theirs, on the standardised scale.

    Args:
        matrix: The features.
        clusters: The cluster of each actor, in the matrix's order.
    """
    if not len(clusters):
        return pl.DataFrame(schema=_PROFILE)
    numbers, clusters = np.unique(clusters, return_inverse=True)
    size = np.bincount(clusters)
    z = _deviations(matrix, clusters)
    known = np.isfinite(matrix.values)
    values = np.where(known, matrix.values, 0.0)
    rows = []
    for cluster in range(len(size)):
        inside = clusters == cluster
        counted = known[inside].sum(0)
        means = np.divide(
            values[inside].sum(0), counted, out=np.full(len(matrix.features), np.nan), where=counted > 0
        )
        rows.append(
            pl.DataFrame(
                {
                    "feature": matrix.names,
                    "mean": means,
                    "population_mean": values.sum(0) / np.maximum(known.sum(0), 1),
                    "z": z[cluster],
                }
            ).select(
                pl.lit(int(numbers[cluster]), pl.Int32).alias("cluster"),
                pl.lit(int(size[cluster]), pl.Int64).alias("size"),
                pl.all(),
            )
        )
    frame = pl.concat(rows).with_columns(pl.col("mean").fill_nan(None))
    return frame.sort("cluster", pl.col("z").abs(), "feature", descending=[False, True, False])


def cluster_labels(matrix: FeatureMatrix, clusters: NDArray[Any]) -> dict[int, str]:
    """Return a label for each cluster, made of the features that set it apart most; each label once.

    A feature that goes with one that is named already (correlation over 0.8) is passed over.
    """
    if not len(clusters):
        return {}
    z = _deviations(matrix, clusters)
    alike = _correlations(matrix.standardised)
    labels: dict[int, str] = {}
    for cluster, row in enumerate(z):
        order = sorted(range(len(row)), key=lambda i: (-round(abs(row[i]) / _EQUAL), i))
        chosen: list[int] = []
        for i in order:
            if abs(row[i]) < _DISTINGUISHING:
                break
            if all(alike[i, other] < _SAME for other in chosen):
                chosen.append(i)
        words = [_words(matrix.features[i], float(row[i])) for i in chosen]
        count = min(_NAMED, len(words))
        while count < len(words) and "; ".join(words[:count]) in labels.values():
            count += 1
        label = "; ".join(words[:count]) or "typical in everything"
        labels[cluster] = label if label not in labels.values() else f"{label} ({cluster})"
    return labels


def _deviations(matrix: FeatureMatrix, clusters: NDArray[Any]) -> NDArray[np.float64]:
    values = matrix.standardised
    spread = values.std(0)
    total = len(np.bincount(clusters))
    means = np.stack([values[clusters == c].mean(0) for c in range(total)])
    found: NDArray[np.float64] = np.divide(
        means - values.mean(0), spread, out=np.zeros_like(means), where=spread > 0
    )
    return found


def _correlations(values: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = values - values.mean(0)
    length = np.sqrt(np.square(centred).sum(0))
    unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
    found: NDArray[np.float64] = np.abs(unit.T @ unit)
    return found


def _words(feature: Feature, z: float) -> str:
    high = z > 0
    very = "very " if abs(z) >= _STRONG else ""
    match feature.kind:
        case "count" | "distinct" | "visits":
            return f"{very}{'many' if high else 'few'} {feature.text}"
        case "gap":
            return f"{very}{'long' if high else 'short'} gaps between visits"
        case "entropy":
            return f"{very}{'spread over the day' if high else 'bound to few hours'}"
        case "one-hot":
            return f"{'mostly' if high else 'rarely'} {feature.text}"
        case _:
            return f"{very}{'high' if high else 'low'} {feature.text}"
