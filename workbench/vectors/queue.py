"""The queue behind ingest: segments whose texts have no vectors yet, or many vectors and no index."""

from __future__ import annotations

import json
import mmap
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from workbench.indexes import EXACT_BELOW, indexes
from workbench.progress import Update, silent
from workbench.vectors.files import VERSION, encoded, files_of
from workbench.vectors.segment import Segment
from workbench.vectors.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from workbench.progress import Progress
    from workbench.storage import SegmentStore, Snapshot, Transaction
    from workbench.vectors.cache import VectorCache
    from workbench.vectors.files import Files

__all__ = ["IndexKind", "Indexed", "Queue"]

# So many bytes are written in one generation; what was written before stays when the next is interrupted.
_BYTES = 1 << 28


@dataclass(frozen=True)
class IndexKind:
    """Which index is built, and where.

    Attributes:
        driver: An index driver.
        storage: How it keeps vectors.
        above: Segments with more vectors get one.

    >>> IndexKind.parse("faiss:int8")
    IndexKind(driver='faiss', storage='int8', above=20000)
    """

    driver: str = "faiss"
    storage: str = "int8"
    above: int = EXACT_BELOW

    @classmethod
    def parse(cls, text: str) -> IndexKind:
        """Return what a setting names: a driver, or a driver and its storage kind as ``driver:storage``.

        Raises:
            UnknownNameError: If there is no such driver, or it has no such kind.
        """
        driver, _, storage = text.partition(":")
        kinds = indexes.load(driver).storages
        made = cls(driver, storage or kinds[0])
        indexes.load(driver)(made.storage)
        return made

    def __str__(self) -> str:
        """Return it as a setting names it."""
        return f"{self.driver}:{self.storage}"


@dataclass(frozen=True)
class Indexed:
    """What was done for segments that waited.

    Attributes:
        segments: Days whose vectors were written.
        texts: Texts of these days that have vectors now; one that two days have counts twice.
        indexes: Days for which an index was built.
        waiting: Days that still wait, because the embedder's server failed.
        reason: What it said.
        bytes: Size of what was written.
        generation: The generation after it.
        seconds: Wall time.
    """

    segments: list[str] = field(default_factory=list)
    texts: int = 0
    indexes: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    reason: str = ""
    bytes: int = 0
    generation: int = 0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON data."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the figures as a line for people."""
        if not (self.segments or self.indexes or self.waiting):
            return "every segment's texts have their vectors"
        said = (
            f"{self.texts:,} texts of {len(self.segments):,} segments have vectors now, "
            f"{len(self.indexes):,} of them an index: {self.bytes / 1e6:,.1f} MB in {self.seconds:.1f} s"
        )
        wait = f"; {len(self.waiting):,} segments wait: {self.reason}" if self.waiting else ""
        return said + wait


@dataclass(frozen=True)
class _Made:
    """The files of one segment that are to be written."""

    files: Files
    vectors: memoryview | None
    index: memoryview | None
    rows: int

    @property
    def bytes(self) -> int:
        return sum(len(data) for data in (self.vectors, self.index) if data is not None)


