"""Vectors that have been made already, by the content of their texts."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import structlog
import xxhash

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from workbench.embedders import Embedder

__all__ = ["VectorCache"]

_MOST_FILES = 8
_log = structlog.get_logger(__name__)


class VectorCache:
    """Embeds each distinct text once, for good.

    The vectors lie in files under ``directory/MODEL``, by 128 bits of each text's hash; the texts
    themselves do not. In the workspace rather than in the user's cache, so that what was made of its
    documents goes where it goes and is deleted with it. Files appear whole; several processes may add at
    a time. What cannot be read is made again, and where nothing can be written vectors live as long as
    the process: both are logged.

    Args:
        directory: The workspace's folder for it; made when there is something to keep.
        embedder: Makes the vectors.
    """

    def __init__(self, directory: Path, embedder: Embedder) -> None:
        self._folder = directory / quote(embedder.model, safe="")
        self._embedder = embedder
        self._known: pl.DataFrame | None = None
        self._vectors = np.empty((0, embedder.dimension), np.float32)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 ``[n, dimension]`` as :meth:`Embedder.embed` does; only new texts are embedded."""
        wanted = pl.DataFrame({"hash": [xxhash.xxh3_128_digest(text.encode()) for text in texts]})
        new = self._new(wanted)
        if new.height:
            vectors = self._embedder.embed([texts[row] for row in new["row"]])
            self._add(new["hash"], vectors)
            self._keep(new["hash"], vectors)
        places = wanted.join(self._table(), on="hash", how="left", maintain_order="left")["place"]
        return np.asarray(self._vectors[places.to_numpy()])

    def _new(self, wanted: pl.DataFrame) -> pl.DataFrame:
        return (
            wanted.with_row_index("row")
            .unique("hash", keep="first", maintain_order=True)
            .join(self._table(), on="hash", how="anti", maintain_order="left")
        )

    def _table(self) -> pl.DataFrame:
        """Return ``hash`` and ``place`` of every vector that is known."""
        if self._known is None:
            self._known = pl.DataFrame(schema={"hash": pl.Binary(), "place": pl.Int64()})
            for path in sorted(self._folder.glob("*.parquet")):
                self._read(path)
        return self._known

    def _read(self, path: Path) -> None:
        try:
            table = pq.read_table(path, page_checksum_verification=True, partitioning=None)
            vectors = table["vector"].combine_chunks().flatten().to_numpy()
            vectors = vectors.reshape(table.num_rows, self._embedder.dimension)
        except (OSError, pa.ArrowException, KeyError, ValueError) as error:
            _log.warning("vectors cannot be read and are made again", path=str(path), reason=str(error))
            return
        hashes = pl.Series("hash", table["hash"])
        fresh = ~hashes.is_in(self._table()["hash"].to_list())
        self._add(hashes.filter(fresh), vectors[fresh.to_numpy()])

    def _add(self, hashes: pl.Series, vectors: NDArray[np.float32]) -> None:
        known = self._table()
        place = pl.int_range(known.height, known.height + len(hashes), eager=True).alias("place")
        self._known = pl.concat([known, pl.DataFrame({"hash": hashes, "place": place})])
        self._vectors = np.concatenate([self._vectors, vectors])

    def _keep(self, hashes: pl.Series, vectors: NDArray[np.float32]) -> None:
        """Write new vectors down, and all of them as one file where there are many small ones."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            old = sorted(self._folder.glob("*.parquet"))
            if len(old) < _MOST_FILES:
                self._write(hashes, vectors)
                return
            self._write(self._table()["hash"], self._vectors)
            for path in old:
                path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("vectors are not kept", path=str(self._folder), reason=str(error))

    def _write(self, hashes: pl.Series, vectors: NDArray[np.float32]) -> None:
        flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
        columns = {
            "hash": hashes.to_arrow(compat_level=pl.CompatLevel.oldest()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, self._embedder.dimension),
        }
        name = secrets.token_hex(8)
        aside = self._folder / f".{name}.tmp"
        pq.write_table(pa.table(columns), aside, compression="none", write_page_checksum=True)
        aside.replace(self._folder / f"{name}.parquet")
