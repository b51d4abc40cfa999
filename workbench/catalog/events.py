"""Event types and their fields, from the partials ``profiles`` and ``counts`` and the manifest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from workbench.catalog.model import EventType, Field, Series
from workbench.errors import CorruptFileError
from workbench.partials.profiles import merge_profiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.catalog.world import World
    from workbench.config import EntitySchema
    from workbench.partials.profiles import FieldProfile
    from workbench.storage import FileEntry

__all__ = ["event_types"]

_EXAMPLES = 3
_MOST_PERIODS = 48
_PERIODS = {
    "hour": ("1h", 1),
    "day": ("1d", 24),
    "week": ("1w", 168),
    "month": ("1mo", 720),
    "year": ("1y", 0),
}


def event_types(world: World) -> tuple[tuple[EventType, ...], tuple[str, ...]]:
    """Return every event type of the data and of the schema, by name, and what could not be read."""
    problems: list[str] = []
    files = world.snapshot.files("events")
    rows: dict[str, int] = {}
    for file in files:
        rows[file.name] = rows.get(file.name, 0) + file.rows
    profiles = _profiles(world, rows, problems)
    counts, tests = _counts(world, problems)
    total = sum(rows.values())
    found = []
    for name in sorted({*rows, *world.schema.events}):
        rule = world.schema.events.get(name)
        first, last = _span([f for f in files if f.name == name])
        found.append(
            EventType(
                name=name,
                documents=rows.get(name, 0),
                test_documents=tests.get(name, 0),
                share=rows.get(name, 0) / total if total else 0.0,
                first=first,
                last=last,
                description=rule.description if rule else "",
                synonyms=(*rule.aliases, *rule.synonyms) if rule else (),
                counts=counts.get(name, Series("day", (), ())),
                fields=_fields(world, name, rows.get(name, 0), profiles),
            )
        )
    return tuple(found), tuple(problems)


def _readable(world: World, kind: str, problems: list[str]) -> list[str]:
    """Return the paths of all partials of a kind whose bytes are whole, and note the others."""
    paths = []
    for entry in world.snapshot.files(kind):
        try:
            paths.append(str(world.snapshot.path(entry)))
        except CorruptFileError as error:
            problems.append(f"figures leave out the {kind} of segment {entry.segment}: {error.message}")
    return paths


def _profiles(
    world: World, rows: Mapping[str, int], problems: list[str]
) -> dict[tuple[str, str], FieldProfile]:
    paths = _readable(world, "profiles", problems)
    if not paths:
        return {}
    table = pl.read_parquet(paths, hive_partitioning=False).to_arrow()
    return merge_profiles([table], world.fields, rows)


def _counts(world: World, problems: list[str]) -> tuple[dict[str, Series], dict[str, int]]:
    """Return the events of each type over time, and how many of them are of test accounts."""
    paths = _readable(world, "counts", problems)
    frame = pl.read_parquet(paths, hive_partitioning=False) if paths else pl.DataFrame()
    if frame.is_empty():
        return {}, {}
    frame = frame.with_columns(
        pl.col("type").cast(pl.String), pl.col("hour").dt.convert_time_zone(world.timezone)
    )
    tested = frame.filter("is_test").group_by("type").agg(pl.col("events").sum())
    hours = frame.select((pl.col("hour").max() - pl.col("hour").min()).dt.total_hours()).item() + 1
    period = next((p for p, (_, size) in _PERIODS.items() if hours <= size * _MOST_PERIODS), "year")
    every = _PERIODS[period][0]
    start = pl.col("hour").dt.truncate(every).alias("start")
    events = frame.group_by("type", start).agg(pl.col("events").sum())
    first, last = pl.col("start").min(), pl.col("start").max()
    starts = events.select(pl.datetime_range(first, last, every).alias("start"))
    series = {}
    for (name,), part in events.partition_by("type", as_dict=True).items():
        filled = starts.join(part, on="start", how="left", maintain_order="left")["events"].fill_null(0)
        series[str(name)] = Series(period, tuple(starts["start"]), tuple(filled))
    return series, dict(tested.iter_rows())


def _span(files: list[FileEntry]) -> tuple[datetime | None, datetime | None]:
    lows = [f.min_ts for f in files if f.min_ts is not None]
    highs = [f.max_ts for f in files if f.max_ts is not None]
    return (_time(min(lows)), _time(max(highs))) if lows and highs else (None, None)


def _time(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, UTC)


def _fields(
    world: World, event: str, documents: int, profiles: Mapping[tuple[str, str], FieldProfile]
) -> tuple[Field, ...]:
    keys = _key_fields(world.schema, event)
    return tuple(
        _field(name, kind, documents, profiles.get((event, name)), keys.get(name, ()))
        for name, kind in world.fields.get(event, {}).items()
    )


def _key_fields(schema: EntitySchema, event: str) -> dict[str, tuple[str, ...]]:
    """Return the entity types that each field of an event type gives the key of."""
    found: dict[str, tuple[str, ...]] = {}
    rule = schema.events.get(event)
    for role, entity in (rule.entities if rule else {}).items():
        for field in (*entity.join, *entity.fields):
            given = found.get(field, ())
            name = entity.type or role
            found[field] = given if name in given else (*given, name)
    return found


def _field(
    name: str, kind: str, documents: int, profile: FieldProfile | None, entities: tuple[str, ...]
) -> Field:
    if profile is None:
        share = 1.0 if documents else 0.0
        return Field(name, kind, documents, share, 0, False, None, None, (), True, (), entities)
    values = [value for value, _ in profile.top]
    step = max(1, (len(values) - 1) // max(1, _EXAMPLES - 1))
    return Field(
        name=name,
        type=kind,
        nulls=profile.nulls,
        null_share=profile.nulls / profile.rows if profile.rows else 0.0,
        distinct=profile.distinct,
        estimated=not profile.exact,
        minimum=profile.minimum,
        maximum=profile.maximum,
        top=profile.top,
        top_exact=profile.top_exact,
        examples=tuple(values[::step][:_EXAMPLES]),
        entities=entities,
    )
