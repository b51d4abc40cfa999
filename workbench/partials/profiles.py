"""Field profiles: what the catalog says of a field, mergeable over segments without a scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.partials.coded import coded, is_coded, value_counts
from workbench.partials.documents import has_original
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
_NO_FIELDS = RESERVED | {"_hash", "_ts_text"}
_NOTHING = pl.DataFrame(schema={"segment": pl.String(), "text": pl.String(), "events": pl.Int64()})
_MANY = 1 << 12  # values of a field beyond which it pays not to sort all of them


def profiles(documents: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the partial ``profiles`` of all segments in ``documents``: one row a field and event type.

    The number of distinct values is kept as the :data:`SKETCH` smallest hashes of the values
    (k-minimum-values; Bar-Yossef et al. 2002), exact below that many; the :data:`TOP` most frequent
    values are kept with their counts.
    """
    rows = [
        _profiles_of(name, frame, fields)
        for name, frame in sorted(documents.items())
        if frame.height and (fields := [c for c in frame.columns if c not in _NO_FIELDS])
    ]
    if not rows:
        return pl.DataFrame(PROFILES.empty_table()).with_columns(segment=pl.lit(""))
    return pl.concat(rows).sort("segment", "type", "field")


def _profiles_of(name: str, frame: pl.DataFrame, fields: list[str]) -> pl.DataFrame:
    """Return one row a segment and field that has values there."""
    by = ("segment", "field")
    segments = coded(frame["_segment"])
    found = {field: _distinct(frame, field, segments) for field in fields}
    values = _stacked({field: values for field, (values, _) in found.items()})
    # the ends of texts are looked for in all fields at once
    texts = _stacked({f: values for f, (values, ends) in found.items() if ends is None} or {"": _NOTHING})
    low, high = pl.col("text").min(), pl.col("text").max()
    others = {f: ends for f, (_, ends) in found.items() if ends is not None}
    ends = pl.concat(
        [
            texts.group_by(by).agg(low.alias("minimum"), high.alias("maximum")),
            *([_stacked(others).select(*by, "minimum", "maximum")] if others else []),
        ]
    )
    counted = values.group_by(by).agg(
        pl.col("events").sum().alias("present"),
        pl.col("text").hash(seed=0).sort().head(SKETCH).alias("hashes"),
    )
    frequent = _stacked({field: _frequent(values) for field, (values, _) in found.items()})
    top = (
        frequent.sort(*by, "events", "text", descending=[False, False, True, False])
        .group_by(by)
        .agg(pl.struct(pl.col("text").alias("value"), "events").head(TOP).alias("top"))
    )
    sizes = segments.cast(pl.String).alias("segment").value_counts(name="rows").cast({"rows": pl.Int64})
    joined = counted.join(top, on=by).join(ends, on=by).join(sizes, on="segment")
    columns = ["segment", "type", "field", "rows", "nulls", "minimum", "maximum", "hashes", "top"]
    return joined.with_columns(
        pl.lit(name).alias("type"), (pl.col("rows") - pl.col("present")).alias("nulls")
    ).select(columns)


def _stacked(frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return a frame of each field as one, with ``field``."""
    rows = np.repeat(np.arange(len(frames)), [frame.height for frame in frames.values()])
    names = pl.Series("field", list(frames), dtype=pl.String).gather(rows)
    return pl.concat(list(frames.values())).with_columns(names)


def _distinct(
    frame: pl.DataFrame, field: str, segments: pl.Series
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Return the texts of a field with the number of their events, and its least and greatest value.

    Of text in one segment these are the least and greatest of what is returned first.
    """
    column = frame[field]
    one = len(segments.dtype.categories) == 1  # type: ignore[attr-defined]
    if one and is_coded(column) and not has_original(frame, field):
        found, counts = value_counts(column)
        segment = segments[:1].cast(pl.String).new_from_index(0, len(found))
        return pl.DataFrame({"segment": segment, "text": found, "events": counts}), None
    alike = _alike(frame, field, segments)
    kind = frame[field].dtype
    if isinstance(kind, pl.Enum):
        alike, kind = alike.cast({"v": pl.String}), pl.String()
    text = canonical_text(pl.col("v"), kind)
    named = "kept" in alike.columns
    texts = alike.select(
        pl.col("segment").cast(pl.String),
        "v",
        (pl.coalesce("kept", text) if named else text).alias("text"),
        "events",
    ).filter(pl.col("text").is_not_null())
    low, high = pl.col("v").min(), pl.col("v").max()
    ends = texts.group_by("segment").agg(
        canonical_text(low, kind).alias("minimum"), canonical_text(high, kind).alias("maximum")
    )
    values = texts.select("segment", "text", "events")
    # two values may have one text where a source's spelling was kept
    return values.group_by("segment", "text").agg(pl.col("events").sum()) if named else values, ends


def _alike(frame: pl.DataFrame, field: str, segments: pl.Series) -> pl.DataFrame:
    """Return each segment's values ``v`` of a field, with the source's spelling if some were kept."""
    column, one = frame[field].alias("v"), len(segments.dtype.categories) == 1  # type: ignore[attr-defined]
    named = has_original(frame, field)
    by = {"v": column} if one else {"segment": segments, "v": column}
    if named:
        by["kept"] = frame["_original"].struct.field(field)
    counted = pl.DataFrame(by).group_by(list(by)).agg(pl.len().cast(pl.Int64).alias("events"))
    return counted.with_columns(segment=pl.lit(segments[0])) if one else counted


def _frequent(values: pl.DataFrame) -> pl.DataFrame:
    """Return the values of which some may be among the :data:`TOP` most frequent of a segment."""
    if values.height <= _MANY or values["segment"].n_unique() > 1:
        return values
    last = values["events"].top_k(TOP).min()
    ties = values.filter(events=last)["text"]
    return values.filter(
        (pl.col("events") > last)
        | ((pl.col("events") == last) & (pl.col("text") <= ties.bottom_k(TOP).max()))
    )


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
