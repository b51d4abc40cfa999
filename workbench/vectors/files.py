"""A segment's vectors and the index over them as files of that segment, like its other partials.

``vectors`` holds a row for each text that some event of the segment says, sorted by the text's hash: the
hash, and the vector in float16. ``index`` is what a library of indexes has written over these rows. Both say
of which texts and by which model they were made; they leave with their segment, and where its texts change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from workbench.storage import FileEntry, Snapshot, Transaction

__all__ = [
    "KINDS",
    "Files",
    "encoded",
    "files_of",
    "hashes_of",
    "mapped",
    "outdated",
    "said",
    "texts_facts",
    "texts_of",
    "without_vectors",
]

KINDS = ("vectors", "index")
# Raised when the same texts and model give other bytes.
VERSION = 1
_HASH = 16
_FLOAT16 = 2


def hashes_of(texts: Iterable[str]) -> NDArray[np.bytes_]:
    """Return 128 bits of each text's hash.

    >>> hashes_of(["a", "b", "a"]).itemsize
    16
    """
    return np.frombuffer(b"".join(xxhash.xxh3_128_digest(t.encode()) for t in texts), f"S{_HASH}")


def said(hashes: NDArray[np.bytes_]) -> str:
    """Return a hash of a set of texts, of whose hashes each is there once, sorted."""
    return str(xxhash.xxh3_128_hexdigest(hashes.tobytes()))


def texts_facts(texts: Sequence[str]) -> dict[str, Any]:
    """Return what the manifest says of a segment's texts, so that it shows whether vectors are theirs.

    Args:
        texts: Those that are to be found; each may be there more than once.
    """
    hashes = np.unique(hashes_of(texts))
    return {"texts": len(hashes), "said": said(hashes)}


@dataclass(frozen=True)
class Files:
    """What there is for one segment.

    Attributes:
        segment: The day.
        texts: Its texts.
        vectors: Their vectors by the model that is asked for; None where they are not there.
        index: An index over these vectors, of whatever driver; None where there is none.
    """

    segment: str
    texts: FileEntry
    vectors: FileEntry | None = None
    index: FileEntry | None = None

    @property
    def of(self) -> str:
        """Return what names the segment's set of texts."""
        return _named(self.texts)


def files_of(snapshot: Snapshot, model: str) -> list[Files]:
    """Return what each segment has that has texts, by day.

    Args:
        snapshot: The generation.
        model: The embedder's.
    """
    by_kind = {
        kind: {e.segment: e for e in snapshot.files(kind) if _is_of(e, model)}
        for kind in ("vectors", "index")
    }
    found = []
    for texts in snapshot.files("texts"):
        vectors, index = (by_kind[kind].get(texts.segment) for kind in KINDS)
        if vectors is not None and vectors.meta["of"] != _named(texts):
            vectors = None
        if vectors is None or (index is not None and index.meta["of"] != vectors.meta["of"]):
            index = None
        found.append(Files(texts.segment, texts, vectors, index))
    return found


def without_vectors(snapshot: Snapshot) -> list[str]:
    """Return the segments whose texts have no vectors by any model yet: what ingest is ahead of search."""
    made = {(e.segment, e.meta["of"]) for e in snapshot.files("vectors")}
    texts = snapshot.files("texts")
    return [e.segment for e in texts if e.meta.get("texts") != 0 and (e.segment, _named(e)) not in made]


def texts_of(snapshot: Snapshot) -> dict[str, str]:
    """Return what names the set of texts of each segment that has some: vectors of another are not its."""
    return {e.segment: _named(e) for e in snapshot.files("texts") if e.meta.get("texts") != 0}


def outdated(transaction: Transaction, texts: FileEntry) -> list[FileEntry]:
    """Return the files of a segment that are not of its texts any more.

    Args:
        transaction: The generation that is being made.
        texts: The segment's texts in it.
    """
    return [
        entry
        for kind in KINDS
        for entry in transaction.kept(kind, segments=[texts.segment])
        if entry.meta["of"] != _named(texts)
    ]


def _named(texts: FileEntry) -> str:
    # texts that were derived before this was written down
    return str(texts.meta.get("said") or texts.hash)


def _is_of(entry: FileEntry, model: str) -> bool:
    return bool(entry.meta["model"] == model and entry.meta["version"] == VERSION)


def encoded(hashes: NDArray[np.bytes_], vectors: NDArray[np.float16]) -> memoryview:
    """Return the bytes of a Parquet file in which the vectors lie one after the other, as in memory.

    Args:
        hashes: Of the texts, sorted.
        vectors: Theirs.
    """
    count = len(hashes)
    columns = {"hash": np.ascontiguousarray(hashes), "vector": np.ascontiguousarray(vectors)}
    widths = (_HASH, vectors.shape[1] * _FLOAT16)
    arrays = [
        pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), count, [None, pa.py_buffer(column)])
        for width, column in zip(widths, columns.values(), strict=True)
    ]
    fields = [pa.field(name, array.type, nullable=False) for name, array in zip(columns, arrays, strict=True)]
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=pa.schema(fields)),
        sink,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
        # one page a column: what stands before it is all that is not values
        row_group_size=max(count, 1),
        max_rows_per_page=max(count, 1),
        data_page_size=(1 << 31) - 1,
    )
    return memoryview(sink.getvalue())


def mapped(path: Path, dimension: int) -> tuple[NDArray[np.bytes_], NDArray[np.float16]]:
    """Return hashes and vectors of a file that has been checked; the vectors stay in it, mapped into memory.

    Args:
        path: What :func:`encoded` gave.
        dimension: How many numbers a vector has.
    """
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        count = file.metadata.num_rows
        hashes = file.read(columns=["hash"])["hash"].combine_chunks() if count else None
        if hashes is None:
            return np.empty(0, f"S{_HASH}"), np.empty((0, dimension), np.float16)
        chunk = file.metadata.row_group(0).column(1)
        size = count * dimension * _FLOAT16
        start = chunk.data_page_offset + chunk.total_compressed_size - size
        keys = np.frombuffer(hashes.buffers()[1], f"S{_HASH}", count, hashes.offset * _HASH)
    return keys, np.memmap(path, np.float16, "r", start, (count, dimension))
