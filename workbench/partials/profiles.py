"""Field profiles: what the catalog says of a field, mergeable over segments without a scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.partials.coded import is_coded
from workbench.partials.names import RESERVED
from workbench.partials.shapes import PROFILES
from workbench.partials.types import canonical_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from workbench.partials.types import FieldType

__all__ = ["SKETCH", "TOP", "FieldProfile", "merge_profiles", "profiles"]

SKETCH = 1024
TOP = 64
_RANGE = 2.0**64


def profiles(documents: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the partial ``profiles`` of all segments in ``documents``: one row a field and event type.

    The number of distinct values is kept as the :data:`SKETCH` smallest hashes of the values
    (k-minimum-values; Bar-Yossef et al. 2002), exact below that many; the :data:`TOP` most frequent
    values are kept with their counts.
    """
    rows = []
    for name in sorted(documents):
        frame = documents[name]
        segment = pl.col("_segment").cast(pl.String).alias("segment")
        sizes = frame.group_by(segment).agg(pl.len().cast(pl.Int64).alias("rows"))
        named = [c for c in frame.columns if c not in RESERVED and c not in ("_hash", "_ts_text")]
        rows += [_profile(frame, c).join(sizes, on="segment").with_columns(type=pl.lit(name)) for c in named]
    if not rows:
        return pl.DataFrame(PROFILES.empty_table()).with_columns(segment=pl.lit(""))
    columns = ["segment", "type", "field", "rows", "nulls", "minimum", "maximum", "hashes", "top"]
    table = pl.concat(rows).with_columns((pl.col("rows") - pl.col("present")).alias("nulls"))
    return table.select(columns).sort("segment", "type", "field")


def _profile(frame: pl.DataFrame, field: str) -> pl.DataFrame:
    """Return one row a segment in which the field has values."""
    values = (
        _distinct(frame, field)
        .lazy()
        .filter(pl.col("v").is_not_null() | pl.col("text").is_not_null())
        .group_by("segment", "text")
        .agg(pl.col("events").sum(), pl.col("v").min().alias("low"), pl.col("v").max().alias("high"))
        .sort("segment", "events", "text", descending=[False, True, False])
    )
    kind = pl.String() if is_coded(frame[field]) else frame[field].dtype
    low, high = (canonical_text(pl.col(c), kind) for c in ("minimum", "maximum"))
    return (
        values.group_by("segment", maintain_order=True)
        .agg(
            pl.col("events").sum().alias("present"),
            pl.col("low").min().alias("minimum"),
            pl.col("high").max().alias("maximum"),
            pl.col("text").hash(seed=0).sort().head(SKETCH).alias("hashes"),
            pl.struct(pl.col("text").alias("value"), "events").head(TOP).alias("top"),
        )
        .with_columns(low.alias("minimum"), high.alias("maximum"), pl.lit(field).alias("field"))
        .collect()
    )


def _distinct(frame: pl.DataFrame, field: str) -> pl.DataFrame:
    """Return ``segment``, value ``v`` and its ``text``, once for all events alike, with their number."""
    original = frame["_original"].dtype if "_original" in frame.columns else None
    named = isinstance(original, pl.Struct) and field in {f.name for f in original.fields}
    kept = pl.col("_original").struct.field(field) if named else pl.lit(None, pl.String)
    alike = (
        frame.select(pl.col("_segment").alias("segment"), pl.col(field).alias("v"), kept.alias("kept"))
        .group_by("segment", "v", *(["kept"] if named else []))
        .agg(pl.len().cast(pl.Int64).alias("events"))
    )
    text = canonical_text(pl.col("v"), frame[field].dtype)
    if named:
        text = pl.coalesce("kept", text)
    value = pl.col("v").cast(pl.String) if is_coded(frame[field]) else pl.col("v")
    return alike.select(pl.col("segment").cast(pl.String), value, text.alias("text"), "events")


@dataclass(frozen=True)
class FieldProfile:
    """A field over a window.

    Attributes:
        rows: Documents of the event type.
        nulls: Documents without a value.
        distinct: Number of distinct values, an estimate above :data:`SKETCH` (standard error 3 %).
        exact: Whether ``distinct`` was counted.
        top_exact: Whether ``top`` counts every value; else its counts are lower bounds.
        minimum: Smallest value, as text.
        maximum: Largest value, as text.
        top: Most frequent values with their counts.
    """

    rows: int
    nulls: int
    distinct: int
    exact: bool
    top_exact: bool
    minimum: str | None
    maximum: str | None
    top: tuple[tuple[str, int], ...]


def merge_profiles(
    tables: list[pa.Table], fields: Mapping[str, Mapping[str, FieldType]], rows: Mapping[str, int]
) -> dict[tuple[str, str], FieldProfile]:
    """Merge the segments' profiles into one a field, by (event type, field).

    Args:
        tables: ``profiles`` partials.
        fields: The type of each field, by event type: how minima compare.
        rows: Documents of each event type in the window; a segment without the field counts as null.
    """
    if not tables:
        return {}
    frame = pl.concat([pl.DataFrame(t) for t in tables]).with_columns(pl.col("type", "field").cast(pl.String))
    by = ("type", "field")
    counted = frame.group_by(by).agg(
        (pl.col("rows") - pl.col("nulls")).sum().alias("present"),
        pl.col("minimum"),
        pl.col("maximum"),
        (pl.col("top").list.len() < TOP).all().alias("all_values"),
    )
    hashes = pl.col("hashes").explode().unique().sort().head(SKETCH)
    sketches = frame.group_by(by).agg(hashes.alias("hashes"))
    top = (
        frame.select(*by, "top")
        .explode("top")
        .unnest("top")
        .group_by(*by, "value")
        .agg(pl.col("events").sum())
        .sort(*by, "events", "value", descending=[False, False, True, False])
        .group_by(by, maintain_order=True)
        .agg(pl.struct("value", "events").head(TOP).alias("top"))
    )
    merged = counted.join(sketches, on=by).join(top, on=by).sort(by)
    return {
        (row["type"], row["field"]): _merged(
            row, fields.get(row["type"], {}).get(row["field"], "string"), rows
        )
        for row in merged.iter_rows(named=True)
    }


# how the texts of typed values compare; a time's fraction comes before what ends it
_ORDER: dict[str, Callable[[str], Any]] = {
    "int64": int,
    "float64": float,
    "timestamp": lambda text: text.removesuffix("Z"),
}


def _merged(row: dict[str, object], kind: FieldType, rows: Mapping[str, int]) -> FieldProfile:
    hashes: list[int] = row["hashes"]  # type: ignore[assignment]
    small = len(hashes) < SKETCH
    distinct = len(hashes) if small else round((SKETCH - 1) / (hashes[-1] / _RANGE))
    order = _ORDER.get(kind, str)
    ends: dict[str, list[str]] = {
        "minimum": [v for v in row["minimum"] if v is not None],  # type: ignore[attr-defined]
        "maximum": [v for v in row["maximum"] if v is not None],  # type: ignore[attr-defined]
    }
    total = rows.get(str(row["type"]), 0)
    top: list[dict[str, object]] = row["top"]  # type: ignore[assignment]
    return FieldProfile(
        total,
        total - int(row["present"]),  # type: ignore[call-overload]
        distinct,
        small,
        bool(row["all_values"]),
        min(ends["minimum"], key=order, default=None),
        max(ends["maximum"], key=order, default=None),
        tuple((str(t["value"]), int(t["events"])) for t in top),  # type: ignore[call-overload]
    )
