"""The store of compute results: one immutable table a run, selected by the data time it saw."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from workbench.errors import UnknownNameError, UsageError
from workbench.storage.missing import notes_on
from workbench.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from workbench.knowledge.diff import Difference
    from workbench.storage import FileEntry, SegmentStore, Snapshot, Transaction

__all__ = ["Knowledge", "KnowledgeStore", "Run", "notes_of", "parse_asof"]

_KEPT = 8
# Of each open workspace, by path: results are never written anew.
_tables: WeakKeyDictionary[SegmentStore, dict[str, pa.Table]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Run:
    """How a result came about.

    Attributes:
        id: Unique name of the run.
        kind: What kind of knowledge it is ("pagerank", …).
        algorithm: The method, with its source library.
        parameters: What it was run with.
        seed: Seed of all randomness in it.
        device: Which backend ran.
        fallback: Why a preferred backend did not run; empty where it did.
        versions: Libraries at work.
        segments: First and last segment that it saw, and how many.
        inputs: Hash of the partials that it saw.
        asof: Data time: the end of the window that it saw, ISO 8601 in UTC.
        created: Wall clock at its start, ISO 8601 in UTC.
        seconds: Wall time of the kernel.
        metrics: Figures about the result.
        memory: Bytes. ``process``: by how much the process's peak resident memory grew while the task ran; 0
            where it stayed below an earlier peak, and what ran beside it counts too. ``device``: the most
            that one of its kernels held of a GPU's memory.
    """

    id: str
    kind: str
    algorithm: str
    parameters: dict[str, Any]
    seed: int
    device: str
    fallback: str
    versions: dict[str, str]
    segments: tuple[str, str, int]
    inputs: str
    asof: str
    created: str
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)

    @property
    def day(self) -> str:
        """Return the last segment that the run saw: as-of reads select by it."""
        return self.segments[1]


@dataclass(frozen=True, repr=False)
class Knowledge(Tabular):
    """One result with its run; ``notes`` say what was missing from what it was computed from."""

    run: Run
    table: pa.Table
    timezone: str = "UTC"
    notes: tuple[str, ...] = ()

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        return self.table

    def _title(self) -> str:
        run = self.run
        why = f", {run.fallback}" if run.fallback else ""
        metrics = "".join(f", {name} {value:.4g}" for name, value in run.metrics.items())
        return f"{run.kind} as of {run.asof} by {run.algorithm} on {run.device}{why}{metrics}" + "".join(
            f". {note}" for note in self.notes
        )


class KnowledgeStore:
    """Reads the knowledge of a workspace.

    Args:
        store: The workspace's files.
        timezone: Zone in which results show times.
    """

    def __init__(self, store: SegmentStore, timezone: str = "UTC") -> None:
        self._store = store
        self._timezone = timezone

    def kinds(self) -> list[str]:
        """Return the kinds of knowledge that there are."""
        return sorted({f.name for f in self._store.snapshot().files("knowledge")})

    def runs(self, kind: str | None = None) -> list[Run]:
        """Return all runs, oldest data time first, the latest of equal ones last."""
        return [_run(e) for e in _entries(self._store.snapshot(), kind)]

    def read(self, kind: str, *, asof: str | date | None = None, run: str | None = None) -> Knowledge:
        """Return one result.

        Args:
            kind: Which knowledge.
            asof: The day (UTC) whose segment was the last that the run saw; by default the newest.
            run: A run's id, instead of ``asof``.

        Raises:
            UnknownNameError: If there is no such knowledge, run, or none as of that day; the message
                names the nearest day that there is. A neighbouring day is never returned silently.
        """
        snapshot = self._store.snapshot()
        entries = _entries(snapshot, kind) if isinstance(kind, str) else []  # type: ignore[redundant-expr]
        if not entries:
            kinds = sorted({f.name for f in snapshot.files("knowledge")})
            raise UnknownNameError(
                "knowledge", kind, kinds, fix="" if kinds else f"Run compute({kind!r}) first."
            )
        if run is not None:
            by_id = {_run(e).id: e for e in entries}
            if run not in by_id:
                raise UnknownNameError(f"run of {kind}", run, by_id)
            return self._knowledge(snapshot, by_id[run])
        if asof is None:
            return self._knowledge(snapshot, entries[-1])
        day = parse_asof(asof)
        found = [e for e in entries if _run(e).day == day]
        if not found:
            days = sorted({_run(e).day for e in entries})
            nearest = min(days, key=lambda d: abs((date.fromisoformat(d) - date.fromisoformat(day)).days))
            raise UnknownNameError(
                f"{kind} as of",
                day,
                days,
                fix=f"The nearest is as of {nearest}; compute({kind!r}, asof={day!r}) makes this one while "
                "its segments live.",
            )
        return self._knowledge(snapshot, found[-1])

    def diff(self, before: str | Knowledge, after: str | Knowledge, *, on: Sequence[str] = ()) -> Difference:
        """Return the rows of two results of one kind that differ, with the values of both.

        Args:
            before: A run's id, or a result.
            after: Another of the same kind.
            on: The columns by which rows are known; by default what is usual for the kind.

        Raises:
            UnknownNameError: If there is no such run.
            UsageError: If they are of different kinds, or rows are not known by ``on``.
        """
        from workbench.knowledge.diff import difference  # noqa: PLC0415  (only where it is needed)

        return difference(self._meant(before), self._meant(after), on)

    def _meant(self, given: str | Knowledge) -> Knowledge:
        if isinstance(given, Knowledge):
            return given
        kinds = {run.id: run.kind for run in self.runs()}
        if given not in kinds:
            raise UnknownNameError("run", given, kinds)
        return self.read(kinds[given], run=given)

    def _knowledge(self, snapshot: Snapshot, entry: FileEntry) -> Knowledge:
        run = _run(entry)
        return Knowledge(run, self._table(snapshot, entry), self._timezone, notes_of(run, snapshot))

    def _table(self, snapshot: Snapshot, entry: FileEntry) -> pa.Table:
        """Return a result; the last few stay in memory, since every page and picture asks for them."""
        tables = _tables.setdefault(self._store, {})
        table = tables.pop(entry.path, None)
        if table is None:
            table = snapshot.read(entry)
        tables[entry.path] = table
        for oldest in list(tables)[:-_KEPT]:
            tables.pop(oldest, None)
        return table


def notes_of(run: Run, snapshot: Snapshot) -> tuple[str, ...]:
    """Return what was missing from what a run saw, as sentences."""
    missing = [m for m in snapshot.missing if m.entry.kind in ("events", "reference")]
    return notes_on((m for m in missing if m.since <= run.created), segments=run.segments[:2])


def add(transaction: Transaction, run: Run, table: pa.Table) -> None:
    """Store a result with the generation that is being made."""
    meta = asdict(run)
    transaction.add(
        "knowledge", table, name=run.kind, folder=f"knowledge/{run.kind}", inputs=run.inputs, meta=meta
    )


def parse_asof(asof: str | date) -> str:
    """Return the segment's day that ``asof`` falls on.

    Raises:
        UsageError: If it is neither a date nor an ISO 8601 text.

    >>> parse_asof("2013-06-30"), parse_asof("2013-06-30T23:30:00-04:00")
    ('2013-06-30', '2013-07-01')
    """
    if isinstance(asof, str):
        try:
            asof = datetime.fromisoformat(asof) if len(asof) > len("2013-06-30") else date.fromisoformat(asof)
        except ValueError:
            raise UsageError(f"{asof!r} is not a time.", fix="Give a date such as 2013-06-30.") from None
    if isinstance(asof, datetime):
        asof = (asof.astimezone(UTC) if asof.tzinfo else asof).date()
    if not isinstance(asof, date):
        raise UsageError(f"{asof!r} is not a time.", fix="Give a date such as 2013-06-30.")
    return asof.isoformat()


def _entries(snapshot: Snapshot, kind: str | None) -> list[FileEntry]:
    return sorted(snapshot.files("knowledge", name=kind), key=lambda e: (e.meta["asof"], e.meta["created"]))


def _run(entry: FileEntry) -> Run:
    # what earlier versions wrote has no memory
    facts = {f.name: entry.meta[f.name] for f in fields(Run) if f.name in entry.meta}
    return Run(**{**facts, "segments": tuple(facts["segments"])})
