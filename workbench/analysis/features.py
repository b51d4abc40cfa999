"""Features: figures about each actor of a type over a range of time, for any entity schema."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.analysis.activity import event_edges, event_types, from_us
from workbench.analysis.runs import starts
from workbench.analysis.tally import HOUR_US, HOURS, Counting, tally_of
from workbench.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from numpy.typing import NDArray

    from workbench.analysis.activity import Activity
    from workbench.analysis.tally import Tally
    from workbench.config.entity_schema import EntitySchema
    from workbench.config.features import Encoding, FeatureConfig

__all__ = [
    "IQR_OF_NORMAL",
    "Feature",
    "FeatureMatrix",
    "counting_of",
    "declared_features",
    "features_of",
    "standardise",
]

Kind = Literal["count", "distinct", "visits", "gap", "entropy", "one-hot", "ordinal"]

_LOGARITHMIC = {"count", "distinct", "visits", "gap"}
# Half of what lies between none and one: where nearly all counts are equal, one more is no extreme.
_LEAST_SPREAD = 0.5 * float(np.log(2))

IQR_OF_NORMAL = 1.349
"""So many standard deviations lie between the quartiles of a normal distribution."""


@dataclass(frozen=True)
class Feature:
    """One column of a feature matrix.

    Attributes:
        name: The column's name.
        kind: What it measures.
        source: The event type, edge type or property that it is about; empty for visits and hours.
        value: Of a one-hot column, the value that it stands for.
        outgoing: Of a distinct count, whether the actor is the edge's source.
    """

    name: str
    kind: Kind
    source: str = ""
    value: str = ""
    outgoing: bool = True

    @property
    def text(self) -> str:
        """Return the feature in words, to follow a number.

        >>> Feature("login_count", "count", "Login").text
        'Login events'
        """
        return {
            "count": f"{self.source} events",
            "distinct": f"distinct {self.source} neighbours",
            "visits": "visits",
            "gap": "hours between visits",
            "entropy": "bits of spread over the hours of the day",
            "one-hot": f"{self.source} = {self.value}",
            "ordinal": self.source,
        }[self.kind]


@dataclass(frozen=True, repr=False)
class FeatureMatrix(Tabular):
    """Figures about each actor of one type that did something in a range of time.

    Attributes:
        type_: The entity type.
        features: What the columns are.
        entities: The actors, written ``type:key``, sorted by key.
        values: A row an actor, a column a feature; not a number where there is nothing to measure, such
            as the gap between visits of an actor with one visit.
        events: The number of events of each actor.
        since: Start of the range.
        until: Its end, not included.
        timezone: Zone of the hours of the day.
    """

    type_: str
    features: tuple[Feature, ...]
    entities: pa.Array
    values: NDArray[np.float64]
    events: NDArray[np.int64]
    since: datetime
    until: datetime
    timezone: str = "UTC"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return tuple(f.name for f in self.features)

    @cached_property
    def standardised(self) -> NDArray[np.float64]:
        """Return the values as detectors see them: see :func:`standardise`."""
        return standardise(self.values, self.features)

    def to_arrow(self) -> pa.Table:
        """Return ``entity`` and a column each; null where there is nothing to measure."""
        columns = {n: pa.array(self.values[:, i], from_pandas=True) for i, n in enumerate(self.names)}
        return pa.table({"entity": self.entities, **columns})

    def _title(self) -> str:
        return f"features of {self.type_} from {self.since.isoformat()} until {self.until.isoformat()}"


def declared_features(schema: EntitySchema, config: FeatureConfig, type_: str) -> tuple[Feature, ...]:
    """Return the features of ``type_``: they depend on the schema and the configuration, never on data.

    For each event type a count, for each edge type the number of distinct neighbours, then visits, the
    gap between them, the spread over the hours of the day, and the configured encodings.

    >>> from workbench.config.entity_schema import load_schema
    >>> from workbench.config.features import FeatureConfig
    >>> [f.name for f in declared_features(load_schema("flights"), FeatureConfig(), "aircraft")]
    ['arrival_count', 'cancellation_count', 'departure_count', 'arrived_at_distinct',
     'departed_from_distinct', 'operated_by_distinct', 'visit_count', 'avg_visit_gap_hours', 'hour_entropy']
    """
    counts = [Feature(f"{_snake(e)}_count", "count", e) for e in event_types(schema, type_)]
    ends = event_edges(schema, type_)
    both = {end.edge for end in ends if end.outgoing} & {end.edge for end in ends if not end.outgoing}
    distinct = [
        Feature(
            f"{_snake(end.edge)}_distinct{'_in' if end.edge in both and not end.outgoing else ''}",
            "distinct",
            end.edge,
            outgoing=end.outgoing,
        )
        for end in ends
    ]
    general = [
        Feature("visit_count", "visits"),
        Feature("avg_visit_gap_hours", "gap"),
        Feature("hour_entropy", "entropy"),
    ]
    encoded = [f for e in config.encodings.get(type_, ()) for f in _encoded(e)]
    return _with_unique_names(
        f for f in [*counts, *distinct, *general, *encoded] if f.name not in config.without
    )


def _encoded(encoding: Encoding) -> list[Feature]:
    name = _snake(encoding.source)
    if encoding.encoding == "ordinal":
        return [Feature(name, "ordinal", encoding.source)]
    return [Feature(f"{name}={v}", "one-hot", encoding.source, v) for v in encoding.values]


def _snake(name: str) -> str:
    """Write a name as columns are written.

    >>> _snake("OpenedGame"), _snake("API Error"), _snake("login")
    ('opened_game', 'api_error', 'login')
    """
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    return "_".join(part.lower() for part in parts) or name


def _with_unique_names(features: Iterable[Feature]) -> tuple[Feature, ...]:
    """Give a feature whose name another has already the name as its source spells it."""
    found: dict[str, Feature] = {}
    for feature in features:
        name = feature.name
        if name in found:
            name = f"{feature.source}_{feature.kind}"
        while name in found:
            name += "_"
        found[name] = Feature(name, feature.kind, feature.source, feature.value, feature.outgoing)
    return tuple(found.values())


def counting_of(type_: str, config: FeatureConfig, timezone: str) -> Counting:
    """Return how the events of a type are counted for its features."""
    return Counting(type_, timezone, round(config.visit_minutes * 60_000_000))


def features_of(  # noqa: PLR0913  (what is measured, how, and of whom)
    activity: Activity,
    schema: EntitySchema,
    config: FeatureConfig,
    timezone: str,
    *,
    everyone: bool = False,
    tally: Tally | None = None,
) -> FeatureMatrix:
    """Return the feature matrix of an activity.

    Args:
        activity: What the actors did in the range.
        schema: What events give.
        config: What is measured beyond the defaults.
        timezone: Zone of the hours of the day.
        everyone: Also actors without an event in the range, with counts of 0.
        tally: How often they did what in the range, where that is known; by default the events are counted.
    """
    features = declared_features(schema, config, activity.type_)
    total = len(activity.keys)
    counted = tally or tally_of(activity.events, counting_of(activity.type_, config, timezone))
    events = counted.total("events", total)
    columns = {
        **_counts(counted, total),
        **_distinct(activity, total),
        **_visits(counted, total),
        ("entropy", "", True): _hour_entropy(counted, total),
    }
    zeros = np.zeros(total)
    encodings = {e.source: e for e in config.encodings.get(activity.type_, ())}
    values = np.empty((total, len(features)))
    for place, feature in enumerate(features):
        if feature.kind in ("one-hot", "ordinal"):
            values[:, place] = _encode(activity, encodings[feature.source], feature)
        else:
            values[:, place] = columns.get((feature.kind, feature.source, feature.outgoing), zeros)
    kept = np.arange(total) if everyone else np.flatnonzero(events > 0)
    return FeatureMatrix(
        type_=activity.type_,
        features=features,
        entities=activity.names().gather(kept).to_arrow().cast(pa.string()),
        values=values[kept],
        events=events[kept],
        since=from_us(activity.since),
        until=from_us(activity.until),
        timezone=timezone,
    )


_Column = tuple[str, str, bool]


def _per_actor(frame: pl.DataFrame, total: int, default: float) -> NDArray[np.float64]:
    """Return column ``v`` of a frame by ``actor``, ``default`` for actors that it does not have."""
    values = np.full(total, default)
    values[frame["actor"].to_numpy()] = frame["v"].to_numpy()
    return values


def _counts(tally: Tally, total: int) -> dict[_Column, NDArray[np.float64]]:
    actor, kind, events = (tally.hourly[c] for c in ("actor", "event_type", "events"))
    names = kind.dtype.categories.to_list() if isinstance(kind.dtype, pl.Enum) else []
    cells = actor.to_numpy().astype(np.int64) * len(names) + kind.to_physical().to_numpy()
    counts = np.bincount(cells, events.to_numpy(), total * len(names)).astype(np.float64)
    table = counts.reshape(total, len(names))
    return {("count", name, True): table[:, place] for place, name in enumerate(names)}


def _distinct(activity: Activity, total: int) -> dict[_Column, NDArray[np.float64]]:
    found = {}
    for (edge, outgoing), part in activity.by_end(within=True).items():
        neighbour = part["neighbour"].to_physical().to_numpy()
        many = int(neighbour.max()) + 1
        pairs = part["actor"].to_numpy() * np.int64(many) + neighbour
        pairs.sort()
        met = np.bincount(pairs[starts(pairs)] // many, minlength=total)
        found["distinct", edge, outgoing] = met.astype(np.float64)
    return found


def _visits(tally: Tally, total: int) -> dict[_Column, NDArray[np.float64]]:
    """Return each actor's visits and the mean of the gaps between them, in hours."""
    actor = tally.spans["actor"].to_numpy()
    gaps, pauses = np.full(total, -1.0), np.zeros(total)
    gaps[actor], pauses[actor] = tally.spans["gaps"].to_numpy(), tally.spans["pauses"].to_numpy()
    mean = np.divide(pauses / HOUR_US, gaps, out=np.full(total, np.nan), where=gaps > 0)
    return {("visits", "", True): gaps + 1, ("gap", "", True): mean}


