"""Single events whose fields hardly ever stand together: the anomalies that no actor explains."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.analysis.tails import normal_score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.storage import Snapshot

__all__ = ["rare_events"]

_MOST_VALUES = 50  # a field with more is no category
_MOST_NULLS = 0.5
_MOST_FIELDS = 12
_FEW = 3  # so many events at most are a rare combination

_SCHEMA = {
    "address": pl.String(),
    "event_type": pl.String(),
    "time": pl.Datetime("us", "UTC"),
    "fields": pl.List(pl.Struct({"name": pl.String(), "value": pl.String()})),
    "seen": pl.Int64(),
    "expected": pl.Float64(),
    "z": pl.Float64(),
}


def rare_events(snapshot: Snapshot, segments: Sequence[str], n: int) -> pl.DataFrame:
    """Return the ``n`` events whose two values of two fields stand together most surprisingly rarely.

    Looked at are fields with at most 50 values that most events of a type have, by pairs. Expected is what
    the two values' own frequencies suggest; ``z`` is how far below it the number of events lies, after so
    many pairs were looked at. An event stands once, with its rarest pair.

    Args:
        snapshot: The generation.
        segments: The days to look at.
        n: At most so many events.
    """
    found = [
        part
        for name in sorted({entry.name for entry in snapshot.files("events", segments=segments)})
        for part in _of_type(snapshot, segments, name)
    ]
    if not found:
        return pl.DataFrame(schema=_SCHEMA)
    pairs = sum(len(part) for part in found)
    every = pl.concat(found)
    # Poisson: no more than so many where so many are expected, times the pairs that were looked at
    chance = np.array([_at_most(s, e) for s, e in every.select("seen", "expected").iter_rows()])
    z = normal_score(np.minimum(chance * pairs, 1.0))
    return (
        every.with_columns(pl.Series("z", z))
        .filter(pl.col("z") > 0)
        .sort("z", "address", descending=[True, False])
        .unique("address", keep="first", maintain_order=True)
        .head(n)
        .select(list(_SCHEMA))
        .cast(pl.Schema(_SCHEMA))
    )


def _at_most(seen: int, expected: float) -> float:
    from scipy.special import pdtr  # noqa: PLC0415  (loaded when it is asked for)

    return float(pdtr(seen, expected))


def _of_type(snapshot: Snapshot, segments: Sequence[str], name: str) -> list[pl.DataFrame]:
    """Return, for each pair of fields, the events of combinations that are seen at most three times."""
    entries = [e for e in snapshot.files("events", segments=segments, name=name) if e.rows]
    fields = _categories(snapshot, segments, name)
    if len(fields) < 2 or not entries:
        return []
    frames = []
    for entry, path in zip(entries, snapshot.paths(entries), strict=True):
        schema = pl.read_parquet_schema(path)
        columns = [f for f in fields if f in schema]
        texts = [pl.col(f).cast(pl.String) for f in columns]
        frames.append(
            pl.scan_parquet(path, hive_partitioning=False)
            .select("_id", "_ts", *texts, pl.lit(entry.segment).alias("day"))
            .collect()
        )
    events = pl.concat(frames, how="diagonal")
    known = [f for f in fields if f in events.columns]
    return [part for a, b in combinations(known, 2) if (part := _pair(events, name, a, b)).height]


def _pair(events: pl.DataFrame, name: str, first: str, second: str) -> pl.DataFrame:
    both = events.drop_nulls([first, second])
    share = pl.len().over(first).cast(pl.Float64) * pl.len().over(second) / both.height
    value = [pl.struct(pl.lit(f).alias("name"), pl.col(f).alias("value")) for f in (first, second)]
    return (
        both.with_columns(pl.len().over(first, second).cast(pl.Int64).alias("seen"), share.alias("expected"))
        .filter((pl.col("seen") <= _FEW) & (pl.col("expected") > pl.col("seen")))
        .select(
            pl.concat_str("day", pl.lit("/"), pl.col("_id").cast(pl.String)).alias("address"),
            pl.lit(name).alias("event_type"),
            pl.col("_ts").alias("time"),
            pl.concat_list(value).alias("fields"),
            "seen",
            "expected",
        )
    )


def _categories(snapshot: Snapshot, segments: Sequence[str], name: str) -> list[str]:
    """Return the fields of a type with few values that most events have, fewest values first.

    A profile keeps the hashes of up to 1,024 values: with fewer their number is exact.
    """
    entries = [e for e in snapshot.files("profiles", segments=segments) if e.rows]
    if not entries:
        return []
    columns = ["type", "field", "rows", "nulls", "hashes"]
    profiles = pl.read_parquet(snapshot.paths(entries), columns=columns, hive_partitioning=False)
    found = (
        profiles.filter(pl.col("type").cast(pl.String) == name)
        .group_by(pl.col("field").cast(pl.String))
        .agg(
            pl.col("rows").sum(), pl.col("nulls").sum(), pl.col("hashes").explode().n_unique().alias("values")
        )
        .filter(
            pl.col("values").is_between(2, _MOST_VALUES),
            pl.col("nulls") <= _MOST_NULLS * pl.col("rows"),
            ~pl.col("field").str.starts_with("_"),
        )
        .sort("values", "field")
    )
    return found["field"].head(_MOST_FIELDS).to_list()
