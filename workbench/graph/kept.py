"""The window graph as it is kept on disk: mapped into memory where nothing is new, else brought up to date.

What is kept is the window, its edges by target, and what a change needs beside them: the values of
properties, and which node each row of a segment's entities became. It says which partials it was made of,
by their hashes. Segments that came, went or changed are added to it and taken out of it; where more than
half of the window would have to be, or what left is no longer there to be taken out, it is merged anew.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.errors import CorruptFileError
from workbench.executors.ahead import ahead
from workbench.graph.stack import sum_of
from workbench.graph.subtract import Day, MismatchError, minus
from workbench.graph.sums import VALUES, plus
from workbench.graph.traversal import Adjacency, Csr
from workbench.graph.window import REFERENCE, Window, complete, sum_within
from workbench.logs import get_logger
from workbench.storage import FileEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from workbench.executors import Executor
    from workbench.graph.sums import Sum
    from workbench.storage import Snapshot
    from workbench.storage.derived import Derived, DerivedSet

__all__ = ["WORTH", "window_of"]

# Rows of edges in the partials: to merge fewer takes less than to keep what comes out.
WORTH = 100_000
_VERSION = 2
# Beyond this part of the window's rows a change costs as much as merging all.
_MOST_CHANGED = 0.5
# Segments that a worker of a cluster sums at once: the sums of many take less to send, and to add.
_STACK = 8
# Days that are not read before they are asked for.
_NEAREST = 2
_log = get_logger("graph")
_KINDS = ("entities", "edges", "properties")

_TOLD = ("path", "rows", "bytes", "hash")

Files = dict[str, dict[str, FileEntry]]
Part = tuple[str, dict[str, pa.Table]]


def window_of(  # noqa: PLR0913  (what it is of, and how it comes about)
    snapshot: Snapshot,
    kept: Derived,
    segments: Iterable[str] | None = None,
    *,
    more: Sequence[Part] = (),
    worth: int = WORTH,
    executor: Executor | None = None,
) -> Window:
    """Return the window graph of a generation; it equals the merge of its partials.

    Of threads that want that of all segments one makes it, and the others read what it kept.

    Args:
        snapshot: The generation.
        kept: Where windows are kept. That of all segments is put there.
        segments: Only these; by default all.
        more: Parts of other segments that belong to it as well.
        worth: Windows of fewer rows of edges are not kept.
        executor: Where partials are merged if not all in this process.

    Raises:
        CorruptFileError: If a partial is missing or damaged.
        UsageError: If there are more entities than a graph can hold.
    """
    wanted = _files_of(snapshot, segments)
    if _rows(wanted) < worth:
        return _completed(snapshot, wanted, _merged(snapshot, wanted), more)
    with kept.turn if segments is None else nullcontext():
        return _kept_or_made(snapshot, kept, wanted, more, executor, keep=segments is None)


def _kept_or_made(  # noqa: PLR0913  (what it is of, and how it comes about)
    snapshot: Snapshot,
    kept: Derived,
    wanted: Files,
    more: Sequence[Part],
    executor: Executor | None,
    *,
    keep: bool,
) -> Window:
    known = [_Kept(kept, made) for made in kept.sets() if made.facts["version"] == _VERSION]
    for one in known:
        if not more and _hashes(one.files) == _hashes(wanted):
            try:
                return one.window()
            except CorruptFileError as error:
                _log.warning("a kept window is damaged", reason=str(error))
    events = _updated(snapshot, wanted, known) or _merged(snapshot, wanted, executor)
    window = _completed(snapshot, wanted, events, more)
    return _keep(snapshot, kept, wanted, events, window) if keep else window


def _files_of(snapshot: Snapshot, segments: Iterable[str] | None) -> Files:
    within = None if segments is None else {*segments, REFERENCE}
    found: Files = {}
    for kind in _KINDS:
        for entry in snapshot.files(kind, segments=within):
            found.setdefault(entry.segment, {})[kind] = entry
    return found


def _rows(files: Files) -> int:
    return sum(entries["edges"].rows for entries in files.values())


def _hashes(files: Files) -> dict[str, tuple[str, ...]]:
    return {segment: tuple(entries[kind].hash for kind in _KINDS) for segment, entries in files.items()}


def _read(snapshot: Snapshot, files: Files) -> Iterator[Part]:
    """Yield the parts one by one: a month of them is a gigabyte."""
    snapshot.paths([entry for entries in files.values() for entry in entries.values()])
    for segment, entries in sorted(files.items()):
        yield segment, {kind: snapshot.read(entry) for kind, entry in entries.items()}


@dataclass(frozen=True)
class _Days:
    """Segments that one worker sums."""

    snapshot: Snapshot
    days: tuple[str, ...]

    def __str__(self) -> str:
        return f"segments {self.days[0]} to {self.days[-1]} of {self.snapshot.root}"


def _merged(snapshot: Snapshot, wanted: Files, executor: Executor | None = None) -> Sum:
    days = sorted(wanted.keys() - {REFERENCE})
    if executor is None or not executor.apart or not days:
        # one stack of all takes half the time and memory of a sum of sums
        return sum_of(_read(snapshot, {day: wanted[day] for day in days}))
    stacks = (_Days(snapshot, tuple(days[i : i + _STACK])) for i in range(0, len(days), _STACK))
    return cast("Sum", executor.reduce(_sum_of, _added, stacks))


def _sum_of(some: _Days) -> Sum:
    files = _files_of(some.snapshot, some.days)
    return sum_of(_read(some.snapshot, {day: files[day] for day in some.days}))


def _added(sums: Sequence[Sum]) -> Sum:
    return reduce(plus, sums)


def _completed(snapshot: Snapshot, wanted: Files, events: Sum, more: Sequence[Part]) -> Window:
    """Return the window of what segments sum up to, with more parts and what reference tables tell."""
    if more:
        events = plus(events, sum_of(more))
    references = _read(snapshot, {s: f for s, f in wanted.items() if s == REFERENCE})
    return complete(events, [part for _, part in references])


@dataclass(frozen=True)
class _Kept:
    """A window on disk."""

    kept: Derived
    made: DerivedSet

    @property
    def files(self) -> Files:
        """The partials that it was made of; where they lay then, which a repair may change."""
        return {
            segment: {
                kind: FileEntry(kind=kind, segment=segment, name="", **e) for kind, e in entries.items()
            }
            for segment, entries in self.made.facts["segments"].items()
        }

    def window(self) -> Window:
        read = partial(self.kept.read, self.made)
        pointers, incoming = read("pointers"), read("incoming")
        edges = read("edges")
        rows = np.arange(edges.num_rows, dtype=np.int32)
        out = Csr(pointers["out"].to_numpy(), edges["target"].to_numpy(), rows)
        into = Csr(pointers["into"].to_numpy(), incoming["far"].to_numpy(), incoming["row"].to_numpy())
        segments = tuple(sorted(s for s in self.made.facts["segments"] if s != REFERENCE))
        entities = read("entities")
        # places are nodes among those that segments bring in
        seen = np.flatnonzero(entities["segments"].to_numpy() > 0).astype(np.int32)
        places = self._places()
        if len(seen) < entities.num_rows:
            numbers = np.append(seen, np.int32(-1))
            places = {segment: numbers[nodes] for segment, nodes in places.items()}
        return Window(entities, edges, read("properties"), segments, Adjacency(out, into), places)

    def _places(self) -> dict[str, NDArray[np.int32]]:
        heights = self.made.facts["places"]
        nodes = self.kept.read(self.made, "places")["node"].to_numpy()
        parts = np.split(nodes, np.cumsum([height for _, height in heights])[:-1])
        return {segment: part for (segment, _), part in zip(heights, parts, strict=True)} if heights else {}

    def events(self) -> Sum:
        values = pl.DataFrame(self.kept.read(self.made, "values")).cast(VALUES)
        return sum_within(self.window(), tuple(self.made.facts["names"]), values, self._places())


@dataclass(frozen=True)
class _Change:
    """What makes a kept window the one that is wanted."""

    base: _Kept
    added: Files
    removed: Files

    @classmethod
    def of(cls, base: _Kept, wanted: Files) -> _Change:
        old, new = base.files, wanted
        before, after = _hashes(old), _hashes(new)
        changed = {s for s in {*before, *after} - {REFERENCE} if before.get(s) != after.get(s)}
        return cls(
            base,
            {s: new[s] for s in sorted(changed) if s in new},
            {s: old[s] for s in sorted(changed) if s in old},
        )

    @property
    def rows(self) -> int:
        return _rows(self.added) + _rows(self.removed)

    def applied(self, snapshot: Snapshot, wanted: Files) -> Sum:
        """Return the sum of the wanted segments.

        Raises:
            CorruptFileError: If something is missing or damaged: what left may be deleted by now.
            MismatchError: If the base does not hold what has to be taken out.
        """
        gone = sum_of(_read(snapshot, self.removed)) if self.removed else None
        events = self.base.events()
        if self.added:
            events = plus(events, sum_of(_read(snapshot, self.added)))
        if gone is None:
            return events
        first, last = min(self.removed), max(self.removed)

        def days(backwards: bool) -> Iterator[Day]:
            """Yield the segments that stay, nearest first."""
            names = sorted(wanted.keys() - {REFERENCE}, reverse=backwards)
            return _near_first(
                partial(_day, snapshot, segment, wanted[segment], backwards=backwards)
                for segment in names
                if (segment <= last if backwards else segment >= first)
            )

        return minus(events, gone, days, self.removed.keys() - wanted.keys())


def _updated(snapshot: Snapshot, wanted: Files, known: list[_Kept]) -> Sum | None:
    """Return the sum made of the kept window that is nearest; None if it is better merged anew."""
    changes = sorted((_Change.of(one, wanted) for one in known), key=lambda change: change.rows)
    if not changes or changes[0].rows > _MOST_CHANGED * _rows(wanted):
        return None
    try:
        return changes[0].applied(snapshot, wanted)
    except (CorruptFileError, MismatchError) as error:
        # a live partial that is damaged is found again, and said, by the merge
        _log.info("a kept window cannot be brought up to date", reason=str(error))
        return None


def _near_first(reads: Iterable[Callable[[], Day]]) -> Iterator[Day]:
    """Yield what is read: the nearest when they are asked for, those after them ahead of that.

    What is missing is found in the nearest days, or else in many.
    """
    waiting = iter(reads)
    for read in islice(waiting, _NEAREST):
        yield read()
    yield from ahead(waiting)


def _day(snapshot: Snapshot, segment: str, entries: Mapping[str, FileEntry], *, backwards: bool) -> Day:
    seen = "last_seen" if backwards else "first_seen"
    nodes = _columns(snapshot, entries["entities"], [seen])
    edges = _columns(snapshot, entries["edges"], ["type", "source", "target", seen])
    properties = partial(snapshot.read, entries["properties"])
    return Day.of(segment, (nodes, edges), properties, backwards=backwards)


def _columns(snapshot: Snapshot, entry: FileEntry, names: list[str]) -> pa.Table:
    """Read columns in one thread: days are read side by side, and one alone takes less in all."""
    with snapshot.open(entry) as file:
        return file.read(columns=names, use_threads=False)


def _keep(snapshot: Snapshot, kept: Derived, wanted: Files, events: Sum, window: Window) -> Window:
    """Put a window on disk and return it as it lies there, or as it is where that cannot be."""
    both = Adjacency.of(window.edges, window.entities.num_rows)
    tables = {
        "entities": window.entities,
        "edges": window.edges,
        "properties": window.properties,
        "values": events.values.to_arrow(compat_level=pl.CompatLevel.oldest()),
        "places": pa.table({"node": _joined(list(events.places.values()))}),
        "pointers": pa.table({"out": both.out.indptr, "into": both.into.indptr}),
        "incoming": pa.table({"far": both.into.far, "row": both.into.rows}),
    }
    told = {
        segment: {kind: {name: getattr(e, name) for name in _TOLD} for kind, e in entries.items()}
        for segment, entries in wanted.items()
    }
    facts = {
        "version": _VERSION,
        "segments": told,
        "names": events.names,
        "places": [(segment, len(nodes)) for segment, nodes in events.places.items()],
    }
    inputs = [entry.path for entries in wanted.values() for entry in entries.values()]
    made = kept.keep(tables, generation=snapshot.generation, inputs=inputs, facts=facts)
    if made is not None:
        try:
            return _Kept(kept, made).window()
        except CorruptFileError as error:  # another process may have kept one of the same generation
            _log.info("a kept window is not mapped", reason=str(error))
    return replace(window, adjacency=both)


def _joined(parts: list[NDArray[np.int32]]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, np.int32), *parts])
