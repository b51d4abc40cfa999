"""Files that go on: a log that was read and has grown since is read from where it was left.

A source is its bytes, so a file with more of them is another source. Were it read from its start, the
records that came in before would come twice. A file goes on with an earlier source of its event type that
has its name or lay in its directory, if it begins with all of that source's bytes: a log that was renamed
by its rotation goes on too, and so does a copy. Only formats that records can be appended to are looked at.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import xxhash

from workbench.connectors.base import CODECS
from workbench.errors import SourceError
from workbench.ingest import quarantine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    import pyarrow as pa

    from workbench.ingest.sources import Input
    from workbench.storage import LedgerEntry

__all__ = ["Earlier", "Place"]

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Place:
    """How a source stands to those that were read before.

    Attributes:
        entry: Its entry for the ledger, at the record with which to begin.
        earlier: The entry of the source that it goes on with, as it is once this one is taken.
        released: Identifiers of what is outdated in quarantine once it is taken.
        outdated: Of what is outdated whatever becomes of it.
        replaced: Whether its place held other bytes, of which documents are stored.
        problem: Why it is not to be taken.
        waits: Whether it goes on with a source that has to be published before.
    """

    entry: LedgerEntry
    earlier: LedgerEntry | None = None
    released: frozenset[str] = frozenset()
    outdated: frozenset[str] = frozenset()
    replaced: bool = False
    problem: str = ""
    waits: bool = False


class Earlier:
    """What was read before, by the places of files.

    Args:
        ledger: All sources so far.
        held: Returns what is in quarantine; asked where a file has grown.
    """

    def __init__(self, ledger: Mapping[str, LedgerEntry], held: Callable[[], pa.Table]) -> None:
        self._held = held
        self._unread: set[str] = set()
        self._near: dict[tuple[str, str], dict[str, LedgerEntry]] = {}
        self._at: dict[tuple[str, str], dict[str, LedgerEntry]] = {}
        for entry in ledger.values():
            self.add(entry)

    def add(self, entry: LedgerEntry, *, read: bool = True) -> None:
        """Note a source that is in the ledger now, or that is about to be read."""
        (self._unread.discard if read else self._unread.add)(entry.key)
        place = os.path.abspath(entry.source)  # noqa: PTH100  (links stay what they are)
        for near in os.path.split(place):
            self._near.setdefault((near, entry.name), {})[entry.key] = entry
        self._at.setdefault((place, entry.name), {})[entry.key] = entry

    def place(self, item: Input, entry: LedgerEntry, *, refuse: bool) -> Place:
        """Return where reading a source begins, or why it does not.

        Args:
            item: The source, of which nothing is stored.
            entry: Its entry for the ledger.
            refuse: Whether a file whose place held other bytes, with which it does not begin, is refused.
        """
        at = os.path.abspath(item.source.label)  # noqa: PTH100  (as above)
        before = [e for e in self._at.get((at, entry.name), {}).values() if e.key != entry.key]
        # that a file is there now says all about whole ones that were there before
        outdated = frozenset(_whole(e) for e in before if e.status == "quarantined")
        try:
            place = self._grown(item, entry)
        except SourceError as error:
            return Place(entry, outdated=outdated, problem=str(error))
        if place is not None:
            return replace(place, outdated=outdated)
        stored = sum(e.rows for e in before)
        problem = (
            f"{item.source.label}: the file was ingested before with other bytes, with which it does not "
            f"begin, and {stored:,} records were stored. If none of them is in it again, 'workbench "
            "quarantine retry' takes it."
        )
        return Place(
            entry, outdated=outdated, replaced=stored > 0, problem=problem if stored and refuse else ""
        )

    def _grown(self, item: Input, entry: LedgerEntry) -> Place | None:
        """Return where a file goes on, or None if it begins with no earlier source.

        Raises:
            SourceError: If that was read when its last record was not whole, so that going on would lose
                or repeat a part.
        """
        path = item.source.path
        if path is None or not item.connector.appendable or path.suffix.lower() in CODECS:
            return None
        place = os.path.abspath(item.source.label)  # noqa: PTH100  (as above)
        found = {
            k: e for near in os.path.split(place) for k, e in self._near.get((near, entry.name), {}).items()
        }
        shorter = [e for e in found.values() if 0 < e.bytes < entry.bytes]
        if not shorter:
            return None
        hashes = _prefix_hashes(path, {e.bytes for e in shorter})
        begun = [e for e in shorter if hashes.get(e.bytes) == e.hash]
        if not begun:
            return None
        # one of which nothing was taken says nothing about what was
        longest = max(begun, key=lambda e: (e.position > 0 or e.key in self._unread, e.bytes))
        if longest.key in self._unread:
            return Place(entry, waits=True)
        return self._after(path, item, entry, longest)

    def _after(self, path: Path, item: Input, entry: LedgerEntry, earlier: LedgerEntry) -> Place:
        done = replace(earlier, status="done")
        whole = _whole(earlier)
        if not earlier.position:
            return Place(entry, done, frozenset({whole}))
        last = earlier.position - 1
        rejected = _rejected(self._held(), earlier)
        if any(reason == "unclosed quote" for number, (_, reason) in rejected.items() if number != last):
            raise _unsure(item, earlier, "a quote that was not closed may be closed by now")
        if last in rejected:
            # whatever was wrong with it, it may only have been half written
            done = replace(done, rejected=earlier.rejected - 1)
            return Place(replace(entry, position=last), done, frozenset({whole, rejected[last][0]}))
        if not _ends_a_line(path, earlier.bytes):
            raise _unsure(item, earlier, "the last of them was not whole and was taken as it stood")
        return Place(replace(entry, position=earlier.position), done, frozenset({whole}))


def _whole(entry: LedgerEntry) -> str:
    return quarantine.record_id(entry.hash, entry.name, quarantine.WHOLE)


def _rejected(held: pa.Table, earlier: LedgerEntry) -> dict[int, tuple[str, str]]:
    """Return identifier and reason of a source's records in quarantine, by number."""
    columns = ("source_hash", "name", "offset", "id", "reason")
    rows: Iterable[tuple[str, str, int | None, str, str]] = zip(
        *(held[name].to_pylist() for name in columns), strict=True
    )
    wanted = (earlier.hash, earlier.name)
    return {
        offset: (id_, reason)
        for source, name, offset, id_, reason in rows
        if (source, name) == wanted and offset is not None and offset >= 0
    }


def _ends_a_line(path: Path, size: int) -> bool:
    """Return whether a line ends behind a file's first bytes."""
    with path.open("rb") as file:
        file.seek(size - 1)
        before, after = file.read(1), file.read(1)
    return before == b"\n" or after in {b"\n", b"\r"}


def _prefix_hashes(path: Path, sizes: Iterable[int]) -> dict[int, str]:
    """Return the hash of a file's first bytes, for each of some sizes."""
    found: dict[int, str] = {}
    digest, at = xxhash.xxh3_128(), 0
    with path.open("rb") as file:
        for size in sorted(sizes):
            while at < size and (block := file.read(min(_BLOCK, size - at))):
                digest.update(block)
                at += len(block)
            if at == size:
                found[size] = digest.hexdigest()
    return found


def _unsure(item: Input, earlier: LedgerEntry, why: str) -> SourceError:
    return SourceError(
        f"the file has grown since {earlier.position:,} of its records were read, and {why}: "
        "none of what is new was taken.",
        where=item.source.label,
        fix="Write what is new into a file of its own.",
    )
