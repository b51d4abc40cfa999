"""A checkpoint: what was logged becomes the next generation, with the log's position in the same manifest."""

from __future__ import annotations

import time
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.ingest import quarantine
from workbench.ingest.compact import add_events, merge_parts, store_anew
from workbench.ingest.derive import add_partials, stale_segments
from workbench.ingest.forgotten import Forgotten
from workbench.ingest.identifiers import identified
from workbench.ingest.room import Room
from workbench.ingest.stream_documents import Bounds, documents
from workbench.ingest.stream_keys import key_table
from workbench.partials.documents import DAY_US

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.config.entity_schema import EntitySchema
    from workbench.ingest.stream_documents import Documents
    from workbench.ingest.stream_events import Entry
    from workbench.settings import Settings
    from workbench.storage import SegmentStore, Snapshot, Transaction, Writer

__all__ = ["Checkpoints", "Totals", "bounds_of", "log_position"]

_AHEAD_US = 5 * 60 * 1_000_000


@dataclass
class Totals:
    """What became of streamed events, over the life of a workspace or of one checkpoint."""

    documents: int = 0
    quarantined: int = 0
    refused: int = 0
    forgotten: int = 0

    def plus(self, other: Totals) -> Totals:
        """Return the sums."""
        return Totals(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def log_position(snapshot: Snapshot) -> tuple[int, int]:
    """Return the last record of the log that is published, and the epoch that wrote it."""
    found = snapshot.manifest.state.get("wal", {})
    return found.get("sequence", 0), found.get("epoch", 0)


def bounds_of(settings: Settings, now: datetime) -> Bounds:
    """Return what times and columns a stream takes.

    Args:
        settings: The window, and the most columns.
        now: The workspace's clock.
    """
    moment = int(now.astimezone(UTC).timestamp() * 1e6)
    window = settings.window
    oldest = -(1 << 62) if window == "all" else (moment // DAY_US - window + 1) * DAY_US
    return Bounds(oldest, moment + _AHEAD_US, settings.max_columns)


class Checkpoints:
    """Publishes what was logged, and derives partials without taking more than a share of the time.

    Events are visible with the next generation. Partials of a segment are derived from all of its documents,
    so deriving them at every checkpoint would cost the square of a day: they follow at a distance. After
    partials that took ``t`` seconds none are derived for ``t / share`` seconds, whatever the size of a day.
    Segments whose partials are behind are those that ``status()`` counts as stale.

    Args:
        store: The workspace's files.
        schema: The entity schema.
        settings: Window, limits, share and threads.
        let_go: Called where files of earlier generations are to make place on the disk.
    """

    def __init__(
        self,
        store: SegmentStore,
        schema: EntitySchema,
        settings: Settings,
        let_go: Callable[[], object] = lambda: None,
    ) -> None:
        self.store = store
        self.schema = schema
        self.settings = settings
        self._room = Room(settings, let_go)
        self._idle_until = 0.0
        self._derived: dict[str, float] = {}

    def publish(self, entries: Sequence[Entry], position: int, epoch: int, now: datetime) -> Totals:
        """Publish the entries that are not published yet, and return what became of them.

        Args:
            entries: What was logged, in order.
            position: The record up to which they reach.
            epoch: The log's epoch.
            now: The workspace's clock.

        Raises:
            WriterLockedError: If another process writes to the workspace.
            StorageError: If the disk refuses.
        """
        with self.store.writer() as writer:
            return self._room.within(writer, lambda: self._publish(writer, entries, position, epoch, now))

    def make_room(self) -> bool:
        """Evict the oldest day where that is permitted, and return whether it gave place on the disk.

        Raises:
            WriterLockedError: If another process writes to the workspace.
        """
        with self.store.writer(within_reserve=True) as writer:
            return self._room.make(writer)

    def _publish(
        self, writer: Writer, entries: Sequence[Entry], position: int, epoch: int, now: datetime
    ) -> Totals:
        transaction = writer.begin()
        published, _ = log_position(transaction.base)
        new = [entry for entry in entries if entry.sequence > published]
        if not new:
            return Totals()
        fields = transaction.base.manifest.state.get("fields", {})
        forgotten = Forgotten(transaction.base.manifest.state)
        found = documents(new, self.schema, fields, bounds_of(self.settings, now), forgotten)
        counts = Totals(
            sum(frame.height for frame in found.typed.values()),
            len(found.quarantined),
            found.refused,
            found.forgotten,
        )
        self._add(transaction, found, now)
        total = Totals(**transaction.base.manifest.state.get("stream", {}))
        transaction.set_state(
            fields=found.fields,
            schema=self.schema.fingerprint,
            wal={"sequence": max(position, published), "epoch": epoch},
            stream=asdict(total.plus(counts)),
        )
        transaction.commit()
        return counts

    def _add(self, transaction: Transaction, found: Documents, now: datetime) -> None:
        base = transaction.base
        quarantine.add(transaction, found.quarantined)
        store_anew(transaction, found.widened, found.fields)
        segments = {s for frame in found.typed.values() for s in frame["_segment"].unique()}
        merge_parts(transaction, segments, found.fields)
        add_events(transaction, identified(base, found.typed))
        for segment, keys in sorted(found.keys.items()):
            day = segment or now.astimezone(UTC).date().isoformat()
            transaction.add("keys", key_table(keys), segment=day)

    def derive(self, *, share: float) -> bool:
        """Derive the partials that are longest behind, if enough time has passed; return whether it did.

        Args:
            share: Part of the time that may go into partials; 1 for at once.

        Raises:
            WriterLockedError: If another process writes to the workspace.
            StorageError: If the disk refuses.
        """
        start = time.monotonic()
        if share < 1 and start < self._idle_until:
            return False
        if not self._stale(self.store.snapshot()):
            return False
        with self.store.writer() as writer:
            segment = self._room.within(writer, lambda: self._derive_one(writer))
        if segment is None:
            return False
        end = time.monotonic()
        self._derived[segment] = end
        self._idle_until = end + (end - start) / share
        return True

    def _derive_one(self, writer: Writer) -> str | None:
        transaction = writer.begin()
        stale = self._stale(transaction.base)
        if not stale:
            return None
        segment = min(stale, key=lambda day: self._derived.get(day, 0.0))
        fields = transaction.base.manifest.state.get("fields", {})
        threads = self.settings.worker_threads
        add_partials(transaction, transaction.base, [segment], self.schema, fields, threads=threads)
        transaction.commit()
        return segment

    def _stale(self, snapshot: Snapshot) -> list[str]:
        return stale_segments(snapshot, self.schema, snapshot.manifest.state.get("fields", {}))
