"""Streamed events: durable when they are acknowledged, exactly once, visible soon after."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from workbench.errors import BackPressureError, DiskFullError, StorageError, UsageError, WriterLockedError
from workbench.ingest.stream_checkpoint import Checkpoints, log_position
from workbench.ingest.stream_events import (
    LINES,
    REJECTED,
    REJECTS,
    TABLE,
    Entry,
    decode,
    encode,
    given,
    table_body,
)
from workbench.ingest.stream_keys import KEY_BYTES, NO_KEY, SeenKeys, content_keys, given_keys
from workbench.logs import get_logger
from workbench.partials.names import is_field_name
from workbench.storage.wal import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from workbench.config.entity_schema import EntitySchema
    from workbench.ingest.stream_events import Given
    from workbench.settings import Settings
    from workbench.storage import SegmentStore

__all__ = ["Acknowledgement", "Stream"]

_EARLY_EVENTS = 50_000  # as many waiting events as bring the next checkpoint forward
_SPACE_SECONDS = 0.5


@dataclass(frozen=True)
class Acknowledgement:
    """What became of the events of one call; all of it is durable.

    Attributes:
        accepted: Events that are now in the log.
        duplicates: Events whose key was seen before.
        rejected: Records that are no events; they go to quarantine.
    """

    accepted: int
    duplicates: int = 0
    rejected: int = 0


def wall_clock() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


class Stream:
    """An open stream into a workspace; one process at a time holds it.

    Events are acknowledged when they are in the write-ahead log, and visible with the next checkpoint: every
    ``stream_seconds``, or as soon as many wait, and when the stream closes. What a process that died had
    acknowledged becomes visible when the stream is opened again. All methods may be called from any thread.

    Args:
        store: The workspace's files.
        schema: The entity schema.
        settings: ``stream_seconds``, ``stream_backlog_mb``, ``stream_share``, ``stream_key``.
        clock: The workspace's clock; by default the wall clock.
        closed: Called when the stream has closed.
        let_go: Called where files of earlier generations are to make place on the disk.

    Raises:
        WriterLockedError: If another process streams into the workspace.
        ReadOnlyError: If this is a mirror.
        CorruptFileError: If acknowledged events in the log are damaged; reading the workspace goes on.
    """

    def __init__(  # noqa: PLR0913  (what a stream meets)
        self,
        store: SegmentStore,
        schema: EntitySchema,
        settings: Settings,
        *,
        clock: Callable[[], datetime] | None = None,
        closed: Callable[[], object] = lambda: None,
        let_go: Callable[[], object] = lambda: None,
    ) -> None:
        store.require_writable()
        self.store = store
        self.schema = schema
        self.settings = settings
        self._clock = clock or wall_clock
        self._closed = closed
        self._logger = get_logger("stream")
        self._checkpoints = Checkpoints(store, schema, settings, let_go)
        self._names = schema.event_names
        self._key = tuple(field.strip() for field in settings.stream_key.split(",") if field.strip())
        self._lock = threading.Lock()
        self._checkpointing = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._space_checked = 0.0
        self._problem = ""
        self._published = 0
        self._ended = False
        with contextlib.ExitStack() as held:
            self._log = Log(
                store.root / "wal", position=lambda: log_position(store.snapshot()), disk=store.disk
            )
            held.callback(self._log.close)
            self._waiting = [decode(record) for record in self._log.recovered]
            self._seen = SeenKeys(store.snapshot())
            self._seen.add([key for entry in self._waiting for key in _keys_of(entry)])
            held.pop_all()
        self._count_waiting()
        self.recovered = self._waiting_rows
        if self._log.cut or self.recovered:
            self._logger.warning("recovered", records=self.recovered, cut_bytes=self._log.cut)
        self._thread = threading.Thread(target=self._run, name="workbench-stream", daemon=True)
        self._thread.start()

    def append(
        self,
        type: str,  # noqa: A002  (the word that users type)
        events: Any,
        *,
        source: str = "",
        keys: str | Sequence[str | None] | None = None,
        key: str | Sequence[str] | None = None,
    ) -> Acknowledgement:
        """Make events durable, and return once they are.

        Args:
            type: The event type.
            events: A mapping, a list of mappings, JSON text of one event a line, or any table.
            source: Who sends them; keys are a source's own.
            keys: The idempotency key of each event, or of the only one.
            key: Fields whose values are the key, where events bring none; by default the setting
                ``stream_key``. An event that has no value in one of them has no key.

        Raises:
            UsageError: If it is nothing that holds events, or there are not as many keys as events.
            BackPressureError: If too much waits to be published; says when to come again.
            DiskFullError: If the disk's reserve would be touched.
            StorageError: If the log cannot be written to; open the stream again then.
        """
        name = self._names.get(type, type)
        if not is_field_name(name) or name in self.schema.references:
            raise UsageError(
                f"{type!r} is no event type.", fix="Name the type of the events, such as 'Login'."
            )
        found = given(events)
        hashes = self._hashes(name, found, source, keys, (key,) if isinstance(key, str) else key)
        with self._lock:
            self._require_room()
            fresh = self._seen.add(hashes) if hashes else [True] * found.number
            entries = _entries(name, source, found, hashes, fresh)
            # a duplicate is durable when what it repeats is, which may wait in line
            last = self._log.last
            for entry in entries:
                last = self._log.enqueue(entry.kind, encode(entry))
                self._waiting.append(_numbered(entry, last))
                self._waiting_bytes += entry.size
                self._waiting_rows += entry.rows
            if self._waiting_rows >= _EARLY_EVENTS:
                self._wake.notify_all()
        self._log.wait(last)
        rejected = sum(entry.rows for entry in entries if entry.kind == REJECTS)
        accepted = sum(entry.rows for entry in entries) - rejected
        return Acknowledgement(accepted, found.number - accepted - rejected, rejected)

    def checkpoint(self) -> None:
        """Make everything visible that has been acknowledged.

        Raises:
            WriterLockedError: If another process writes to the workspace.
            StorageError: If the disk refuses; nothing acknowledged is lost.
        """
        with self._checkpointing:
            position = self._log.synced
            with self._lock:
                entries = [entry for entry in self._waiting if entry.sequence <= position]
            if not entries:
                return
            counts = self._checkpoints.publish(entries, position, self._log.epoch, self._clock())
            with self._lock:
                self._waiting = self._waiting[len(entries) :]
                self._published += sum(entry.rows for entry in entries)
                self._count_waiting()
                self._problem = ""
            if counts.refused:
                self._logger.warning("refused, older than the window", events=counts.refused)
            if counts.forgotten:
                self._logger.warning("left out, about forgotten entities", events=counts.forgotten)
            if counts.quarantined:
                self._logger.warning("quarantined", records=counts.quarantined)
            self._log.release(position)

    def status(self) -> dict[str, Any]:
        """Return what waits to be published, and what went wrong last."""
        with self._lock:
            return {
                "waiting": self._waiting_rows,
                "waiting_bytes": self._waiting_bytes,
                "published": self._published,
                "recovered": self.recovered,
                "problem": self._problem,
                "open": not self._ended and not self._log.stopped,
            }

    def close(self) -> None:
        """Publish what waits, derive all partials and give the stream back.

        Raises:
            WriterLockedError: If another process writes to the workspace; what waits stays in the log.
            StorageError: If the disk refuses; likewise.
        """
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self._wake.notify_all()
        self._thread.join()
        try:
            self.checkpoint()
            with self._checkpointing:
                while self._checkpoints.derive(share=1):
                    pass
        finally:
            self._log.close()
            self._closed()

    def __enter__(self) -> Self:
        """Return the stream itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the stream."""
        self.close()

    def _hashes(
        self,
        name: str,
        found: Given,
        source: str,
        keys: str | Sequence[str | None] | None,
        key: Sequence[str] | None,
    ) -> list[bytes]:
        if keys is not None:
            return given_keys(source, [keys] if isinstance(keys, str) else keys, found.number)
        fields = self._key if key is None else tuple(key)
        return content_keys(source, name, fields, found) if fields else []

    def _require_room(self) -> None:
        if self._ended:
            raise StorageError("the stream is closed.", where=str(self.store.root), fix="Open it again.")
        if not self._thread.is_alive():
            raise StorageError(
                "publishing has failed unexpectedly; the log of the process says why.",
                where=str(self.store.root),
                fix="Open the stream again: nothing acknowledged is lost.",
            )
        if self._waiting_bytes > self.settings.stream_backlog_mb << 20:
            self._wake.notify_all()
            raise BackPressureError(
                f"{self._waiting_bytes >> 20:,} MB of events wait to be published, "
                f"at most {self.settings.stream_backlog_mb:,} may."
                + (f" {self._problem}" if self._problem else ""),
                where=str(self.store.root),
                fix=f"Send it again in {self.settings.stream_seconds:g} s.",
                retry_after=self.settings.stream_seconds,
            )
        now = time.monotonic()
        if now < self._space_checked + _SPACE_SECONDS:
            return
        free, reserve = self._space()
        if free < reserve and self._made_room():
            free, reserve = self._space()
        if free < reserve:
            raise DiskFullError(
                f"{free >> 20:,} MB of the disk are free, of which {reserve >> 20:,} MB are kept in reserve.",
                where=str(self.store.root),
                fix="Make room or evict days; what was acknowledged is safe and reading goes on.",
            )
        self._space_checked = now

    def _space(self) -> tuple[int, int]:
        return self.store.disk.space(self.store.root).free, self.store.reserve

    def _made_room(self) -> bool:
        """Return whether the oldest day was evicted, if that is permitted and nobody else writes."""
        try:
            return self._checkpoints.make_room()
        except WriterLockedError:
            return False

    def _count_waiting(self) -> None:
        self._waiting_bytes = sum(entry.size for entry in self._waiting)
        self._waiting_rows = sum(entry.rows for entry in self._waiting)

    def _run(self) -> None:
        """Publish now and then, until the stream ends; what fails is tried again at the next turn."""
        while True:
            with contextlib.suppress(StorageError):
                self._turn()
            with self._lock:
                if not self._ended:
                    self._wake.wait(self.settings.stream_seconds)
                if self._ended:
                    return

    def _turn(self) -> None:
        try:
            self.checkpoint()
            with self._checkpointing:
                self._checkpoints.derive(share=self.settings.stream_share)
        except WriterLockedError as error:
            self._note(str(error))  # it will be free in a moment
            raise
        except StorageError as error:
            self._note(str(error))
            self._logger.warning("checkpoint failed", reason=str(error))
            raise

    def _note(self, problem: str) -> None:
        with self._lock:
            self._problem = problem


def _numbered(entry: Entry, sequence: int) -> Entry:
    return Entry(entry.kind, entry.name, entry.source, entry.rows, entry.keys, entry.body, sequence)


def _keys_of(entry: Entry) -> Iterable[bytes]:
    return (entry.keys[at : at + KEY_BYTES] for at in range(0, len(entry.keys), KEY_BYTES))


def _entries(
    name: str, source: str, found: Given, hashes: Sequence[bytes], fresh: Sequence[bool]
) -> list[Entry]:
    """Return what goes to the log: good records and rejects, without those that were seen before."""
    entries = []
    chosen = [n for n, place in enumerate(found.places) if fresh[place]]
    if chosen:
        keys = _joined([hashes[found.places[n]] for n in chosen] if hashes else [])
        if found.table is None:
            body = b"\n".join([found.lines[n] for n in chosen])
            entries.append(Entry(LINES, name, source, len(chosen), keys, body))
        else:
            whole = len(chosen) == found.table.num_rows
            body = table_body(found.table if whole else found.table.take(chosen))
            entries.append(Entry(TABLE, name, source, len(chosen), keys, body))
    rejects = [reject for reject in found.rejects if fresh[reject[0]]]
    if rejects:
        keys = _joined([hashes[place] for place, _, _ in rejects] if hashes else [])
        rows = [{"original": original, "reason": reason} for _, original, reason in rejects]
        body = table_body(pa.Table.from_pylist(rows, schema=REJECTED))
        entries.append(Entry(REJECTS, name, source, len(rejects), keys, body))
    return entries


def _joined(keys: Sequence[bytes]) -> bytes:
    """Return keys one after the other, or nothing if none is one."""
    return b"".join(keys) if any(key != NO_KEY for key in keys) else b""
