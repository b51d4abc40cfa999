"""What a rule sees at a moment: features of a period, of the periods before it, and what detectors say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl

from workbench.analysis.activity import from_us, read_activity
from workbench.analysis.features import declared_features, features_of
from workbench.analysis.signals import Scope, signals
from workbench.analysis.signals._classic import z_scores
from workbench.analysis.tails import score
from workbench.errors import UnknownNameError, UsageError
from workbench.partials.documents import DAY_US

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from pathlib import Path
    from typing import Any

    import pyarrow as pa
    from numpy.typing import NDArray

    from workbench.analysis.activity import Activity
    from workbench.analysis.features import Feature, FeatureMatrix
    from workbench.analysis.tasks.base import Context
    from workbench.config.entity_schema import EntitySchema
    from workbench.config.features import FeatureConfig
    from workbench.knowledge import KnowledgeStore
    from workbench.partials.types import FieldType
    from workbench.plans.answer import Answer
    from workbench.rules.memory import Memory
    from workbench.settings import Settings
    from workbench.storage import SegmentStore, Snapshot
    from workbench.storage.by_segment import BySegment

__all__ = ["Scene", "World", "window_start"]

# The name of a signal in rules, and its detector's.
_DETECTORS = {
    "dbscan_noise": "dbscan_noise",
    "behavioral_deviation": "behavioural",
    "graph_anomaly": "graph",
    "isolation": "isolation",
}


class World(Protocol):
    """What rules need of a workspace."""

    path: Path
    timezone: str
    schema: EntitySchema
    settings: Settings
    store: SegmentStore

    @property
    def snapshot(self) -> Snapshot:
        """Return the generation that is being read."""

    @property
    def by_segment(self) -> BySegment:
        """Return what finds, and keeps, what single segments tell."""

    @property
    def fields(self) -> Mapping[str, Mapping[str, FieldType]]:
        """Return the type of each field, by event type."""

    @property
    def feature_config(self) -> FeatureConfig:
        """Return what is measured beyond the defaults."""

    @property
    def knowledge(self) -> KnowledgeStore:
        """Return the results of compute."""

    @property
    def now(self) -> datetime | None:
        """Return the latest event time."""

    def refresh(self) -> object:
        """Read the newest generation from now on."""

    def context(
        self, segments: Sequence[str], asof: datetime, parameters: dict[str, Any] | None = None
    ) -> Context:
        """Return what tasks and detectors work on."""

    def configured(self, task: str) -> dict[str, Any]:
        """Return the parameters that a file of the workspace gives a task."""

    def execute(self, plan: Any) -> Answer:
        """Run a plan."""

    def scan(
        self,
        type: str,  # noqa: A002  (the word of the specification)
        *,
        since: str | date | None = None,
        until: str | date | None = None,
        where: Any = None,
        columns: Sequence[str] | None = None,
    ) -> pa.RecordBatchReader:
        """Return documents in Arrow batches."""


def window_start(snapshot: Snapshot) -> int:
    """Return the time of the first event, in microseconds; 0 where there is none."""
    return min((f.min_ts or 0 for f in snapshot.files("events")), default=0)


def _us(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


@dataclass(frozen=True)
class Scene:
    """The subjects of one type at a moment; arrays have a row a subject, in the order of :attr:`keys`.

    The periods before are as long, and lie whole days earlier: at the same hours.

    Attributes:
        world: The workspace.
        type_: The entity type.
        until: End of the period, not included, in microseconds since 1970.
        lookback: Length of the period.
        history: Length of what lies before it and is compared with.
        reach: How far before the period events are looked at, whether there is a history or not.
        memory: Where activity was read already.
    """

    world: World
    type_: str
    until: int
    lookback: timedelta
    history: timedelta
    reach: timedelta = timedelta()
    memory: Memory | None = None

    @property
    def since(self) -> int:
        """Return the start of the period."""
        return self.until - _us(self.lookback)

    @property
    def start(self) -> int:
        """Return the start of what is read: whole periods, none before the window's start, or the reach."""
        return min(self.since - self.stride * self._periods, self.since - _us(self.reach))

    @property
    def stride(self) -> int:
        """Return how far apart the periods lie: whole days."""
        return -(-_us(self.lookback) // DAY_US) * DAY_US

    @property
    def _periods(self) -> int:
        reach = min(_us(self.history), self.since - window_start(self.world.snapshot))
        return max(reach // self.stride, 0)

    @cached_property
    def scope(self) -> Scope:
        """Return what detectors work on."""
        day = from_us(self.until - 1).date().isoformat()
        segments = [s for s in self.world.snapshot.segments if s <= day]
        if not segments:
            raise UsageError("there are no events before the moment of the evaluation.")
        context = self.world.context(segments, from_us(self.until - 1))
        scope = Scope(context, self.type_, self.since, self.until, self.start)
        if self.memory and (known := self.memory.activity(self.type_, self.start, self.until)):
            vars(scope)["activity"] = known
        return scope

    @property
    def activity(self) -> Activity:
        """Return what the subjects did in history and period."""
        return self.scope.activity

    @property
    def keys(self) -> pl.Series:
        """Return the keys of the subjects, sorted."""
        return self.activity.keys

    def __len__(self) -> int:
        """Return the number of subjects."""
        return len(self.keys)

    @cached_property
    def features(self) -> dict[str, Feature]:
        """Return the features that there are, by name."""
        found = declared_features(self.world.schema, self.world.feature_config, self.type_)
        return {feature.name: feature for feature in found}

    def feature(self, name: str) -> Feature:
        """Return a feature.

        Raises:
            UnknownNameError: If there is none of that name; near misses are suggested.
        """
        if name not in self.features:
            raise UnknownNameError(f"feature of {self.type_}", name, self.features)
        return self.features[name]

    def values(self, name: str) -> NDArray[np.float64]:
        """Return a feature in the period; not a number where there is nothing to measure."""
        return np.asarray(self._by_period(name)[0])

    def before(self, name: str) -> NDArray[np.float64]:
        """Return a feature in each period before: ``[periods, subjects]``, the latest first.

        It is not a number before a subject's first event.
        """
        earlier = self._by_period(name)[1:]
        ends = self.until - self.stride * np.arange(1, len(earlier) + 1)
        return np.asarray(np.where(self._first[None, :] < ends[:, None], earlier, np.nan))

    @cached_property
    def events(self) -> NDArray[np.int64]:
        """Return the number of events in the period."""
        return np.asarray(self._counts(None)[0].astype(np.int64))

    @cached_property
    def matrix(self) -> FeatureMatrix:
        """Return all features of the period."""
        return self._matrices[0] if "_matrices" in self.__dict__ else self._matrix(self.since, self.until)

    def signal(self, name: str) -> tuple[NDArray[np.float64], str]:
        """Return what a detector says of each subject, and why it says nothing at all, if it does not."""
        if name == "z_score":
            found = np.full(len(self), np.nan)
            found[self.events > 0] = np.abs(self._z).max(axis=1, initial=0.0)
            return found, ""
        if len(self) == 0:
            return np.empty(0), ""
        finding = signals.create(_DETECTORS[name]).find(self.scope)
        if name == "isolation":  # a tail probability
            known = np.isfinite(finding.values)
            scores = score(np.where(known, finding.values, 1.0))
            return np.where(known, scores, np.nan), finding.reason
        return finding.values, finding.reason

    def strongest(self, row: int) -> tuple[str, float]:
        """Return the feature of a subject that is most standard deviations from the mean, and how many."""
        z = self._z[int((self.events[:row] > 0).sum())]
        feature = int(np.abs(z).argmax())
        return self.matrix.names[feature], float(z[feature])

    @cached_property
    def _z(self) -> NDArray[np.float64]:
        """Return how many standard deviations every feature of those who did anything is from the mean."""
        return z_scores(self.matrix.values[self.events > 0])

    def addresses(self, rows: NDArray[np.int64], event_type: str = "", most: int = 5) -> dict[int, list[str]]:
        """Return the addresses of some subjects' last events in the period, of a type if one is given."""
        chosen = pl.col("actor").is_in(rows.tolist()) & (pl.col("ts") >= self.since)
        if event_type:
            chosen &= pl.col("event_type") == event_type
        day = pl.col("day").cast(pl.Date).dt.strftime("%Y-%m-%d")
        found = (
            self.activity.events.lazy()
            .filter(chosen)
            .group_by("actor", maintain_order=True)
            .tail(most)
            .select("actor", pl.concat_str(day, pl.lit("/"), pl.col("_id")).alias("address"))
            .group_by("actor", maintain_order=True)
            .agg("address")
            .collect()
        )
        return dict(found.iter_rows())

    @cached_property
    def _first(self) -> NDArray[np.int64]:
        first = self.activity.events.group_by("actor").agg(pl.col("ts").min())
        found = np.full(len(self), np.iinfo(np.int64).max)
        found[first["actor"].to_numpy()] = first["ts"].to_numpy()
        return found

    def _by_period(self, name: str) -> NDArray[np.float64]:
        feature = self.feature(name)
        if feature.kind == "count":
            return self._counts(feature.source)
        place = self.matrix.names.index(name)
        if not self._periods:
            return np.asarray(self.matrix.values[None, :, place])
        return np.stack([matrix.values[:, place] for matrix in self._matrices])

    def _counts(self, event_type: str | None) -> NDArray[np.float64]:
        """Return the number of events by period and subject in one pass."""
        age = self.until - 1 - pl.col("ts")
        chosen = age % self.stride < _us(self.lookback)
        if event_type is not None:
            chosen &= pl.col("event_type") == event_type
        found = (
            self.activity.events.lazy()
            .filter(chosen)
            .group_by("actor", (age // self.stride).alias("period"))
            .agg(pl.len().alias("n"))
            .filter(pl.col("period") <= self._periods)
            .collect()
        )
        counts = np.zeros((self._periods + 1, len(self)))
        counts[found["period"].to_numpy(), found["actor"].to_numpy()] = found["n"].to_numpy()
        return counts

    @cached_property
    def _matrices(self) -> list[FeatureMatrix]:
        ends = [self.until - self.stride * n for n in range(self._periods + 1)]
        return [self._matrix(end - _us(self.lookback), end) for end in ends]

    def _matrix(self, since: int, until: int) -> FeatureMatrix:
        part = self.activity.between(since, until)
        if until - since < DAY_US:
            part = replace(part, edges=self._edges(since, until))
        world = self.world
        return features_of(part, world.schema, world.feature_config, world.timezone, everyone=True)

    def _edges(self, since: int, until: int) -> pl.DataFrame:
        """Return the edges of less than a day: those of the history tell only whole days exactly."""
        world = self.world
        short = read_activity(
            world.snapshot,
            self.scope.context.segments,
            world.schema,
            self.type_,
            since,
            until,
            events_since=until,
        )
        place = self.keys.search_sorted(short.keys).cast(pl.Int32)
        return short.edges.with_columns(place.gather(short.edges["actor"]).alias("actor"))
