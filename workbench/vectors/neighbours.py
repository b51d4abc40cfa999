"""The nearest others of many at once, for clusters and for edges between what is alike."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from workbench.vectors.window import Window

    Search = Callable[[NDArray[np.float32], int], tuple[NDArray[np.int64], NDArray[np.float32]]]

__all__ = ["edges", "measured", "neighbours"]

_QUERIES = 1024
_EQUAL = 1e-5


def neighbours(vectors: NDArray[np.float32], k: int, search: Search) -> pl.DataFrame:
    """Return ``row``, ``other``, ``place`` (from 1) and ``similarity``: the ``k`` nearest others of each row.

    A vector of zeros is like nothing and has no row.

    Args:
        vectors: All of them, rows of length 1 or 0.
        k: How many.
        search: Returns the nearest rows of some queries, and their cosines.
    """
    frames = [
        pl.DataFrame(schema=dict.fromkeys(("row", "other", "place"), pl.Int64) | {"similarity": pl.Float64})
    ]
    asked = np.flatnonzero(vectors.any(axis=1))
    for at in range(0, len(asked), _QUERIES):
        rows = asked[at : at + _QUERIES]
        found, scores = search(vectors[rows], k + 1)
        others = found != rows[:, None]
        # where many are equal a row may not find itself: then the last one is too many
        others &= np.cumsum(others, axis=1) <= k
        counts = others.sum(axis=1)
        frames.append(
            pl.DataFrame(
                {
                    "row": np.repeat(rows, counts),
                    "other": found[others],
                    "place": np.cumsum(others, axis=1)[others],
                    "similarity": scores[others].astype(np.float64),
                }
            )
        )
    return pl.concat(frames)


def edges(pairs: pl.DataFrame, names: pl.Series) -> pl.DataFrame:
    """Return pairs of rows as edges between what the rows stand for."""
    return pairs.select(
        pl.lit("SimilarTo").alias("edge"),
        names.gather(pairs["row"]).alias("source"),
        names.gather(pairs["other"]).alias("target"),
        "place",
        "similarity",
    )


def measured(window: Window, sample: int, k: int, seed: int) -> pl.DataFrame:
    """Return one row with the recall of a window's search for some of its texts, and the seconds it takes."""
    count = min(sample, len(window))
    numbers = np.sort(np.random.default_rng(seed).choice(len(window), count, replace=False))
    queries = window.vectors(numbers)
    begin = time.perf_counter()
    wanted = window.exactly(queries, k)
    between = time.perf_counter()
    found = window.search(queries, k, None)[1]
    end = time.perf_counter()
    reached = (found >= wanted[:, -1:] - _EQUAL).sum() / max(found.size, 1)
    return pl.DataFrame(
        {
            "index": [window.index_name],
            "vectors": [len(window)],
            "dimension": [window.dimension],
            "queries": [count],
            "k": [k],
            "recall": [float(reached) if found.size else None],
            "seconds": [end - between],
            "exact_seconds": [between - begin],
        },
        schema_overrides={"recall": pl.Float64()},
    )