def _hour_entropy(tally: Tally, total: int) -> NDArray[np.float64]:
    """Return the entropy, in bits, of each actor's events over the 24 hours of the local day."""
    actor, local, events = (tally.hourly[c].to_numpy() for c in ("actor", "local", "events"))
    cells = np.bincount(actor * np.int64(HOURS) + local, events, total * HOURS)
    every = cells.reshape(total, HOURS).sum(1)
    some = np.flatnonzero(cells)  # one in ten
    share = cells[some] / every[some // HOURS]
    cells[some] = -share * np.log2(share)
    bits = np.maximum(cells.reshape(total, HOURS).sum(1), 0.0)
    return np.where(every > 0, bits, np.nan)


def _encode(activity: Activity, encoding: Encoding, feature: Feature) -> NDArray[np.float64]:
    if encoding.property_:
        values = activity.properties.filter(pl.col("name") == encoding.source).select("actor", "value")
    else:
        values = (
            activity.neighbours()
            .filter(pl.col("edge") == encoding.source)
            .group_by("actor", "neighbour")
            .agg(pl.col("weight").sum())
            .sort("actor", "weight", "neighbour", descending=[False, True, False])
            .group_by("actor", maintain_order=True)
            .agg(pl.col("neighbour").first().cast(pl.String).alias("value"))
        )
    if feature.kind == "one-hot":
        coded = values.select("actor", (pl.col("value") == feature.value).cast(pl.Float64).alias("v"))
        return _per_actor(coded, len(activity.keys), 0.0)
    numbers = pl.col("value").replace_strict(
        encoding.order, default=encoding.fallback, return_dtype=pl.Float64
    )
    return _per_actor(values.select("actor", numbers.alias("v")), len(activity.keys), encoding.fallback)


def standardise(values: NDArray[np.float64], features: Iterable[Feature]) -> NDArray[np.float64]:
    """Return the values on one robust scale: what k-means and distance-based detectors see.

    Counts and gaps as log(1 + x); then less the median, over the interquartile range. Where half of the
    values are equal, the range is zero and 1.349 standard deviations stand for it; of counts and gaps the
    range is at least 0.35, half the step from 0 to 1. A column without any spread is 0. One-hot columns are
    only centred. What is not a number becomes 0, the typical value.

    >>> values = np.array([[1.0], [2.0], [3.0], [np.nan]])
    >>> standardise(values, [Feature("x", "ordinal", "x")]).ravel().tolist()
    [-1.0, 0.0, 1.0, 0.0]
    """
    result = np.zeros_like(values)
    for place, feature in enumerate(features):
        column = values[:, place]
        column = np.log1p(column) if feature.kind in _LOGARITHMIC else column
        known = column[np.isfinite(column)]
        if not len(known):
            continue
        low, middle, high = np.quantile(np.sort(known), [0.25, 0.5, 0.75])
        if feature.kind == "one-hot":
            middle, spread = known.mean(), 1.0
        else:
            spread = high - low or IQR_OF_NORMAL * known.std()
            if spread and feature.kind in _LOGARITHMIC:
                spread = max(spread, _LEAST_SPREAD)
        if spread:
            result[:, place] = np.nan_to_num((column - middle) / spread, nan=0.0)
    return result
