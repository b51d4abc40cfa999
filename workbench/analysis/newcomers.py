"""Entities that had not been seen lately: how many a day, by type, from hashes of those seen each day."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.analysis.metrics import DISTINCT, NEW

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.analysis.series import SeriesSet

__all__ = ["hashed", "new_series", "newcomers"]


def hashed(seen: pl.DataFrame) -> pl.DataFrame:
    """Return ``type``, ``day`` and ``hashes`` of the keys, sorted, from a row an entity and day."""
    keys = seen.select("type", "day", pl.col("key").hash(seed=0).alias("hashes"))
    return keys.group_by("type", "day").agg(pl.col("hashes").sort()).sort("type", "day")


def newcomers(hashes: pl.DataFrame, lookback: int) -> pl.DataFrame:
    """Return ``type``, ``day`` and ``entities``, how many of a day were not seen on the days before.

    Days are those on which any entity of the type was seen: a weekend without one, or a gap, is passed over.

    Args:
        hashes: As :func:`hashed` returns them; of a day in any number of rows.
        lookback: How many days before.

    >>> seen = pl.DataFrame({"type": "a", "day": [1, 2, 2, 6, 7], "key": ["x", "x", "y", "x", "y"]})
    >>> newcomers(hashed(seen), 2).rows()
    [('a', 1, 1), ('a', 2, 1), ('a', 6, 0), ('a', 7, 0)]
    >>> newcomers(hashed(seen), 1).rows()[-1]
    ('a', 7, 1)
    """
    found = [pl.DataFrame(schema={"type": pl.String, "day": pl.Int64, "entities": pl.Int64})]
    for (type_,), rows in hashes.group_by("type", maintain_order=True):
        days, place = np.unique(rows["day"].cast(pl.Int64).to_numpy(), return_inverse=True)
        counts = _new(rows["hashes"], place, len(days), lookback)
        found.append(pl.DataFrame({"type": [type_] * len(days), "day": days, "entities": counts}))
    return pl.concat(found)


def _new(hashes: pl.Series, place: NDArray[np.int64], days: int, lookback: int) -> NDArray[np.int64]:
    """Return how many are new on each day.

    The number of the day takes the place of a hash's lowest bits, so that one sort puts all days of an
    entity together, in their order.
    """
    bits = np.uint64(days.bit_length())
    low = (np.uint64(1) << bits) - np.uint64(1)
    parts = zip(hashes, place.astype(np.uint64), strict=True)
    met = np.concatenate([(part.to_numpy() & ~low) | day for part, day in parts])
    met.sort()
    day = (met & low).astype(np.int64)
    new = np.ones(len(met), np.bool_)
    new[1:] = ((met[1:] ^ met[:-1]) > low) | (np.diff(day) > lookback)
    return np.bincount(day[new], minlength=days)


def new_series(found: pl.DataFrame, distinct: SeriesSet, lookback: int) -> SeriesSet:
    """Return the series of new entities beside those of distinct ones.

    Where nothing is known of as many days before, the number is not known: not zero, and not all of them.

    Args:
        found: As :func:`newcomers` returns it.
        distinct: The distinct entities of each type by day, zero where none was seen.
        lookback: How many days before an entity must not have been seen on.
    """
    counts = np.zeros_like(distinct.counts)
    names = distinct.names.with_columns(pl.col("metric").str.replace(f"^{DISTINCT}", NEW))
    metrics = found.select((pl.lit(NEW) + pl.col("type")).alias("metric"), "day", "entities")
    axis = pl.DataFrame({"day": distinct.buckets.day}).with_row_index("column")
    placed = metrics.join(names.with_row_index("row"), on="metric").join(axis, on="day")
    counts[placed["row"].to_numpy(), placed["column"].to_numpy()] = placed["entities"].to_numpy()
    known = np.isfinite(distinct.counts) & (np.cumsum(distinct.counts > 0, axis=1) > lookback)
    return replace(distinct, names=names, counts=np.where(known, counts, np.nan))
