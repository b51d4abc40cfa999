"""A generated log through ingest with the gaming schema: nothing is lost, everybody is who they are."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import workbench as wb
from workbench.engine import Engine
from workbench.samples.gaming.batch import TYPES
from workbench.samples.gaming.days import day
from workbench.samples.gaming.generate import names_of
from workbench.samples.gaming.world import build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAYS, EVENTS, SEED = 3, 4_000, 11
PATHS = {"GameOpened": ["GameOpened", "v2/GridClick"], "PopupModule": ["PopupModule", "v2/PopUpModule"]}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wb.synth(
        tmp_path_factory.mktemp("synth") / "log", days=DAYS, events_per_day=EVENTS, seed=SEED
    ).path


@pytest.fixture(scope="module")
def ingested(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Any]]:
    with Engine.create(tmp_path_factory.mktemp("workspace") / "w", schema="gaming") as engine:
        yield engine, engine.ingest(log)


@pytest.fixture(scope="module")
def happened() -> dict[str, Any]:
    """What happened in the world, by event type: the codes of each event, of all days."""
    world = build(
        SEED, days=DAYS, events_per_day=EVENTS, members=None, start=date(2025, 6, 1), anomalies=True
    )
    batches = [day(world, number) for number in range(DAYS)]
    columns = ("ts", "member", "device", "subject")
    events = {
        name: {c: np.concatenate([getattr(batch[name], c) for batch in batches]) for c in columns}
        for name in TYPES
    }
    return {"world": world, "names": names_of(world), "events": events}


def test_every_row_is_a_document_or_in_quarantine(log: Path, ingested: tuple[Engine, Any]) -> None:
    engine, report = ingested
    for name in TYPES:
        paths = [p for folder in PATHS.get(name, [name]) for p in (log / folder).glob("*.parquet")]
        assert report.rows[name] == sum(pq.read_metadata(p).num_rows for p in paths) > 0
    assert not report.quarantined
    assert not report.quarantined_files
    assert report.refused == 0
    assert report.skipped == []
    assert engine.status()["event_types"] == dict(report.rows)


def test_truth_and_manifest_are_not_read(log: Path, ingested: tuple[Engine, Any]) -> None:
    _, report = ingested
    assert (log / "_manifest.json").is_file()
    assert report.files == len(json.loads((log / "_manifest.json").read_text())["files"])
    assert set(report.rows) == set(TYPES)
    assert not report.references


def test_markup_in_a_columns_name_is_a_finding_and_its_values_are_kept(ingested: tuple[Engine, Any]) -> None:
    engine, report = ingested
    odd = [finding for finding in report.findings if "<" in finding]
    assert len(odd) >= 5
    assert odd == report.findings
    fields = {
        field
        for name in TYPES
        for field in engine.sql(f'select * from "{name}" limit 1').to_arrow().column_names  # noqa: S608
    }
    assert not [field for field in fields if "<" in field]


def test_spellings_of_one_field_are_one(ingested: tuple[Engine, Any]) -> None:
    engine, _ = ingested
    for name in TYPES:
        columns = engine.sql(f'select * from "{name}" limit 1').to_arrow().column_names  # noqa: S608
        assert [c for c in columns if c.lower() == "affiliateid"] == ["affiliateId"]


def test_entities_are_those_of_the_world(ingested: tuple[Engine, Any], happened: dict[str, Any]) -> None:
    engine, _ = ingested
    names, events = happened["names"], happened["events"]
    counted = {entry.name: entry.count for entry in engine.catalog.entity_types}

    def distinct(column: str, *types: str) -> np.ndarray:
        codes = np.unique(np.concatenate([events[name][column] for name in types]))
        return codes[codes >= 0]

    expected = {
        "member": names.members.take(distinct("member", *TYPES)),
        "device": names.devices.take(distinct("device", *TYPES)),
        "game": names.games.take(distinct("subject", "GameOpened")),
        "popup": names.popups.take(distinct("subject", "PopupModule")),
    }
    assert {name: counted[name] for name in expected} == {name: len(keys) for name, keys in expected.items()}
    assert counted["error"] == len(distinct("subject", "API Error"))
    for name, keys in expected.items():
        for key in keys.to_pylist()[::7]:
            engine.entities[name][key]  # raises if there is none


def test_members_have_the_events_that_they_made(
    ingested: tuple[Engine, Any], happened: dict[str, Any]
) -> None:
    engine, _ = ingested
    names, events = happened["names"], happened["events"]
    for name in TYPES:
        codes, counts = np.unique(events[name]["member"], return_counts=True)
        known = codes >= 0
        expected = dict(
            zip(names.members.take(codes[known]).to_pylist(), counts[known].tolist(), strict=True)
        )
        found = engine.sql(
            f'select memberCode, count(*) from "{name}" where memberCode is not null group by 1'  # noqa: S608
        ).rows
        assert dict(found) == expected


def test_times_are_those_of_the_world_in_milliseconds(
    ingested: tuple[Engine, Any], happened: dict[str, Any]
) -> None:
    engine, _ = ingested
    for name in TYPES:
        found = engine.sql(f'select epoch_us(_ts) from "{name}" order by 1').to_arrow()[0].to_numpy()  # noqa: S608
        assert (found == np.sort(happened["events"][name]["ts"] // 1000 * 1000)).all()


def test_test_accounts_are_told_whatever_their_spelling(
    ingested: tuple[Engine, Any], happened: dict[str, Any]
) -> None:
    engine, _ = ingested
    is_test, events = happened["world"].members.is_test, happened["events"]
    expected = sum(int(is_test[event["member"][event["member"] >= 0]].sum()) for event in events.values())
    found = sum(engine.sql(f'select count(*) from "{name}" where isTestAccount').rows[0][0] for name in TYPES)  # noqa: S608
    assert found == expected