class Queue:
    """What waits in a workspace, and how it is worked off.

    Args:
        store: The workspace's files.
        cache: Embeds.
        kind: Which index is built.
    """

    def __init__(self, store: SegmentStore, cache: VectorCache, kind: IndexKind) -> None:
        self._store = store
        self._cache = cache
        self.kind = kind

    def waiting(self, snapshot: Snapshot, active: str = "") -> list[Files]:
        """Return the segments that lack vectors or, but for the active one, an index, by day."""
        return [files for files in files_of(snapshot, self._cache.model) if self._lacks(files, active)]

    def _lacks(self, files: Files, active: str) -> bool:
        return files.vectors is None or self._lacks_index(files, files.vectors.rows, active)

    def _lacks_index(self, files: Files, rows: int, active: str) -> bool:
        if (
            files.segment == active
            or rows <= self.kind.above
            or indexes.load(self.kind.driver).can_run() is not True
        ):
            return False
        entry = files.index
        return entry is None or (entry.name, entry.meta["storage"]) != (self.kind.driver, self.kind.storage)

    def work(
        self, snapshot: Snapshot, progress: Progress = silent, active: str = ""
    ) -> tuple[Indexed, Snapshot]:
        """Embed, index and publish what waits; return what was done, and the generation after it.

        The writer lock is held while files are written, not while they are made.

        Args:
            snapshot: The generation whose segments are looked at.
            progress: Told after each segment.
            active: A segment that gets no index.

        Raises:
            WriterLockedError: If another process writes to the workspace.
            ProviderError: If the embedder's server fails and has never given a vector.
            StorageError: If the disk refuses.
        """
        begin = time.perf_counter()
        lacking = self.waiting(snapshot, active)
        done = Indexed(generation=snapshot.generation)
        if not lacking:
            return done, snapshot
        segments = [Segment(snapshot, files) for files in lacking]
        window = Window(segments, self._cache.dimension, self._cache.embed_some)
        ready = self._ready(window)
        reason = self._cache.waiting.reason if self._cache.waiting else ""
        done = replace(done, reason=reason, waiting=[s.name for s in segments if s.name not in ready])
        pending: list[_Made] = []
        for number, made in enumerate(self._made(window, ready, active), 1):
            pending.append(made)
            progress(Update("vectors", number, len(ready), "segments"))
            if sum(m.bytes for m in pending) >= _BYTES or number == len(ready):
                done, snapshot = self._publish(pending, done, snapshot)
                pending = []
        return replace(done, seconds=time.perf_counter() - begin), snapshot

    def _ready(self, window: Window) -> set[str]:
        """Return the segments of which each text has its vector."""
        texts = window.texts(np.arange(len(window)))
        vectors = window.stored
        del vectors  # embedded by now, or known to wait
        if self._cache.waiting is None:
            return {segment.name for segment in window.segments}
        known = self._cache.knows(texts)
        return {
            s.name for s, numbers in zip(window.segments, window.numbers, strict=True) if known[numbers].all()
        }

    def _made(self, window: Window, ready: set[str], active: str) -> Iterator[_Made]:
        """Yield the files of each segment that is ready, made side by side."""
        jobs = [
            (s, v, active) for s, v in zip(window.segments, window.stored, strict=True) if s.name in ready
        ]
        side = os.cpu_count() or 1
        with ThreadPoolExecutor(side) as threads:
            for at in range(0, len(jobs), side):
                yield from threads.map(lambda job: self._files(*job), jobs[at : at + side])

    def _files(self, segment: Segment, vectors: NDArray[np.float16], active: str) -> _Made:
        files = segment.files
        own = None if files.vectors is not None else encoded(segment.hashes, vectors)
        index = self._index(vectors) if self._lacks_index(files, len(vectors), active) else None
        return _Made(files, own, index, len(vectors))

    def _index(self, vectors: NDArray[np.float16]) -> memoryview:
        index = indexes.create(self.kind.driver, self.kind.storage).build(vectors.astype(np.float32))
        with tempfile.TemporaryDirectory(prefix="workbench-index-") as folder:
            path = Path(folder) / "index"
            index.save(path)
            with path.open("rb") as file:
                # what is mapped stays when its name is gone
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def _publish(self, made: Sequence[_Made], done: Indexed, snapshot: Snapshot) -> tuple[Indexed, Snapshot]:
        """Write files in one generation; those of texts that changed meanwhile are left out."""
        with self._store.writer() as writer:
            transaction = writer.begin()
            now = {files.segment: files for files in files_of(transaction.base, self._cache.model)}
            some = [m for m in made if m.files.segment in now and now[m.files.segment].of == m.files.of]
            for item in some:
                self._add(transaction, item)
            if not some:
                return done, snapshot
            written = transaction.commit()
        vectors = [m for m in some if m.vectors is not None]
        return (
            replace(
                done,
                segments=[*done.segments, *(m.files.segment for m in vectors)],
                texts=done.texts + sum(m.rows for m in vectors),
                indexes=[*done.indexes, *(m.files.segment for m in some if m.index is not None)],
                bytes=done.bytes + sum(m.bytes for m in some),
                generation=written.generation,
            ),
            written,
        )

    def _add(self, transaction: Transaction, made: _Made) -> None:
        segment = made.files.segment
        facts = {
            "of": made.files.of,
            "model": self._cache.model,
            "version": VERSION,
            "dimension": self._cache.dimension,
        }
        if made.vectors is not None:
            # an index over the vectors before is none over these
            for kind in ("vectors", "index"):
                transaction.remove(transaction.base.files(kind, segments=[segment]))
            transaction.add_file(
                "vectors", made.vectors, segment=segment, rows=made.rows, inputs=_inputs(facts), meta=facts
            )
        if made.index is not None:
            transaction.remove(transaction.base.files("index", segments=[segment]))
            told = facts | {"storage": self.kind.storage}
            transaction.add_file(
                "index",
                made.index,
                segment=segment,
                name=self.kind.driver,
                suffix=".index",
                rows=made.rows,
                inputs=_inputs(told),
                meta=told,
            )


def _inputs(facts: dict[str, Any]) -> str:
    """Return a hash of everything that the bytes of a file depend on."""
    return str(xxhash.xxh3_128_hexdigest(json.dumps(facts, sort_keys=True).encode()))
