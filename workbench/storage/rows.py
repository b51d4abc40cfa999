"""Rows of a file by their identifier: which they are is remembered, so that others' files are not opened."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["RowFinder", "Rows"]

_FILES = 1 << 12
_GROUPS = 1 << 9  # whose keys are kept: 128 MB where row groups are full, a month at full width
_ID = 0  # the place of column _id, with which a file begins
# An identifier is a time within a day and some bits of content: its first 32 bits tell most apart.
_SHIFT = 31


class Rows(NamedTuple):
    """Some rows of a row group.

    Attributes:
        group: Which one.
        start: The row of the file with which it begins.
        rows: The rows, counted from there.
    """

    group: int
    start: int
    rows: NDArray[np.intp]


class RowFinder:
    """Tells which rows of files may have some identifiers; files are immutable, so that it remembers.

    Args:
        footer: Returns the footer of the file at a path.
    """

    def __init__(self, footer: Callable[[Path], pq.FileMetaData]) -> None:
        self._bounds = lru_cache(_FILES)(partial(_bounds, footer))
        self._keys = lru_cache(_GROUPS)(partial(_keys, footer))

    def find(self, path: Path, identifiers: NDArray[np.int64]) -> Iterator[Rows]:
        """Yield the rows of a file, by row group, that have one of some identifiers, and few others.

        Args:
            path: A file with column ``_id`` as its first, whose bytes have been checked.
            identifiers: What is looked for.
        """
        for group, (least, most, start) in enumerate(self._bounds(path)):
            near = identifiers[(identifiers >= least) & (identifiers <= most)]
            if not len(near):
                continue
            keys, wanted = self._keys(path, group), _key(near)
            # a comparison with one takes a tenth of a search
            found = keys == wanted[0] if len(wanted) == 1 else np.isin(keys, wanted)
            rows = np.flatnonzero(found)
            if len(rows):
                yield Rows(group, start, rows)


def _key(identifiers: NDArray[np.int64]) -> NDArray[np.uint32]:
    return (identifiers >> _SHIFT).astype(np.uint32)


def _bounds(footer: Callable[[Path], pq.FileMetaData], path: Path) -> list[tuple[int, int, int]]:
    """Return the least and the greatest identifier of each row group, and the row that it begins with."""
    found, start, whole = [], 0, footer(path)
    for number in range(whole.num_row_groups):
        group = whole.row_group(number)
        held = group.column(_ID).statistics
        found.append((held.min, held.max, start))
        start += group.num_rows
    return found


def _keys(footer: Callable[[Path], pq.FileMetaData], path: Path, group: int) -> NDArray[np.uint32]:
    # one column of one group: reading ahead in threads costs more than it brings
    with pq.ParquetFile(
        path, metadata=footer(path), pre_buffer=False, page_checksum_verification=True
    ) as file:
        table = file.read_row_group(group, columns=["_id"], use_threads=False)
    return _key(table["_id"].to_numpy())
