"""Vectors that have been made already, by the content of their texts."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import structlog
import xxhash

from workbench.errors import ProviderError, ProviderReplyError
from workbench.storage.files import hash_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from workbench.embedders import Embedder

__all__ = ["VectorCache", "Waiting"]

_MOST_FILES = 8
_WAITING = "waiting.json"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Waiting:
    """Texts that have no vectors yet, and why; kept for the workspace's status.

    Attributes:
        texts: How many.
        model: Whose vectors they lack.
        reason: What the embedder's server said.
    """

    texts: int
    model: str
    reason: str

    @classmethod
    def read(cls, directory: Path) -> Waiting | None:
        """Return what waits in a workspace's folder of vectors, or None."""
        try:
            return cls(**json.loads((directory / _WAITING).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


class VectorCache:
    """Embeds each distinct text once, for good.

    The vectors lie in files under ``directory/MODEL``, by 128 bits of each text's hash; the texts
    themselves do not. In the workspace rather than in the user's cache, so that what was made of its
    documents goes where it goes and is deleted with it. Files appear whole, and their names are the hash
    of their bytes; several processes may add at a time. What is damaged is made again, and where nothing
    can be written vectors live as long as the process: both are logged.

    Where an embedder's server fails, what it gave before is kept. The texts that wait are those of the
    documents that have no vector here: there is no list of them that could go wrong.

    Attributes:
        rest: How many times as long as a failed attempt took the server is left alone after it: one that
            does not answer costs a tenth of the time at most.
        keep_seconds: How often vectors are written down while many are made.
        waiting: What :meth:`embed_some` had to leave.

    Args:
        directory: The workspace's folder for it; made when there is something to keep.
        embedder: Makes the vectors.
    """

    rest: float = 9.0
    keep_seconds: float = 30.0

    def __init__(self, directory: Path, embedder: Embedder) -> None:
        self._directory = directory
        self._folder = directory / quote(embedder.model, safe="")
        self._embedder = embedder
        self._known: pl.DataFrame | None = None
        self._vectors = np.empty((0, 0), np.float32)
        self._failed: ProviderError | None = None
        self._next = 0.0
        self.waiting: Waiting | None = None

    @property
    def model(self) -> str:
        """Return whose vectors they are."""
        return self._embedder.model

    @cached_property
    def dimension(self) -> int:
        """Return how many numbers a vector has: by what is kept, so that a server need not be there."""
        for path in self._whole:
            with contextlib.suppress(OSError):  # another process has made one file of many
                return int(pq.read_schema(path).field("vector").type.list_size)
        return self._embedder.dimension

    @cached_property
    def _whole(self) -> list[Path]:
        """Return the files whose bytes are those that their names say."""
        whole = []
        for path in sorted(self._folder.glob("*.parquet")):
            try:
                found = hash_file(path)
            except OSError as error:
                found = str(error)
            if found == path.stem:
                whole.append(path)
            else:
                _log.warning("vectors cannot be read and are made again", path=str(path), reason=found)
        return whole

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 ``[n, dimension]`` as :meth:`Embedder.embed` does; only new texts are embedded.

        Raises:
            ProviderError: If the embedder's server fails; what it gave before is kept.
        """
        wanted = _hashes(texts)
        problem, _ = self._fill(texts, wanted)
        if problem is not None:
            raise problem
        return self._of(wanted)

    def embed_some(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return what :meth:`embed` does, with zeros for texts that have to wait for the embedder's server.

        They are counted in :attr:`waiting`, and asked for again the next time.

        Raises:
            ProviderError: If the server fails and has never given a vector.
        """
        wanted = _hashes(texts)
        try:
            problem, left = self._fill(texts, wanted)
        except ProviderError as error:
            self._note(Waiting(wanted["hash"].n_unique(), self._embedder.model, str(error)))
            raise
        self._note(None if problem is None else Waiting(left, self._embedder.model, str(problem)))
        return self._of(wanted)

    def knows(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return which texts have a vector here."""
        places = _hashes(texts).join(self._table(), on="hash", how="left", maintain_order="left")["place"]
        return places.is_not_null().to_numpy()

    def _of(self, wanted: pl.DataFrame) -> NDArray[np.float32]:
        places = wanted.join(self._table(), on="hash", how="left", maintain_order="left")["place"]
        if not places.null_count():
            return np.asarray(self._vectors[places.to_numpy()])
        vectors = np.zeros((len(places), self.dimension), np.float32)
        there = places.is_not_null().to_numpy()
        vectors[there] = self._vectors[places.drop_nulls().to_numpy()]
        return vectors

    def _fill(self, texts: Sequence[str], wanted: pl.DataFrame) -> tuple[ProviderError | None, int]:
        """Embed what is new; return what went wrong and how many are left."""
        new = self._new(wanted)
        begin = time.monotonic()
        if not new.height or (self._failed is not None and begin < self._next):
            return (self._failed if new.height else None), new.height
        rows, hashes = new["row"].to_list(), new["hash"]
        made: list[NDArray[np.float32]] = []
        kept = done = 0
        written = last = begin
        self._failed = None
        try:
            for part in self._embedder.batches([texts[row] for row in rows]):
                self._check(part)
                made.append(part)
                done += len(part)
                last = time.monotonic()
                if last - written >= self.keep_seconds and done < new.height:
                    self._take(hashes[kept:done], made)
                    kept, made, written = done, [], last
        except ProviderError as error:
            self._failed = error
            end = time.monotonic()
            self._next = end + self.rest * (end - last)
            _log.warning("texts wait for their vectors", texts=new.height - done, reason=str(error))
        if made:
            self._take(hashes[kept:done], made)
        return self._failed, new.height - done

    def _check(self, part: NDArray[np.float32]) -> None:
        if part.shape[1] != self.dimension:
            raise ProviderReplyError(
                f"its vectors have {part.shape[1]} numbers, those that are kept have {self.dimension}.",
                where=self._embedder.model,
                fix=f"Name the model with its version, or delete {self._folder}.",
            )

    def _take(self, hashes: pl.Series, made: list[NDArray[np.float32]]) -> None:
        vectors = np.concatenate(made)
        self._add(hashes, vectors)
        self._keep(hashes, vectors)

    def _note(self, waiting: Waiting | None) -> None:
        """Write down what waits, for others to see."""
        self.waiting = waiting
        path = self._directory / _WAITING
        try:
            if waiting is None:
                path.unlink(missing_ok=True)
                return
            self._directory.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f".{secrets.token_hex(8)}.tmp")
            aside.write_text(json.dumps(asdict(waiting)), encoding="utf-8")
            aside.replace(path)
        except OSError as error:
            _log.warning("what waits is not kept", path=str(path), reason=str(error))

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
            self._vectors = np.empty((0, self.dimension), np.float32)
            for path in self._whole:
                self._read(path)
        return self._known

    def _read(self, path: Path) -> None:
        try:
            table = pq.read_table(path, page_checksum_verification=True, partitioning=None)
            vectors = table["vector"].combine_chunks().flatten().to_numpy()
            vectors = vectors.reshape(table.num_rows, self.dimension)
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
            made = self._write(self._table()["hash"], self._vectors)
            for path in old:
                if path != made:
                    path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("vectors are not kept", path=str(self._folder), reason=str(error))

    def _write(self, hashes: pl.Series, vectors: NDArray[np.float32]) -> Path:
        flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
        columns = {
            "hash": hashes.to_arrow(compat_level=pl.CompatLevel.oldest()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, self.dimension),
        }
        aside = self._folder / f".{secrets.token_hex(8)}.tmp"
        pq.write_table(pa.table(columns), aside, compression="none", write_page_checksum=True)
        return aside.replace(self._folder / f"{hash_file(aside)}.parquet")


def _hashes(texts: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {"hash": pl.Series([xxhash.xxh3_128_digest(t.encode()) for t in texts], dtype=pl.Binary)}
    )
