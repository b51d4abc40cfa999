"""What the entities of some segments did, by hour and by local day: found segment by segment, then merged.

A merge keeps no more than what later ones need: of a type with too many entities that it has, and of a local
day that no other segment shares how many entities it saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.analysis.newcomers import hashed
from workbench.graph.stack import coded
from workbench.partials.documents import DAY_US, HASH_BITS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from workbench.storage import Segment

__all__ = ["VERSION", "Sighted", "merged_sightings", "sighted"]

VERSION = 2
"""Of what is found in a segment: what is kept of another one is not read."""

_TABLES = ("names", "events", "days", "shared", "hashes")
_HOURS = 24
_HOUR_US = DAY_US // _HOURS
_MOMENT = pl.Datetime("us", "UTC")


@dataclass(frozen=True, eq=False)
class Sighted:
    """What entities did in segments that stand side by side; test accounts are left out.

    Attributes:
        span: The local day just before the first segment and that just after the last: days strictly
            between lie in these segments whole.
        many: Types with more entities than may have series of their own.
        names: ``type`` and ``key`` of the entities of the others.
        events: ``event_type``, ``type``, ``key``, ``hour`` and ``events``, of these entities.
        days: ``type``, ``day`` (since 1970) and ``entities``, how many were seen, of whole days.
        shared: ``type``, ``day`` and ``key``, of the other days.
        hashes: ``type``, ``day`` and ``hashes`` of the keys that were seen, of every day; of one that two
            segments share in two rows.
    """

    span: tuple[int, int]
    many: frozenset[str]
    names: pl.DataFrame
    events: pl.DataFrame
    days: pl.DataFrame
    shared: pl.DataFrame
    hashes: pl.DataFrame

    @classmethod
    def of(cls, tables: Mapping[str, pa.Table]) -> Self | None:
        """Return what was found in a segment; None if that is nothing."""
        if not tables:
            return None
        ((first, last, many),) = pl.DataFrame(tables["about"]).rows()
        return cls((first, last), frozenset(many), **{name: pl.DataFrame(tables[name]) for name in _TABLES})

    def tables(self) -> dict[str, pa.Table]:
        """Return the same as Arrow tables."""
        oldest = pl.CompatLevel.oldest()
        (first, last), many = self.span, sorted(self.many)
        about = pa.table({"first": [first], "last": [last], "many": pa.array([many], pa.list_(pa.string()))})
        found = {name: getattr(self, name).to_arrow(compat_level=oldest) for name in _TABLES}
        return {"about": about, **found}

    @property
    def distinct(self) -> pl.DataFrame:
        """Return how many entities were seen by type and day, taking every day as whole."""
        return pl.concat([self.days, _counted(self.shared)])


def sighted(
    segment: Segment, *, timezone: str, attributes: Collection[str], most_values: int
) -> dict[str, pa.Table]:
    """Return what the entities of one segment did, as :meth:`Sighted.of` takes it; empty if that is nothing.

    Args:
        segment: Which one.
        timezone: Decides what a day is.
        attributes: Types whose entities are not counted by day.
        most_values: Of a type with more entities there are no events by entity.

    Raises:
        CorruptFileError: If a partial is damaged.
    """
    entities = segment.read("entities", columns=["type", "key", "is_test"])
    sightings = segment.read("sightings")
    if not entities or not sightings:
        return {}
    nodes = _Nodes.of(entities[0], most_values)
    node = sightings[0]["node"].to_numpy()
    hour = np.clip((sightings[0]["_id"].to_numpy() >> HASH_BITS) // _HOUR_US, 0, _HOURS - 1)
    seen = np.zeros((len(nodes), _HOURS), bool)
    seen.ravel()[node * np.int64(_HOURS) + hour] = True
    midnight = datetime.fromisoformat(segment.day).replace(tzinfo=UTC)
    around = [midnight - timedelta(microseconds=1), midnight + timedelta(days=1)]
    first, last = _local_days(pl.Series(around, dtype=_MOMENT), timezone).tolist()
    hours = pl.Series([midnight + timedelta(hours=h) for h in range(_HOURS)], dtype=_MOMENT)
    days = nodes.by_day(seen, _local_days(hours, timezone), attributes)
    whole = pl.col("day").is_between(first, last, closed="none")
    found = Sighted(
        (first, last),
        nodes.many,
        nodes.names,
        nodes.events(node, hour, *coded(sightings[0]["event_type"]), hours),
        _counted(days.filter(whole)),
        days.filter(~whole),
        hashed(days),
    )
    return found.tables()


def merged_sightings(parts: Sequence[Sighted | None], *, most_values: int) -> Sighted | None:
    """Return what entities did in segments that stand side by side, from what they did in each."""
    found = [part for part in parts if part is not None]
    if not found:
        return None
    (first, _), (_, last) = found[0].span, found[-1].span
    names = pl.concat(part.names for part in found).unique()
    sizes = names.group_by("type").len().filter(pl.col("len") > most_values)
    many = frozenset(sizes["type"].to_list()).union(*(part.many for part in found))
    few = ~pl.col("type").is_in(sorted(many))
    shared = pl.concat(part.shared for part in found)
    whole = pl.col("day").is_between(first, last, closed="none")
    return Sighted(
        (first, last),
        many,
        names.filter(few),
        pl.concat(part.events.filter(few) for part in found),
        pl.concat([*(part.days for part in found), _counted(shared.filter(whole).unique())]),
        shared.filter(~whole).unique(),
        pl.concat(part.hashes for part in found),
    )


def _counted(shared: pl.DataFrame) -> pl.DataFrame:
    """Return how many entities there are by type and day."""
    return shared.group_by("type", "day").agg(pl.len().cast(pl.Int64).alias("entities"))


def _local_days(moments: pl.Series, timezone: str) -> NDArray[np.int64]:
    """Return the numbers of the local days, counted from 1970, that moments lie in."""
    local = moments.dt.convert_time_zone(timezone).dt.date()
    return local.to_physical().cast(pl.Int64).to_numpy()


@dataclass(frozen=True, eq=False)
class _Nodes:
    """The entities of a segment: ``type`` and ``key`` of each, and which are no test accounts.

    ``few`` says which are of a type that has so few of them that each may have series of its own.
    """

    frame: pl.DataFrame
    real: NDArray[np.bool_]
    few: NDArray[np.bool_]

    @classmethod
    def of(cls, table: pa.Table, most_values: int) -> _Nodes:
        codes, types = coded(table["type"])
        real = ~table["is_test"].to_numpy()
        sizes = np.bincount(codes[real], minlength=len(types))
        names = pl.Series("type", types, pl.String()).gather(codes)
        return cls(pl.DataFrame([names, pl.Series("key", table["key"])]), real, (sizes <= most_values)[codes])

    def __len__(self) -> int:
        return len(self.real)

    @property
    def many(self) -> frozenset[str]:
        """The types with more entities."""
        return frozenset(self.frame["type"].filter(pl.Series(self.real & ~self.few)).unique())

    @property
    def names(self) -> pl.DataFrame:
        """The entities of the others."""
        return self.frame.filter(pl.Series(self.real & self.few))

    def by_day(
        self, seen: NDArray[np.bool_], days: NDArray[np.int64], attributes: Collection[str]
    ) -> pl.DataFrame:
        """Return which entities were seen in which local day, from the hours that they were seen in."""
        counts = self.real & ~self.frame["type"].is_in(sorted(attributes)).to_numpy()
        found = []
        for day in np.unique(days).tolist():
            here = counts & seen[:, days == day].any(axis=1)
            found.append(self.frame.filter(pl.Series(here)).select("type", pl.lit(day).alias("day"), "key"))
        return pl.concat(found)

    def events(
        self,
        node: NDArray[np.int32],
        hour: NDArray[np.int64],
        event: NDArray[np.int32],
        events: tuple[str, ...],
        hours: pl.Series,
    ) -> pl.DataFrame:
        """Return how many events of each type each of the few has in each hour, from a row a sighting."""
        chosen = np.flatnonzero(self.real & self.few)
        number = np.full(len(self), -1, np.int64)
        number[chosen] = np.arange(len(chosen))
        place = number[node]
        rows = place >= 0
        shape = (len(chosen), max(len(events), 1), len(hours))
        counts = np.bincount((place[rows] * shape[1] + event[rows]) * shape[2] + hour[rows])
        met = np.flatnonzero(counts)
        who, what, when = np.unravel_index(met, shape)
        return self.frame[chosen][who].select(
            pl.Series("event_type", events, pl.String()).gather(what),
            "type",
            "key",
            hours.gather(when).alias("hour"),
            pl.Series("events", counts[met]),
        )
