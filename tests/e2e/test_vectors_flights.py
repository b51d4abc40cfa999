"""Search by meaning and similar aircraft on the flights of 2013; SQL is the gold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from workbench.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUTES = """
SELECT tailnum, carrier, origin, dest, count(*) AS flights FROM "Departure"
WHERE tailnum IS NOT NULL GROUP BY ALL ORDER BY ALL
"""


@pytest.fixture(scope="module")
def db(flights_workspace: Path) -> Iterator[Engine]:
    with Engine(flights_workspace) as engine:
        yield engine


def test_texts_repeat_so_that_few_are_embedded(db: Engine) -> None:
    window = db.vectors.window
    # every event has a text
    assert window.events == db.status()["documents"]
    assert len(window) < 0.02 * window.events
    (recall,) = db.vectors.recall(sample=200).to_polars()["recall"]
    assert recall >= 0.95


def test_a_search_within_days_finds_the_events_of_these_days(db: Engine) -> None:
    found = db.vectors.search(
        "cancelled departure from JFK to BOS", k=400, since="2013-02-08", until="2013-02-10", distinct=False
    ).to_polars()
    assert found.height == 400
    assert found["text"][0].startswith("cancelled departure from JFK to BOS")
    gold = db.sql(
        "SELECT count(*) AS n FROM \"Cancellation\" WHERE origin = 'JFK' AND dest = 'BOS' "
        "AND _ts >= '2013-02-08' AND _ts < '2013-02-10'"
    ).to_polars()["n"][0]
    same = found.filter(pl.col("text").str.starts_with("cancelled departure from JFK to BOS"))
    assert same.height == gold > 0


def test_similar_aircraft_fly_the_same_routes_for_the_same_carrier(db: Engine) -> None:
    routes = db.sql(ROUTES).to_polars()
    profile = routes.with_columns(pl.concat_str("carrier", "origin", "dest").alias("route")).pivot(
        "route", index="tailnum", values="flights"
    )
    planes = {key: row for row, key in enumerate(profile["tailnum"])}
    counts = profile.drop("tailnum").fill_null(0).to_numpy().astype(float)
    counts /= np.linalg.norm(counts, axis=1, keepdims=True)
    carriers = dict(
        routes.sort("flights", descending=True)
        .unique("tailnum", keep="first")["tailnum", "carrier"]
        .iter_rows()
    )
    likeness = []
    for key in ("N14228", "N24211", "N725MQ", "N328AA", "N384HA"):
        found = db.vectors.similar(f"aircraft:{key}", k=10).to_polars()
        assert found.height == 10
        assert {carriers[other] for other in found["key"]} == {carriers[key]}
        alike = counts[[planes[other] for other in found["key"]]] @ counts[planes[key]]
        best = np.sort(counts @ counts[planes[key]])[::-1][1:11]
        likeness.append(alike.mean() / best.mean())
    # nearly the ten whose routes are the most alike that there are
    assert np.mean(likeness) > 0.95
