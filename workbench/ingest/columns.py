"""Records that have too many columns: those stay out, and the others come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["within"]


def within(
    table: pa.Table, most: int, known: Collection[str] = ()
) -> tuple[pa.Table, NDArray[np.int64], dict[int, str]]:
    """Return the records that have at most so many columns, alone and together.

    First those are left out that have more on their own. Where the others have more together, the columns
    that are known already go before those that are new, and these by how many records have them.

    Args:
        table: Records of whoever sent them.
        most: How many columns they may have.
        known: Columns that earlier records had.

    Returns:
        The records with the columns they have; their places in the table; the reason of each other's place.

    >>> import pyarrow as pa
    >>> table, places, reasons = within(pa.table({"a": [1, 2], "b": [3, None], "c": [4, None]}), 2)
    >>> table.column_names, places.tolist(), reasons
    (['a'], [1], {0: '3 columns, at most 2 are allowed.'})
    """
    if table.num_columns <= most:
        return table, np.arange(table.num_rows), {}
    own = np.zeros(table.num_rows, dtype=np.int64)
    for column in table.columns:
        own += _has(column)
    fits = own <= most
    reasons = {
        int(place): f"{own[place]:,} columns, at most {most:,} are allowed."
        for place in np.flatnonzero(~fits)
    }
    counts = [int(np.count_nonzero(_has(column) & fits)) for column in table.columns]
    used = [place for place, count in enumerate(counts) if count]
    names = table.column_names
    used.sort(key=lambda place: (names[place] not in known, -counts[place], place))
    for place in used[most:]:
        over = _has(table.column(place)) & fits
        fits &= ~over
        reason = f"the column {names[place]!r} is beyond the {most:,} that are allowed at a time."
        reasons |= dict.fromkeys(np.flatnonzero(over).tolist(), reason)
    return table.select(sorted(used[:most])).filter(fits), np.flatnonzero(fits), reasons


def _has(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(column.is_valid())
