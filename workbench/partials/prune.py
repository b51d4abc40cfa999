"""What need not be read: files and row groups whose bounds say that nothing in them fulfils a condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow.parquet as pq

    from workbench.storage import FileEntry

__all__ = ["bounds_of", "columns_of", "file_bounds", "possible"]


def possible(condition: pc.Expression, schema: pa.Schema, bounds: Sequence[pc.Expression]) -> list[int]:
    """Return which of some sets of rows may fulfil a condition.

    Args:
        condition: What is asked for.
        schema: The columns.
        bounds: What is true of all rows of each set.

    >>> n = pc.field("n")
    >>> possible(n == 3, pa.schema([("n", pa.int64())]), [n <= 2, n > 2])
    [1]
    """
    from pyarrow import dataset, fs  # noqa: PLC0415  (loads pandas where that is installed)

    # Arrow has the logic, for files of a data set whose directories say what is in them; none is opened
    kind, nowhere = dataset.ParquetFileFormat(), fs.LocalFileSystem()
    pieces = [
        kind.make_fragment(str(place), filesystem=nowhere, partition_expression=bound)
        for place, bound in enumerate(bounds)
    ]
    whole = dataset.FileSystemDataset(pieces, schema, kind, filesystem=nowhere)
    return sorted(int(piece.path) for piece in whole.get_fragments(filter=condition))


def columns_of(condition: pc.Expression, schema: pa.Schema) -> set[str]:
    """Return the columns that a condition looks at.

    >>> schema = pa.schema(dict.fromkeys("abc", pa.int64()))
    >>> sorted(columns_of((pc.field("a") > 1) | pc.field("b").is_null(), schema))
    ['a', 'b']
    """

    def among(names: list[str]) -> set[str]:
        # an expression does not say it, but it cannot be bound without them
        rest = pa.schema([field for field in schema if field.name not in set(names)])
        if _binds(condition, rest):
            return set()
        half = len(names) // 2
        return set(names) if not half else among(names[:half]) | among(names[half:])

    return among(schema.names)


def _binds(condition: pc.Expression, schema: pa.Schema) -> bool:
    from pyarrow import dataset  # noqa: PLC0415

    try:
        dataset.Scanner.from_batches(iter(()), schema=schema, filter=condition)
    except pa.ArrowInvalid:
        return False
    return True


def file_bounds(entry: FileEntry, time: pa.DataType) -> pc.Expression:
    """Return what the manifest says of all documents of a file."""
    bounds = (pc.field("_segment") == entry.segment) & (pc.field("_type") == entry.name)
    if entry.min_ts is not None and entry.max_ts is not None:
        low, high = (pa.scalar(moment, time) for moment in (entry.min_ts, entry.max_ts))
        bounds = bounds & (pc.field("_ts") >= low) & (pc.field("_ts") <= high)
    return bounds


def bounds_of(group: pq.RowGroupMetaData, kinds: Mapping[str, pa.DataType]) -> pc.Expression:
    """Return what the statistics of a row group say of some columns.

    Args:
        group: The row group.
        kinds: The columns with their types, which are stored so.
    """
    places = {group.column(place).path_in_schema: place for place in range(group.num_columns)}
    bounds = pc.scalar(value=True)
    for name, kind in kinds.items():
        held = group.column(places[name]).statistics
        # statistics leave NaN out, which fulfils conditions that no number fulfils
        if held is None or pa.types.is_floating(kind):
            continue
        field = pc.field(name)
        if held.has_min_max:
            within = (field >= pa.scalar(held.min, kind)) & (field <= pa.scalar(held.max, kind))
            bounds = bounds & (within | field.is_null() if held.null_count else within)
        elif held.null_count == group.num_rows:
            bounds = bounds & field.is_null()
    return bounds
