"""Ingest of New York's flights of 2013: the facts of spec 2.7, exactly once, in any order."""

from __future__ import annotations

import random
from datetime import date
from typing import TYPE_CHECKING

import polars as pl
import pytest

from workbench.engine import Engine
from workbench.errors import UnknownNameError
from workbench.ingest.derive import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from workbench.storage import Snapshot

    Weeks = Callable[[str, str], Path]

DOCUMENTS = {"Arrival": 328_063, "Cancellation": 8_255, "Departure": 328_521, "Weather": 26_115}


@pytest.fixture(scope="module")
def flights(flights_workspace: Path) -> Iterator[Engine]:
    with Engine(flights_workspace) as engine:
        yield engine


@pytest.fixture(scope="module")
def fortnight(flights_between: Weeks) -> Path:
    """Both sides of the change to summer time."""
    return flights_between("2013-03-03", "2013-03-16")


@pytest.fixture(scope="module")
def undisturbed(fortnight: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    engine = Engine.create(tmp_path_factory.mktemp("undisturbed") / "workspace", schema="flights")
    engine.ingest(fortnight)
    return _partials(engine.snapshot)


def _partials(snapshot: Snapshot) -> dict[tuple[str, str], str]:
    found = {(f.kind, f.segment): f.hash for kind in KINDS for f in snapshot.files(kind)}
    segments = set(snapshot.segments)
    assert {s for _, s in found} - {""} == segments
    assert len(found) == len(KINDS) * len(segments) + 3 * (("entities", "") in found)
    return found


def _documents(snapshot: Snapshot) -> dict[str, int]:
    rows: dict[str, int] = {}
    for entry in snapshot.files("events"):
        rows[entry.name] = rows.get(entry.name, 0) + entry.rows
    return rows


def _scalar(engine: Engine, statement: str) -> object:
    ((value,),) = engine.sql(statement).rows
    return value


# the facts of the year


def test_every_way_of_counting_gives_the_documents_of_the_year(flights: Engine) -> None:
    counts = pl.concat([pl.DataFrame(flights.snapshot.read(f)) for f in flights.snapshot.files("counts")])
    by_type = counts.group_by(pl.col("type").cast(pl.String)).agg(pl.col("events").sum())
    ledger: dict[str, int] = {}
    for entry in flights.snapshot.manifest.ledger.values():
        assert entry.status == "done"
        if entry.name in DOCUMENTS:
            ledger[entry.name] = ledger.get(entry.name, 0) + entry.rows

    assert dict(flights.sql("select _type, count(*) from events group by all").rows) == DOCUMENTS
    assert dict(by_type.iter_rows()) == DOCUMENTS
    assert _documents(flights.snapshot) == DOCUMENTS
    assert ledger == DOCUMENTS
    assert {event.name: event.documents for event in flights.catalog.event_types} == DOCUMENTS


def test_the_catalog_as_plain_data_has_the_same_counts(flights: Engine) -> None:
    events = {event["name"]: event["documents"] for event in flights.catalog.to_dict()["event_types"]}

    assert events == DOCUMENTS


def test_march_is_a_local_month(flights: Engine) -> None:
    local = "select count(*) from Departure where carrier = 'UA' and month(_ts) = 3"
    utc = "select count(*) from Departure where carrier = 'UA' and _segment like '2013-03-%'"

    assert _scalar(flights, local) == 4_926
    assert _scalar(flights, utc) == 4_923


def test_the_blizzard_of_february(flights: Engine) -> None:
    statement = """
        select day(day), sum(cancelled), count(*)
        from (select date_trunc('day', time_hour) as day, 0 as cancelled from Departure
              union all select date_trunc('day', time_hour), 1 from Cancellation)
        where month(day) = 2 and day(day) in (8, 9) group by all order by all"""

    assert flights.sql(statement).rows == [(8, 472, 930), (9, 393, 684)]


def test_aircraft_at_denver_and_miami_by_sql_and_by_the_graph(flights: Engine) -> None:
    statement = """
        with touched as (select source, target from edges where type in ('DepartedFrom', 'ArrivedAt'))
        select count(*) from (select source from touched where target = 'airport:DEN'
                              intersect select source from touched where target = 'airport:MIA')"""
    seen = {
        airport: {
            row["source"]
            for row in flights.graph.around(f"airport:{airport}", edge_types=["ArrivedAt"]).edges.to_pylist()
        }
        for airport in ("DEN", "MIA")
    }

    assert _scalar(flights, statement) == 621
    assert len(seen["DEN"] & seen["MIA"]) == 621


def test_honolulu_is_served_by_hawaiian_and_united(flights: Engine) -> None:
    statement = "select source from edges where type = 'Serves' and target = 'airport:HNL' order by all"

    assert flights.sql(statement).rows == [("carrier:HA",), ("carrier:UA",)]
    assert _scalar(flights, "select count(*) from Departure where dest = 'HNL'") == sum(
        row["weight"] for row in flights.graph.edges("Serves").to_pylist() if row["target"] == "airport:HNL"
    )


def test_an_edge_weighs_what_the_documents_say(flights: Engine) -> None:
    statement = """
        select 'aircraft:' || tailnum, 'airport:' || origin, count(*) from Departure
        where tailnum in ('N725MQ', 'N14228') group by all order by all"""
    edges = flights.sql("""
        select source, target, weight from edges
        where type = 'DepartedFrom' and source in ('aircraft:N725MQ', 'aircraft:N14228') order by all""")

    assert edges.rows == flights.sql(statement).rows


# exactly once


def test_the_same_sources_again_add_nothing(flights: Engine, flights_sources: Path) -> None:
    before = flights.snapshot.manifest

    report = flights.ingest(flights_sources)

    assert (report.files, report.known) == (0, len(list(flights_sources.rglob("*.parquet"))))
    assert not report.rows
    assert flights.snapshot.manifest == before


def test_nothing_depends_on_the_order_or_size_of_batches(
    fortnight: Path, undisturbed: dict[tuple[str, str], str], tmp_path: Path
) -> None:
    files = sorted(fortnight.rglob("*.parquet"))
    random.Random(4).shuffle(files)  # noqa: S311

    for name, batch_mb in (("shuffled", 128), ("small", 4), ("tiny", 1)):
        engine = Engine.create(tmp_path / name, schema="flights", batch_mb=batch_mb)
        engine.ingest(*files)
        assert (engine.snapshot.generation > 1) == (batch_mb == 1)
        assert _partials(engine.snapshot) == undisturbed


def test_nothing_depends_on_the_number_of_calls(flights_between: Weeks, tmp_path: Path) -> None:
    days = flights_between("2013-03-09", "2013-03-10")
    whole = Engine.create(tmp_path / "whole", schema="flights")
    whole.ingest(days)
    files = list(days.rglob("*.parquet"))

    for seed in range(2):
        random.Random(seed).shuffle(files)  # noqa: S311
        engine = Engine.create(tmp_path / f"{seed}", schema="flights")
        for file in files:
            engine.ingest(file)
        assert _documents(engine.snapshot) == _documents(whole.snapshot)
        assert _partials(engine.snapshot) == _partials(whole.snapshot)


# leaving


def test_eviction_leaves_what_a_workspace_without_that_day_has(fortnight: Path, tmp_path: Path) -> None:
    with Engine.create(tmp_path / "evicted", schema="flights") as engine:
        engine.ingest(fortnight)
        run = engine.compute("pagerank", device="cpu").run
        engine.compute("pagerank", asof="2013-03-08", device="cpu")
        nodes_before = len(engine.graph)
        rest = engine.sql(
            "select _type, _ts, * exclude (_segment, _id, _type, _ts) from events "
            "where _segment <> '2013-03-10' order by all"
        ).to_arrow()

        assert engine.evict("2013-03-10") == ["2013-03-10"]

        assert "2013-03-10" not in engine.snapshot.segments
        assert not [f for f in engine.snapshot.manifest.files if f.segment == "2013-03-10"]
        now = engine.sql("select _type, _ts, * exclude (_segment, _id, _type, _ts) from events order by all")
        assert now.to_arrow() == rest
        assert {f.id for f in engine.knowledge.runs("pagerank")} >= {run.id}
        with pytest.raises(UnknownNameError, match=r"nearest is as of 2013-03-08"):
            engine.knowledge.read("pagerank", asof="2013-03-10")

        rebuilt = Engine.create(tmp_path / "rebuilt", schema="flights")
        rebuilt.ingest(_without(date(2013, 3, 10), fortnight, tmp_path / "sources"))
        assert len(engine.graph) < nodes_before
        assert _partials(engine.snapshot) == _partials(rebuilt.snapshot)
        for table in ("nodes", "edges"):
            assert getattr(engine.graph, table)() == getattr(rebuilt.graph, table)()
        statement = "select * from counts order by all"
        assert engine.sql(statement).rows == rebuilt.sql(statement).rows
        rebuilt.close()


def _without(day: date, sources: Path, target: Path) -> Path:
    """Write the sources anew without the events of one UTC day."""
    for path in sources.rglob("*.parquet"):
        frame = pl.read_parquet(path)
        kept = frame.filter(pl.col("time").dt.date() != day) if "time" in frame.columns else frame
        copy = target / path.relative_to(sources)
        copy.parent.mkdir(parents=True, exist_ok=True)
        kept.write_parquet(copy)
    return target


def test_a_rolling_window_refuses_what_is_older_and_drops_what_has_left(
    fortnight: Path, tmp_path: Path
) -> None:
    engine = Engine.create(tmp_path / "rolling", schema="flights", window=5)

    report = engine.ingest(fortnight)

    times = pl.concat([pl.read_parquet(fortnight / name).select("time") for name in DOCUMENTS])[
        "time"
    ].dt.convert_time_zone("UTC")
    days = sorted(times.dt.date().unique())
    late = sum(1 for d in times.dt.date() if d < days[-5])
    assert report.refused == late
    assert sum(report.rows.values()) == len(times) - late
    assert engine.snapshot.segments == [str(d) for d in days[-5:]]
    assert f"refused: {late:,} documents older than the window" in str(report)
    rolling = Engine(engine.path, window=2)
    assert rolling.evict() == [str(d) for d in days[-5:-3]]  # two days a pass
    assert rolling.evict() == [str(days[-3])]
