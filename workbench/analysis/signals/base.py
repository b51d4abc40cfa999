"""What a signal is: the activity of all actors in, a figure an actor and its evidence out."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, overload

import numpy as np
import polars as pl

from workbench.analysis.activity import event_edges, read_activity
from workbench.analysis.expectation import Cells
from workbench.analysis.features import IQR_OF_NORMAL, counting_of, features_of, standardise
from workbench.analysis.signals._pairs import Pairs
from workbench.analysis.tally import HOUR_US, HOURS, read_tally, tally_of
from workbench.partials.documents import DAY_US
from workbench.registry import Driver

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Self

    from numpy.typing import NDArray

    from workbench.analysis.activity import Activity, EdgeEnd
    from workbench.analysis.features import FeatureMatrix
    from workbench.analysis.tally import Counting, Tally
    from workbench.analysis.tasks.base import Context
    from workbench.compute import KernelRun

__all__ = ["EVIDENCE", "WORTH_NAMING", "Finding", "Scope", "Signal", "evidence"]

_T = TypeVar("_T")

EVIDENCE = {
    "actor": pl.Int32(),
    "kind": pl.String(),  # which sentence says it
    "feature": pl.String(),
    "source": pl.String(),  # event type or edge type; empty: all events
    "other": pl.String(),  # key of the neighbour that it is about, null where it is about none
    "value": pl.Float64(),
    "typical": pl.Float64(),
    "z": pl.Float64(),  # signed, in standard deviations
    "since": pl.Int64(),  # the time that deviates, microseconds since 1970
    "until": pl.Int64(),
}
"""One row for each thing about an actor that is not as expected."""

WORTH_NAMING = 2.0
"""So many standard deviations out."""

# With so many events, an actor's deviations from the others count half.
_PRIOR = 5.0


class once(cached_property[_T]):  # noqa: N801  (a decorator)
    """A cached property that no two threads compute: signals run side by side."""

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> _T: ...
    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        """Return the value; who asks for it while it is computed waits."""
        if instance is None:
            return self
        with instance.lock:
            return super().__get__(instance, owner)


@dataclass(frozen=True)
class Scope:
    """What signals work on: a period that is judged, and the history before it.

    Days are 24 hours that end with the period, so that neither time zones nor summer time make one longer.

    Attributes:
        context: The task's.
        type_: Whose anomalies.
        since: Start of the period, in microseconds.
        until: Its end, not included.
        start: Start of the history.
        by_hour: Whether these are full hours, and the history is known by what was counted in them: of its
            events only those of the period are read.
    """

    context: Context
    type_: str
    since: int
    until: int
    start: int
    by_hour: bool = False
    lock: AbstractContextManager[Any] = field(default_factory=RLock, init=False, repr=False, compare=False)

    @once
    def activity(self) -> Activity:
        """Return what the actors did in history and period; an actor is its place here."""
        context = self.context
        return read_activity(
            context.snapshot,
            context.segments,
            context.schema,
            self.type_,
            self.start,
            self.until,
            properties=self.type_ in context.features.encodings,
            events_since=self.since if self.by_hour else None,
        )

    @property
    def events(self) -> pl.DataFrame:
        """Return the events of the period, as activity has them."""
        events = self.activity.events
        return events if self.by_hour else events.filter(pl.col("ts") >= self.since)

    @property
    def counting(self) -> Counting:
        """Return how their events are counted."""
        return counting_of(self.type_, self.context.features, self.context.timezone)

    @once
    def tally(self) -> Tally:
        """Return how often the actors did what in history and period."""
        return self._tally(self.start, self.until)

    def _tally(self, since: int, until: int) -> Tally:
        if self.by_hour:
            return read_tally(self.activity, self.counting, since, until, self.context.by_segment)
        return tally_of(self.activity.between(since, until).events, self.counting)

    @once
    def matrix(self) -> FeatureMatrix:
        """Return the features of the period, a row for every actor."""
        return self.features(self.since, self.until)

    def features(self, since: int, until: int) -> FeatureMatrix:
        """Return the features of a part of the time, a row for every actor; at least a day long."""
        context = self.context
        return features_of(
            self.activity.between(since, until),
            context.schema,
            context.features,
            context.timezone,
            everyone=True,
            tally=self._tally(max(since, self.start), min(until, self.until)),
        )

    @once
    def active(self) -> NDArray[np.int64]:
        """Return the actors with an event in the period: the others have nothing to compare."""
        return np.flatnonzero(self.matrix.events > 0)

    @once
    def points(self) -> NDArray[np.float64]:
        """Return the standardised features of the active actors, in standard deviations.

        The figures of an actor with few events are shrunk towards the typical: it is no anomaly because of a
        ratio of two events.
        """
        matrix = self.matrix
        points = standardise(matrix.values[self.active], matrix.features)
        number = matrix.events[self.active, None].astype(np.float64)
        points *= IQR_OF_NORMAL
        points *= number
        points /= number + _PRIOR
        return points

    def __len__(self) -> int:
        """Return the number of actors."""
        return len(self.activity.keys)

    def nothing(self, reason: str) -> Finding:
        """Return the finding of a signal that is not available."""
        return Finding(np.full(len(self), np.nan), reason=reason)

    @property
    def days(self) -> int:
        """Return the length of the period in days."""
        return (self.until - self.since) // DAY_US

    @property
    def history(self) -> int:
        """Return the number of whole days of history."""
        return max((self.since - self.start) // DAY_US, 0)

    @once
    def new_edges(self) -> tuple[EdgeEnd, ...]:
        """Return the edge types with new neighbours: as configured, else all but those to attributes."""
        wanted, schema = self.context.features.new_neighbours, self.context.schema
        ends = event_edges(schema, self.type_)
        if wanted:
            return tuple(end for end in ends if end.edge in wanted)
        return tuple(end for end in ends if end.neighbour not in schema.attributes)

    @once
    def met(self) -> dict[EdgeEnd, pl.DataFrame]:
        """Return the edges of each of these types, if there are any: a row an edge and a day."""
        parts = self.activity.by_end()
        wanted = {end: parts.get((end.edge, end.outgoing)) for end in self.new_edges}
        return {end: part for end, part in wanted.items() if part is not None}

    @once
    def pairs(self) -> dict[EdgeEnd, Pairs]:
        """Return the actors and neighbours that met, by edge type."""
        return {end: Pairs.of(edges) for end, edges in self.met.items()}

    @once
    def own(self) -> frozenset[EdgeEnd]:
        """Return whose neighbours are mostly an actor's own: most have one, and most of these have one."""
        found = []
        for end, pairs in self.pairs.items():
            numbers = [np.bincount(side) for side in (pairs.actor, pairs.neighbour)]
            if all(np.median(number[number > 0]) == 1 for number in numbers):
                found.append(end)
        return frozenset(found)

    @once
    def seen_days(self) -> NDArray[np.int64]:
        """Return for how many days of the history each actor has been known: from its first event on."""
        spans = self.tally.spans
        known = np.zeros(len(self), np.int64)
        days = (self.since - 1 - spans["first"].to_numpy()) // DAY_US + 1
        known[spans["actor"].to_numpy()] = np.clip(days, 0, self.history)
        return known

    def daily(self, event_type: str | None = None) -> Cells:
        """Return the number of events, of a type or of all, by actor and day; day 0 is the period's last."""
        total, last = self.days + self.history, (self.until - 1) // HOUR_US
        hourly = self.tally.hourly.filter(
            pl.col("hour") > last - total * HOURS,
            event_type is None or pl.col("event_type") == event_type,
        )
        actor, hour, events = (hourly[c].to_numpy() for c in ("actor", "hour", "events"))
        return Cells.of(actor, (last - hour) // HOURS, events, (len(self), total))


@dataclass(frozen=True)
class Finding:
    """What a signal found.

    Attributes:
        values: A figure an actor, not a number where it has nothing to say. In ``classic`` an anomaly
            score in [0, 1]; in ``ensemble`` an upper-tail probability.
        evidence: Rows of :data:`EVIDENCE`.
        reason: Why the signal is not available at all; empty where it is.
        kernel: The record of the kernel that it ran, if it ran one.
    """

    values: NDArray[np.float64]
    evidence: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=EVIDENCE))
    reason: str = ""
    kernel: KernelRun | None = None


class Signal(Driver):
    """One view of what is unusual about an actor, named by the file's stem.

    Attributes:
        profile: Which profile it belongs to.
        weight: Its weight in the combination.
    """

    profile: ClassVar[Literal["classic", "ensemble"]] = "ensemble"
    weight: ClassVar[float] = 1.0

    @abstractmethod
    def find(self, scope: Scope) -> Finding:
        """Return the signal of every actor."""


def evidence(actor: NDArray[np.integer], **columns: Any) -> pl.DataFrame:
    """Return those rows of :data:`EVIDENCE` that are worth naming: few of all actors.

    Args:
        actor: Whose.
        **columns: The other columns; a value that is neither array nor series stands in every row.
    """
    given = {"actor": actor, **columns}
    told = np.flatnonzero(~(np.abs(given["z"]) < WORTH_NAMING))
    return pl.DataFrame(
        [
            pl.Series(name, given[name][told], dtype=kind, strict=False)
            if isinstance(given.get(name), np.ndarray | pl.Series)
            else pl.Series(name, [given.get(name)], dtype=kind).new_from_index(0, len(told))
            for name, kind in EVIDENCE.items()
        ]
    )
