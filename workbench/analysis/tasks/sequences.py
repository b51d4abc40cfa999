"""What actors do one after the other."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from workbench.analysis.activity import read_activity
from workbench.analysis.sequences import Sequences as Coded
from workbench.analysis.sequences import frequent
from workbench.analysis.stable import before
from workbench.analysis.tasks.base import Context, Outcome, Task, measured
from workbench.analysis.window import actor_type, period

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.analysis.activity import Activity
    from workbench.analysis.sequences import Mined
    from workbench.config.tasks import PatternClass, PatternConfig

__all__ = ["Sequences", "class_of"]

_FIELD = re.compile(r"\{([^{}]+)\}")
_UNKNOWN = "unknown"
_OTHER = "other"
_MINUTE_US = 60_000_000.0
_COLUMNS = {
    "pattern": pl.String(),
    "codes": pl.List(pl.String()),
    "length": pl.Int64(),
    "class": pl.String(),
    "support": pl.Int64(),
    "share": pl.Float64(),
    "median_minutes": pl.Float64(),
    "change": pl.String(),
    "support_before": pl.Int64(),
}


class Sequences(Task):
    """Sequences of events, with others between them, that many actors have; new ones and vanished ones.

    What events are called in them, which period counts and what classes there are stands in the pattern
    configuration. Source: Pei et al. 2001; spec 5.1.
    """

    priority = "P3"
    period = 86_400.0
    inputs: ClassVar[tuple[str, ...]] = ("entities", "sightings")
    facts: ClassVar[tuple[str, ...]] = ("who", "patterns")
    defaults: ClassVar[dict[str, Any]] = {"type": "", "most_events": 200, "most_patterns": 2_000}

    def run(self, context: Context) -> Outcome:
        """Return a row a pattern, the most frequent first, the vanished last.

        Columns: ``pattern`` and ``codes``, ``length``, ``class``, ``support`` (actors), ``share`` (of the
        actors with an event), ``median_minutes`` from the first to the last event of the earliest match,
        ``change`` (``new``, ``kept``, ``vanished``; ``first`` in a first run) and ``support_before``.

        Of an actor the last ``most_events`` count. Where more than ``most_patterns`` are frequent, more
        support is asked for: the metric ``least`` says how many actors. With fewer actors than the
        configuration wants there are none.
        """
        begin = time.perf_counter()
        config = context.patterns
        type_ = actor_type(context.schema, context.parameters["type"] or None)
        since, until = period(context.asof, context.segments, config.days)
        activity = read_activity(context.snapshot, context.segments, context.schema, type_, since, until)
        events = _coded(context, activity, config)
        events = events.group_by("actor", maintain_order=True).tail(context.parameters["most_events"])
        actors = events["actor"].n_unique()
        names = events["code"].unique().sort()
        metrics = {"actors": float(actors), "codes": float(len(names))}
        found = pl.DataFrame(schema=_COLUMNS)
        if actors >= config.min_entities:
            starts = np.append(
                0, np.cumsum(events.group_by("actor", maintain_order=True).len()["len"].to_numpy())
            )
            codes = names.search_sorted(events["code"]).to_numpy().astype(np.int32)
            least = max(int(np.ceil(config.min_support * actors)), 2)
            coded = Coded(codes, starts.astype(np.int64), len(names))
            ts = events["ts"].to_numpy()

            def minutes(first: NDArray[np.int32], last: NDArray[np.int32]) -> float:
                return float(np.median(ts[last] - ts[first])) / _MINUTE_US

            most = context.parameters["most_patterns"]
            mined = frequent(coded, least, config.max_length, most, minutes)
            metrics |= {"patterns": float(len(mined.patterns)), "least": float(mined.least)}
            found = _table(mined, names, actors, config)
        table = _compared(found, before(context, "sequences"))
        return measured(table, "PrefixSpan", begin, metrics, "numpy", "polars")


def _coded(context: Context, activity: Activity, config: PatternConfig) -> pl.DataFrame:
    """Return ``actor``, ``ts`` and ``code`` of each event, in order; fields are read from documents."""
    events = activity.events.with_columns(pl.col("event_type").cast(pl.String).alias("code")).with_row_index(
        "row"
    )
    for name, template in config.codes.items():
        fields = _FIELD.findall(template)
        mine = events.filter(pl.col("event_type") == context.schema.event_names.get(name, name))
        if not mine.height:
            continue
        values = mine.join(
            _fields(context, mine, fields), on=["day", "_id"], how="left", maintain_order="left"
        )
        parts = _FIELD.split(template)
        written = pl.concat_str(
            pl.col(part).fill_null(_UNKNOWN) if place % 2 else pl.lit(part)
            for place, part in enumerate(parts)
        )
        codes = values.select("row", coded=written)
        events = (
            events.join(codes, on="row", how="left", maintain_order="left")
            .with_columns(pl.coalesce("coded", "code").alias("code"))
            .drop("coded")
        )
    return events.select("actor", "ts", "code")


def _fields(context: Context, events: pl.DataFrame, fields: list[str]) -> pl.DataFrame:
    """Return ``day``, ``_id`` and some fields of events of one type, as text."""
    frames = [pl.DataFrame(schema={"day": pl.Int32, "_id": pl.Int64, **dict.fromkeys(fields, pl.String)})]
    name = str(events["event_type"][0])
    days = {str(day.isoformat()): int(number) for number, day in _days(events)}
    for entry in context.snapshot.files("events", name=name, segments=list(days)):
        path = context.snapshot.path(entry)
        there = set(pl.read_parquet_schema(path))
        frame = pl.read_parquet(
            path, columns=["_id", *(f for f in fields if f in there)], hive_partitioning=False
        )
        frames.append(
            frame.select(
                pl.lit(days[entry.segment], pl.Int32).alias("day"),
                pl.col("_id").cast(pl.Int64),
                *(
                    pl.col(f).cast(pl.String) if f in there else pl.lit(None, pl.String).alias(f)
                    for f in fields
                ),
            )
        )
    return pl.concat(frames).unique(["day", "_id"])


def _days(events: pl.DataFrame) -> list[tuple[int, Any]]:
    days = events["day"].unique().sort()
    return list(zip(days.to_list(), days.cast(pl.Date).to_list(), strict=True))


def _table(mined: Mined, names: pl.Series, actors: int, config: PatternConfig) -> pl.DataFrame:
    codes = [[names[code] for code in pattern.codes] for pattern in mined.patterns]
    support = np.array([pattern.support for pattern in mined.patterns], np.int64)
    return pl.DataFrame(
        {
            "pattern": [" → ".join(one) for one in codes],
            "codes": codes,
            "length": [len(one) for one in codes],
            "class": [class_of(one, config.classes) for one in codes],
            "support": support,
            "share": support / max(actors, 1),
            "median_minutes": [pattern.told for pattern in mined.patterns],
            "change": ["first"] * len(codes),
            "support_before": [None] * len(codes),
        },
        schema=_COLUMNS,
    )


def _compared(found: pl.DataFrame, earlier: Any) -> pl.DataFrame:
    """Add what is new, and at the end what has vanished since the run before."""
    if earlier is None:
        return found
    old = earlier.to_polars().filter(pl.col("change") != "vanished")
    known = old.select("pattern", support_before="support")
    now = found.drop("support_before").join(known, on="pattern", how="left", maintain_order="left")
    change = pl.when(pl.col("support_before").is_null()).then(pl.lit("new")).otherwise(pl.lit("kept"))
    now = now.with_columns(change.alias("change")).select(list(_COLUMNS))
    gone = old.join(found, on="pattern", how="anti", maintain_order="left").with_columns(
        pl.lit("vanished").alias("change"),
        pl.col("support").alias("support_before"),
        pl.lit(0, pl.Int64).alias("support"),
        pl.lit(0.0).alias("share"),
    )
    every: pl.DataFrame = pl.concat([now, gone.select(list(_COLUMNS))])
    return every


def class_of(codes: list[str], classes: dict[str, PatternClass]) -> str:
    """Return the first class that a sequence of codes is of; a code's start up to a colon stands for it.

    >>> from workbench.config.tasks import PatternClass
    >>> class_of(["E:auth", "E:pay"], {"error chain": PatternClass(starts="E", ends="E", at_least=2)})
    'error chain'
    """
    for name, wanted in classes.items():
        conditions = (
            len(codes) >= wanted.at_least,
            not wanted.starts or any(_is(codes[0], code) for code in wanted.starts),
            not wanted.ends or any(_is(codes[-1], code) for code in wanted.ends),
            all(any(_is(code, wish) for code in codes) for wish in wanted.contains),
            not any(_is(code, wish) for code in codes for wish in wanted.without),
        )
        if all(conditions):
            return name
    return _OTHER


def _is(code: str, wanted: str) -> bool:
    return code == wanted or code.partition(":")[0] == wanted
