"""Which events a search may find."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from workbench.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from numpy.typing import NDArray

    from workbench.config.entity_schema import EntitySchema
    from workbench.tabular import Tabular
    from workbench.vectors.corpus import Corpus

__all__ = ["World", "fulfilling"]

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class World(Protocol):
    """What conditions are about."""

    schema: EntitySchema
    timezone: str

    def sql(self, statement: str) -> Tabular:
        """Return the rows of one SELECT."""


def fulfilling(  # noqa: PLR0913  (a condition each)
    corpus: Corpus,
    world: World,
    *,
    since: str | date | None = None,
    until: str | date | None = None,
    type: str | Sequence[str] | None = None,  # noqa: A002  (the word of the specification)
    where: str | None = None,
) -> NDArray[np.bool_]:
    """Return which of the corpus's postings fulfil all conditions.

    Args:
        corpus: The texts and their events.
        world: The workspace.
        since: A day or time in the workspace's zone.
        until: The end, not included.
        type: One or several event types; their aliases count too.
        where: A condition of SQL on the events' fields.

    Raises:
        UnknownNameError: If there is no such event type.
        UsageError: If a time is none.
        SqlError: If the condition is none.
    """
    kept = np.ones(corpus.postings.height, np.bool_)
    if since is not None:
        kept &= corpus.times >= _microseconds(since, world.timezone)
    if until is not None:
        kept &= corpus.times < _microseconds(until, world.timezone)
    names = _event_types(type, world.schema)
    if names:
        kept &= corpus.texts["event_type"].is_in(names).to_numpy()[corpus.text_of]
    if where is not None:
        kept &= _where(where, names, corpus, world)
    return kept


def _event_types(type: str | Sequence[str] | None, schema: EntitySchema) -> list[str]:  # noqa: A002
    known = schema.event_names
    names = [type] if isinstance(type, str) else list(type or ())
    for name in names:
        if name not in known:
            raise UnknownNameError("event type", name, schema.events)
    return [known[name] for name in names]


def _where(where: str, types: Sequence[str], corpus: Corpus, world: World) -> NDArray[np.bool_]:
    tables = [f'"{name.replace(chr(34), chr(34) * 2)}"' for name in types] or ["events"]
    # the line break ends a comment in the condition; whatever it is, it runs as one SELECT or not at all
    parts = (f"SELECT _segment, _id FROM {table} WHERE ({where}\n)" for table in tables)  # noqa: S608
    rows = pl.DataFrame(world.sql(" UNION ALL ".join(parts)).to_arrow())
    wanted = rows.select(pl.col("_segment").cast(pl.String).alias("segment"), "_id").unique()
    marked = corpus.postings.select(pl.col("segment").cast(pl.String), "_id").join(
        wanted.with_columns(pl.lit(value=True).alias("kept")),
        on=["segment", "_id"],
        how="left",
        maintain_order="left",
    )
    return marked["kept"].fill_null(value=False).to_numpy()


def _microseconds(value: Any, timezone: str) -> int:
    """Return a day's start or a time as microseconds since 1970; in ``timezone`` where it names none."""
    try:
        read = datetime.fromisoformat(value if isinstance(value, str) else value.isoformat())
    except ValueError:
        raise UsageError(f"{value!r} is not a time.", fix="Give a date such as 2013-06-30.") from None
    zoned = read if read.tzinfo else read.replace(tzinfo=ZoneInfo(timezone))
    return round((zoned - _EPOCH).total_seconds() * 1_000_000)
