"""Which runs stay: all of the last days, then one a day, then one a week, within a bound on their size."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.storage import FileEntry, SegmentStore

__all__ = ["superfluous", "thin"]

_ALL = timedelta(days=2)


def thin(store: SegmentStore, now: datetime, most_bytes: int) -> int:
    """Remove the results that are superfluous, and return how many.

    Args:
        store: The workspace's files, among which are documents.
        now: The workspace's clock.
        most_bytes: How long all results together may be.
    """
    live = store.snapshot()
    window = datetime.fromisoformat(live.segments[0]).replace(tzinfo=UTC)
    if not superfluous(live.files("knowledge"), now, window, most_bytes):
        return 0
    with store.writer(within_reserve=True) as writer:
        transaction = writer.begin()
        goes = superfluous(transaction.kept("knowledge"), now, window, most_bytes)
        transaction.remove(goes)
        transaction.commit()
    return len(goes)


def superfluous(
    entries: Iterable[FileEntry], now: datetime, window: datetime, most_bytes: int
) -> list[FileEntry]:
    """Return the results that go: spec 2.5.

    Of those as of the last two days all stay, of those within the window the last of each day, of older ones
    the last of each week; each for a kind with its parameters and seed. Where the rest is larger than
    ``most_bytes`` the oldest go, but never the newest of its kind.

    Args:
        entries: The results.
        now: The workspace's clock.
        window: Where the window starts.
        most_bytes: How long all results together may be.
    """
    ordered = sorted(entries, key=lambda e: (e.meta["asof"], e.meta["created"]))
    newest = {entry.name: entry.path for entry in ordered}
    last: dict[tuple[str, str], str] = {}
    for entry in ordered:
        last[_of(entry), _period(entry, now, window)] = entry.path
    kept = set(last.values())
    stays = [entry for entry in ordered if entry.path in kept]
    goes = [entry for entry in ordered if entry.path not in kept]
    size = sum(entry.bytes for entry in stays)
    for entry in stays:
        if size <= most_bytes:
            break
        if newest[entry.name] != entry.path:
            goes.append(entry)
            size -= entry.bytes
    return goes


def _of(entry: FileEntry) -> str:
    return json.dumps([entry.name, entry.meta["parameters"], entry.meta["seed"]], sort_keys=True)


def _period(entry: FileEntry, now: datetime, window: datetime) -> str:
    """Return what only one result of a kind may stand for."""
    asof = datetime.fromisoformat(entry.meta["asof"])
    if asof > now - _ALL:
        return entry.path
    if asof >= window:
        return asof.date().isoformat()
    year, week, _ = asof.isocalendar()
    return f"{year}-W{week}"
