"""The range of a window that actors are measured over, and their features in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from workbench.analysis.activity import from_us, moment, read_activity, to_us
from workbench.analysis.features import counting_of, features_of
from workbench.analysis.tally import HOUR_US, read_tally
from workbench.errors import UnknownNameError, UsageError
from workbench.partials.documents import DAY_US

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from workbench.analysis.features import FeatureMatrix
    from workbench.analysis.tally import Tally
    from workbench.analysis.tasks.base import Context
    from workbench.config.entity_schema import EntitySchema
    from workbench.config.features import FeatureConfig
    from workbench.storage import Snapshot
    from workbench.storage.by_segment import BySegment

__all__ = ["World", "actor_type", "period", "period_features", "window_features"]


class World(Protocol):
    """What features are read from: one generation of a workspace."""

    timezone: str
    schema: EntitySchema

    @property
    def snapshot(self) -> Snapshot:
        """The generation."""

    @property
    def by_segment(self) -> BySegment:
        """What finds, and keeps, what single segments tell."""

    @property
    def feature_config(self) -> FeatureConfig:
        """What is measured beyond the defaults."""


def actor_type(schema: EntitySchema, type_: str | None = None) -> str:
    """Return the entity type that features are about: ``type_``, or the first that the schema marks.

    Raises:
        UnknownNameError: If there is no such type.
        UsageError: If the schema marks none.
    """
    if type_ is None and not schema.who:
        raise UsageError(
            "the entity schema marks no entity type as who.",
            fix="Write 'who: true' under one in schema/entity.yaml, or name the type.",
        )
    chosen = type_ or schema.who[0]
    if chosen not in schema.entities:
        raise UnknownNameError("entity type", chosen, schema.entities)
    return chosen


def window_features(
    world: World, type_: str | None, since: str | date | None, until: str | date | None
) -> FeatureMatrix:
    """Return the feature matrix of a workspace's window, or of a part of it.

    Raises:
        UnknownNameError: If there is no such entity type.
        UsageError: If the range is empty, or the schema marks no actor and none is named.
    """
    chosen = actor_type(world.schema, type_)
    snapshot, zone = world.snapshot, world.timezone
    files = snapshot.files("events")
    start = min((f.min_ts or 0 for f in files), default=0) if since is None else moment(since, zone)
    end = max((f.max_ts or 0 for f in files), default=0) + 1 if until is None else moment(until, zone)
    if start >= end:
        raise UsageError(f"the range from {from_us(start)} until {from_us(end)} is empty.")
    matrix, _ = _features(
        world.by_segment, snapshot.segments, chosen, (start, end), world.schema, world.feature_config, zone
    )
    return matrix


def period(asof: datetime, segments: Sequence[str], lookback_days: int) -> tuple[int, int]:
    """Return start and end, in microseconds, of the ``lookback_days`` up to ``asof``; 0 days: all segments.

    They end with the hour of ``asof``: what is counted by hour tells them exactly.

    >>> from datetime import UTC, datetime
    >>> start, end = period(datetime(1970, 1, 8, 23, 59, 58, tzinfo=UTC), ["1970-01-01"], 7)
    >>> start == DAY_US, end == 8 * DAY_US
    (True, True)
    """
    end = (to_us(asof) // HOUR_US + 1) * HOUR_US
    return end - lookback_days * DAY_US if lookback_days else moment(segments[0], "UTC"), end


def period_features(context: Context) -> tuple[FeatureMatrix, Tally]:
    """Return the features that a task is asked for by its parameters ``type`` and ``lookback_days``.

    Beside them stands what they were counted from; its spans have the same actors in the same order.

    Raises:
        UsageError: If the look-back is negative.
    """
    type_ = actor_type(context.schema, context.parameters["type"] or None)
    days = context.parameters["lookback_days"]
    if days < 0:
        raise UsageError(f"lookback_days is {days}.", fix="Give a number of days, or 0 for the whole window.")
    since, until = period(context.asof, context.segments, days)
    return _features(
        context.by_segment,
        context.segments,
        type_,
        (since, until),
        context.schema,
        context.features,
        context.timezone,
    )


def _features(  # noqa: PLR0913, PLR0917  (of whom and of when, and what is measured)
    source: BySegment,
    segments: Sequence[str],
    type_: str,
    between: tuple[int, int],
    schema: EntitySchema,
    config: FeatureConfig,
    timezone: str,
) -> tuple[FeatureMatrix, Tally]:
    since, until = between
    activity = read_activity(
        source.snapshot,
        segments,
        schema,
        type_,
        since,
        until,
        properties=type_ in config.encodings,
        events_since=until,
    )
    tally = read_tally(activity, counting_of(type_, config, timezone), since, until, source)
    return features_of(activity, schema, config, timezone, tally=tally), tally
