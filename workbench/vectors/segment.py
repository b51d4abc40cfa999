"""One segment's texts: who says them, their vectors, and the index over these; each read when asked for."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.errors import CorruptFileError, DriverUnavailableError, StorageError, UnknownNameError
from workbench.indexes import indexes
from workbench.logs import get_logger
from workbench.partials.documents import DAY_US, HASH_BITS
from workbench.vectors.files import hashes_of, mapped, said

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.indexes import Index
    from workbench.storage import Snapshot
    from workbench.vectors.files import Files

__all__ = ["Postings", "Segment"]

_FIRST_DAY = date(1970, 1, 1).toordinal()


class Postings:
    """The events of each row of a segment's texts.

    Attributes:
        ids: Identifiers, one row's after the other's, each row's in order of time.
        starts: Where each row's begin.
        ends: Where they end.
        midnight: When the segment's day begins, in microseconds since 1970.
    """

    def __init__(
        self, ids: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64], midnight: int
    ) -> None:
        self.ids, self.starts, self.ends, self.midnight = ids, starts, ends, midnight

    @property
    def times(self) -> NDArray[np.int64]:
        """Return when each event was, in microseconds since 1970."""
        return self.times_of(self.ids)

    def times_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return when the events of some identifiers were."""
        return self.midnight + (ids >> HASH_BITS)

    def any_of(self, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which rows have an event that is kept."""
        return self.count_of(kept) > 0

    def count_of(self, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return how many events of each row are kept."""
        before = np.concatenate([[0], np.cumsum(kept)])
        return np.asarray(before[self.ends] - before[self.starts])

    def rows(self) -> NDArray[np.int64]:
        """Return the row of each event; -1 for those of test accounts."""
        found = np.full(len(self.ids) + 1, -1, np.int64)
        lengths = self.ends - self.starts
        places = np.repeat(self.starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
        found[places] = np.repeat(np.arange(len(lengths)), lengths)
        return found[:-1]


class Segment:
    """The texts of one segment but those of test accounts.

    Args:
        snapshot: The generation.
        files: What there is.
    """

    def __init__(self, snapshot: Snapshot, files: Files) -> None:
        self._snapshot = snapshot
        self.files = files
        self.name = files.segment

    @cached_property
    def _read(self) -> tuple[NDArray[np.int64], pl.DataFrame, NDArray[np.bytes_]]:
        """Return row numbers in the file, the rows, and the hash of each row's text."""
        table = self._snapshot.read(self.files.texts, columns=["event_type", "text", "is_test"])
        frame = pl.DataFrame(table).with_row_index("row").filter(~pl.col("is_test"))
        rows = frame.select(pl.col("event_type").cast(pl.String), "text")
        return frame["row"].to_numpy().astype(np.int64), rows, hashes_of(rows["text"].to_list())

    @cached_property
    def rows(self) -> pl.DataFrame:
        """Return ``event_type`` and ``text``, each pair once."""
        return self._read[1]

    @cached_property
    def hashes(self) -> NDArray[np.bytes_]:
        """Return the hash of each text, once, sorted: the order of the vectors."""
        return np.unique(self._read[2])

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """Return the place of each row's text among :attr:`hashes`."""
        return np.searchsorted(self.hashes, self._read[2])

    @cached_property
    def texts(self) -> list[str]:
        """Return the text of each of :attr:`hashes`."""
        first = np.empty(len(self.hashes), np.int64)
        first[self.places[::-1]] = np.arange(len(self.places))[::-1]
        return self.rows["text"].gather(first).to_list()

    @cached_property
    def postings(self) -> Postings:
        """Return the events of each row."""
        column = self._snapshot.read(self.files.texts, columns=["ids"])["ids"]
        ids = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.list_(pa.int64()))
        offsets = ids.offsets.to_numpy().astype(np.int64)
        rows = self._read[0]
        return Postings(ids.values.to_numpy(), offsets[rows], offsets[rows + 1], self.midnight)

    @cached_property
    def midnight(self) -> int:
        """Return when the day begins, in microseconds since 1970."""
        return (date.fromisoformat(self.name).toordinal() - _FIRST_DAY) * DAY_US

    def vectors(self, dimension: int) -> NDArray[np.float16] | None:
        """Return the vector of each text, mapped into memory; None where they have to be made.

        What is damaged is left alone: vectors can be made again, and are the same.
        """
        entry = self.files.vectors
        if entry is None:
            return None
        try:
            hashes, vectors = mapped(self._snapshot.path(entry), dimension)
        except CorruptFileError as error:
            get_logger("vectors").warning("vectors are left alone", path=entry.path, reason=str(error))
            return None
        return vectors if said(hashes) == said(self.hashes) else None

    @property
    def index_name(self) -> str:
        """Return the driver of the index and how it keeps vectors; empty without one."""
        entry = self.files.index
        return "" if entry is None else f"{entry.name}:{entry.meta['storage']}"

    def index(self, vectors: NDArray[np.float16]) -> Index | None:
        """Return the index over these vectors, mapped into memory where its library can; None without one.

        One that is damaged or cannot be used here is left alone: all vectors are looked at then.
        """
        entry = self.files.index
        if entry is None:
            return None
        try:
            path = self._snapshot.path(entry)
            return indexes.create(entry.name, entry.meta["storage"]).load(path, vectors)
        except (StorageError, DriverUnavailableError, UnknownNameError) as error:
            get_logger("vectors").warning("an index is left alone", path=entry.path, reason=str(error))
            return None
