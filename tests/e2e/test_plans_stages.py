"""Plans over what is computed: search, likeness, features, anomalies and trends of two weeks of flights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from workbench.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from workbench.plans.answer import Answer


@pytest.fixture(scope="module")
def db(
    flights_between: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    root = tmp_path_factory.mktemp("stages") / "w"
    with Engine.create(root, schema="flights") as engine:
        engine.ingest(flights_between("2013-02-01", "2013-02-14"))
        yield engine


def run(db: Engine, *steps: dict[str, Any]) -> Answer:
    answer = db.execute({"steps": list(steps)})
    assert answer.status == "answered", answer.text
    return answer


def same_by_script(answer: Answer) -> None:
    names: dict[str, Any] = {}
    exec(answer.to_python(), names)  # noqa: S102  (what it is for)
    assert names["answer"].to_pylist() == answer.to_arrow().to_pylist()
    names["db"].close()


def test_search_finds_documents_by_their_text(db: Engine) -> None:
    step = {
        "op": "search",
        "id": "s",
        "text": "cancelled departure to Denver",
        "k": 5,
        "types": ["Cancellation"],
    }
    answer = run(db, step)
    found = answer.to_polars()
    assert found.columns[:5] == ["address", "event_type", "time", "text", "score"]
    assert set(found["event_type"]) == {"Cancellation"}
    assert found["score"].is_sorted(descending=True)
    assert db.get(found["address"][0]).event_type == "Cancellation"
    inside = run(db, {**step, "since": "2013-02-08", "until": "2013-02-10"}).to_polars()
    assert {str(day) for day in inside["time"].dt.date()} <= {"2013-02-08", "2013-02-09"}


def test_similar_entities_are_of_the_same_type(db: Engine) -> None:
    answer = run(db, {"op": "similar", "id": "s", "entity": "aircraft:N725MQ", "k": 5})
    found = answer.to_polars()
    assert found.columns == ["entity", "type", "key", "label", "score"]
    assert set(found["type"]) == {"aircraft"}
    assert "aircraft:N725MQ" not in found["entity"].to_list()
    same_by_script(answer)


def test_two_sets_are_compared_over_their_features(db: Engine) -> None:
    def at(airport: str) -> dict[str, Any]:
        return {
            "op": "traverse",
            "id": airport.lower(),
            "start": [f"airport:{airport}"],
            "edge_types": ["ArrivedAt"],
        }

    found = run(
        db, at("DEN"), at("MIA"), {"op": "compare", "id": "c", "left": "den", "right": "mia"}
    ).to_polars()
    matrix = db.features("aircraft")
    entities = matrix.entities.to_pylist()
    left = db.sql("select distinct 'aircraft:' || tailnum from Arrival where dest = 'DEN'").rows
    places = [entities.index(name) for (name,) in left if name in entities]
    for feature, mean in found.select("feature", "left").rows():
        column = matrix.values[:, list(matrix.names).index(feature)]
        assert mean == pytest.approx(np.nanmean(column[places]))
    assert found["difference"].abs().is_sorted(descending=True)


def test_anomalies_of_a_time_look_back_over_it_from_its_end(db: Engine) -> None:
    read = {"op": "read", "id": "r", "kind": "anomalies", "since": "2013-02-05", "until": "2013-02-10"}
    answer = run(db, read, {"op": "top", "id": "t", "source": "r", "by": "score", "n": 5})
    (run_id,) = answer.results["r"].lineage.runs
    record = db.knowledge.read("anomalies", run=run_id).run
    assert (record.day, record.parameters["lookback_days"]) == ("2013-02-09", 5)
    assert "anomalies as of 2013-02-09, looking back 5 days" in answer.text
    assert answer.to_polars()["score"].is_sorted(descending=True)
    plain = run(db, {"op": "read", "id": "r", "kind": "anomalies"})
    assert plain.results["r"].lineage.runs != (run_id,)
    same_by_script(plain)


def test_trends_of_a_time_are_the_episodes_that_overlap_it(db: Engine) -> None:
    every = run(db, {"op": "read", "id": "r", "kind": "trends"}).to_polars()
    some = run(db, {"op": "read", "id": "r", "kind": "trends", "since": "2013-02-08", "until": "2013-02-10"})
    start = pl.lit("2013-02-08T05:00:00").str.to_datetime(time_zone="UTC")
    end = pl.lit("2013-02-10T05:00:00").str.to_datetime(time_zone="UTC")
    expected = every.filter((pl.col("since") < end) & (pl.col("until") > start))
    assert some.to_polars().rows() == expected.rows()
    if expected.height:
        assert "episode" in some.text


def test_the_cluster_of_an_entity(db: Engine) -> None:
    answer = run(db, {"op": "read", "id": "r", "kind": "clusters", "start": ["aircraft:N725MQ"]})
    row = db.knowledge.read("clusters").to_polars().filter(pl.col("entity") == "aircraft:N725MQ")
    assert answer.to_polars().rows() == row.rows()
    assert f"aircraft:N725MQ: cluster {row['cluster'][0]}" in answer.text
