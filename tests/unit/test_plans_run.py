"""Plans on a workspace made by hand: what every operation gives, what is said of it, what goes wrong."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pytest

from workbench.engine import Engine
from workbench.errors import SqlTimeoutError
from workbench.plans.phrasing import unsupported_figures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workbench.plans.answer import Answer

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: shop}
spec:
  timezone: Europe/Berlin
  timestamp: {fields: [time], timezone: UTC}
  fields: {booleans: [test, bought], test_account: test}
  entities:
    user: {who: true, label: name}
    page: {}
    country: {attribute: true}
    visit: {}
    fault: {}
  edges:
    Visited: {from: user, to: page}
    LivesIn: {from: user, to: country}
    Made: {from: user, to: visit}
    Hit: {from: user, to: fault}
    Likes: {from: user, to: page}
  events:
    Click:
      entities:
        user: user
        page: page
        country: country
        visit: {join: [user, number], separator: "-"}
      edges:
        - {type: Visited, from: user, to: page}
        - {type: LivesIn, from: user, to: country}
        - {type: Made, from: user, to: visit}
    Fault:
      entities: {user: user, fault: {fields: [message], hash: true}}
      edges: [{type: Hit, from: user, to: fault}]
  references:
    people:
      entities: {user: {fields: id, properties: [name, age]}, page: {fields: favourite}}
      edges: [{type: Likes, from: user, to: page}]
"""
# The clocks of Berlin go from 02:00 to 03:00 on 30 March 2025: it is UTC+1 before and UTC+2 after.
CLICKS = [
    ("2025-03-29T22:30:00Z", "anna", "/start", "de", 1, 10, True, None),
    ("2025-03-29T23:30:00Z", "anna", "/shop", "de", 1, 20, False, None),
    ("2025-03-30T00:30:00Z", "boris", "/shop", "fr", 7, 30, True, None),
    ("2025-03-30T01:30:00Z", "boris", "/start", "fr", 7, None, None, None),
    ("2025-03-30T05:00:00Z", "tess", "/shop", "de", 9, 99, None, True),
    ("2025-03-31T08:00:00Z", "carla", "/shop", "de", 3, 50, False, None),
    ("2025-04-02T10:00:00Z", "anna", "/start", "de", 2, 60, True, None),
]
NAMES = ("time", "user", "page", "country", "number", "ms", "bought", "test")
FAULTS = [("2025-03-30T09:00:00Z", "anna", "boom 1"), ("2025-03-31T09:00:00Z", "boris", "boom 1")]
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.yaml").write_text(SCHEMA)
    with Engine.create(folder / "w", schema=folder / "shop.yaml") as engine:
        clicks = dict(zip(NAMES, zip(*CLICKS, strict=True), strict=True))
        engine.ingest(pa.table(clicks), type="Click")
        faults = dict(zip(("time", "user", "message"), zip(*FAULTS, strict=True), strict=True))
        engine.ingest(pa.table(faults), type="Fault")
        people = {
            "id": ["anna", "boris"],
            "name": ["Anna", "Boris"],
            "age": ["30", "41"],
            "favourite": ["/start"] * 2,
        }
        engine.ingest(pa.table(people), type="people")
    return folder / "w"


@pytest.fixture(scope="module")
def db(root: Path) -> Iterator[Engine]:
    """Opened once: tests only read, or add knowledge."""
    with Engine(root) as engine:
        yield engine


def run(db: Engine, *steps: dict[str, Any], **more: Any) -> Answer:
    answer = db.execute({"steps": list(steps), **more})
    assert answer.status == "answered", answer.text
    return answer


def rows(db: Engine, *steps: dict[str, Any]) -> list[tuple[Any, ...]]:
    return run(db, *steps).to_polars().rows()


CLICK = {"op": "scan", "id": "clicks", "types": ["Click"]}


def count(**more: Any) -> dict[str, Any]:
    return {"op": "aggregate", "id": "n", "source": "clicks", "measures": [{"name": "n"}], **more}


def where(field: str, op: str = "=", value: Any = None) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


class TestDocuments:
    def test_times_are_of_the_workspace_and_the_end_is_excluded(self, db: Engine) -> None:
        day = {**CLICK, "since": "2025-03-30", "until": "2025-03-31", "columns": ["user"]}
        found = run(db, day).to_polars()
        assert found["user"].to_list() == ["anna", "boris", "boris", "tess"]
        assert str(found["_ts"].dt[0]) == "2025-03-30 00:30:00+01:00"

    def test_relative_times_follow_the_clock_of_the_workspace(self, db: Engine) -> None:
        assert rows(db, {**CLICK, "since": "last 3d"}, count()) == [(2,)]
        assert rows(db, {**CLICK, "since": "today"}, count()) == [(1,)]
        assert rows(db, {**CLICK, "since": "last month"}, count()) == [(6,)]

    @pytest.mark.parametrize(
        ("test", "users"),
        [
            (where("page", "=", "/shop"), ["anna", "boris", "tess", "carla"]),
            (where("page", "!=", "/shop"), ["anna", "boris", "anna"]),
            (where("user", "in", ["carla", "tess"]), ["tess", "carla"]),
            (where("user", "not in", ["anna", "boris"]), ["tess", "carla"]),
            (where("ms", "between", [20, 50]), ["anna", "boris", "carla"]),
            (where("ms", ">", "59"), ["tess", "anna"]),
            (where("ms", "is null"), ["boris"]),
            (where("user", "contains", "NN"), ["anna", "anna", "anna"]),
            (where("user", "starts with", "C"), ["carla"]),
            (where("bought", "=", value=True), ["anna", "boris", "anna"]),
            (where("bought", "=", "false"), ["anna", "carla"]),
            (where("_ts", ">=", "2025-03-31T10:00"), ["carla", "anna"]),
            (where("number", "=", 7.0), ["boris", "boris"]),
        ],
    )
    def test_conditions(self, db: Engine, test: dict[str, Any], users: list[str]) -> None:
        step = {**CLICK, "columns": ["user"], "where": [test]}
        assert run(db, step).to_polars()["user"].to_list() == users

    def test_columns_of_the_address_may_be_asked_for(self, db: Engine) -> None:
        step = {"op": "scan", "id": "s", "types": ["Click", "Fault"], "columns": ["_type", "_ts"]}
        assert run(db, step).to_polars().columns == ["_segment", "_id", "_ts", "_type"]

    def test_several_types_share_their_columns(self, db: Engine) -> None:
        both = {"op": "scan", "id": "all", "types": ["Click", "Fault"], "columns": ["user", "message", "ms"]}
        found = run(db, both).to_polars()
        assert found["_type"].to_list().count("Fault") == 2
        assert found.filter(pl.col("_type") == "Fault")["message"].to_list() == ["boom 1", "boom 1"]
        assert found.filter(pl.col("_type") == "Fault")["ms"].to_list() == [None, None]

    def test_a_limit_takes_the_first_in_time_and_says_how_many_there_were(self, db: Engine) -> None:
        answer = run(db, {**CLICK, "columns": ["user"], "limit": 2})
        assert answer.to_polars()["user"].to_list() == ["anna", "anna"]
        assert answer.results["clicks"].rows_before_limit == 7
        assert "The first 2 of 7 rows are shown." in answer.text
        whole = run(db, {**CLICK, "limit": 7})
        assert (whole.results["clicks"].rows_before_limit, "are shown" in whole.text) == (7, False)

    def test_a_limit_of_a_step_that_is_not_shown_is_said_too(self, db: Engine) -> None:
        assert "The first 3 of 7 rows are shown." in run(db, {**CLICK, "limit": 3}, count()).text

    def test_documents_by_address(self, db: Engine) -> None:
        first = run(db, {**CLICK, "limit": 1}).to_polars()
        address = f"{first['_segment'][0]}/{first['_id'][0]}"
        found = run(db, {"op": "get", "id": "one", "addresses": [address]}).to_polars()
        assert (found["user"][0], found["page"][0], found["_ts"][0]) == ("anna", "/start", first["_ts"][0])


class TestTables:
    def test_measures_by_hand(self, db: Engine) -> None:
        measures = [
            {"name": "n"},
            {"name": "sum", "op": "sum", "field": "ms"},
            {"name": "mean", "op": "mean", "field": "ms"},
            {"name": "median", "op": "median", "field": "ms"},
            {"name": "low", "op": "min", "field": "ms"},
            {"name": "high", "op": "max", "field": "ms"},
            {"name": "pages", "op": "distinct", "field": "page"},
            {"name": "shop", "op": "share", "where": [where("page", "=", "/shop")]},
            {"name": "part", "op": "part"},
            {"name": "bought", "op": "mean", "field": "bought"},
            {
                "name": "bought_in_shop",
                "where": [where("page", "=", "/shop"), where("bought", "=", value=True)],
            },
        ]
        found = rows(db, CLICK, count(by=[{"field": "user"}], measures=measures))
        assert found == [
            ("anna", 3, 90, 30.0, 20.0, 10, 60, 2, 1 / 3, 3 / 7, 2 / 3, 0),
            ("boris", 2, 30, 30.0, 30.0, 30, 30, 2, 0.5, 2 / 7, 1.0, 1),
            ("carla", 1, 50, 50.0, 50.0, 50, 50, 1, 1.0, 1 / 7, 0.0, 0),
            ("tess", 1, 99, 99.0, 99.0, 99, 99, 1, 1.0, 1 / 7, None, 0),
        ]

    def test_no_rows_are_a_count_of_zero_and_a_share_of_nothing(self, db: Engine) -> None:
        measures = [{"name": "n"}, {"name": "s", "op": "share", "where": [where("ms", "is null")]}]
        nobody = {**CLICK, "where": [where("user", "=", "nobody")]}
        assert rows(db, nobody, count(measures=measures)) == [(0, None)]
        assert "Nothing was found" in run(db, nobody).text

    def test_hours_and_days_are_local(self, db: Engine) -> None:
        by = [{"field": "_ts", "bucket": "hour of day"}]
        hours = rows(db, CLICK, count(by=by))
        assert hours == [(0, 1), (1, 1), (3, 1), (7, 1), (10, 1), (12, 1), (23, 1)]
        days = rows(db, CLICK, count(by=[{"field": "_ts", "bucket": "day of week", "name": "weekday"}]))
        assert days == [(1, 1), (3, 1), (6, 1), (7, 4)]

    def test_a_timeline_has_every_local_day_of_the_time_that_was_asked_for(self, db: Engine) -> None:
        line = {"op": "timeline", "id": "line", "source": "clicks", "bucket": "day"}
        found = run(db, {**CLICK, "since": "2025-03-29", "until": "2025-04-03"}, line).to_polars()
        assert found["events"].to_list() == [1, 4, 1, 0, 1]
        first = [datetime(2025, 3, 29 + n, tzinfo=BERLIN) for n in range(3)]
        assert found["time"].to_list()[:3] == first

    def test_a_timeline_skips_the_hour_that_the_clocks_skip(self, db: Engine) -> None:
        line = {"op": "timeline", "id": "line", "source": "clicks", "bucket": "hour"}
        night = {**CLICK, "since": "2025-03-30", "until": "2025-03-30T05:00"}
        found = run(db, night, line).to_polars()
        assert [t.hour for t in found["time"].to_list()] == [0, 1, 3, 4]
        assert found["events"].to_list() == [1, 1, 1, 0]

    def test_a_timeline_without_a_time_goes_from_the_first_event_to_the_last(self, db: Engine) -> None:
        line = {"op": "timeline", "id": "line", "source": "clicks", "bucket": "day", "by": ["country"],
                "measures": [{"name": "n"}, {"name": "ms", "op": "sum", "field": "ms"}]}  # fmt: skip
        found = run(db, CLICK, line).to_polars()
        french = found.filter(pl.col("country") == "fr")
        assert french["n"].to_list() == [0, 2, 0, 0, 0]
        assert french["ms"].to_list() == [None, 30, None, None, None]
        empty = {**CLICK, "where": [where("user", "=", "nobody")]}
        assert run(db, empty, {**line, "by": []}).to_polars().height == 0

    def test_the_window_bounds_a_timeline(self, db: Engine) -> None:
        line = {"op": "timeline", "id": "line", "source": "clicks", "bucket": "month"}
        found = run(db, {**CLICK, "since": "2024-01-01", "until": "2027-01-01"}, line).to_polars()
        assert found["events"].to_list() == [6, 1]

    def test_top_says_what_it_left_out_and_what_is_equal(self, db: Engine) -> None:
        answer = run(
            db,
            CLICK,
            count(by=[{"field": "user"}]),
            {"op": "top", "id": "t", "source": "n", "by": "n", "n": 3},
        )
        assert answer.to_polars().rows() == [("anna", 3), ("boris", 2), ("carla", 1)]
        assert answer.results["t"].rows_before_limit == 4
        assert "The 3 rows with the largest n are shown, of 4." in answer.text
        assert "1 more row has the same n as the last one shown." in answer.text
        lowest = {"op": "top", "id": "t", "source": "n", "by": "n", "n": 1, "ascending": True}
        least = run(db, CLICK, count(by=[{"field": "user"}]), lowest)
        assert least.to_polars().rows() == [("carla", 1)]
        assert "1 more row has the same n" in least.text

    def test_sorting_puts_nulls_last_and_equal_rows_by_the_rest(self, db: Engine) -> None:
        order = {"op": "sort", "id": "s", "source": "clicks", "by": [{"field": "bought", "descending": True}]}
        found = run(db, {**CLICK, "columns": ["bought", "user"]}, order).to_polars()
        assert found["bought"].to_list() == [True] * 3 + [False] * 2 + [None] * 2

    def test_joins(self, db: Engine) -> None:
        users = count(id="users", by=[{"field": "user"}])
        faults = {"op": "scan", "id": "faults", "types": ["Fault"]}
        per = {
            "op": "aggregate",
            "id": "per",
            "source": "faults",
            "by": [{"field": "user"}],
            "measures": [{"name": "n"}],
        }
        steps = [CLICK, users, faults, per]

        def joined(how: str) -> list[tuple[Any, ...]]:
            return rows(
                db,
                *steps,
                {"op": "join", "id": "j", "left": "users", "right": "per", "on": ["user"], "how": how},
            )

        assert joined("inner") == [("anna", 3, 1), ("boris", 2, 1)]
        assert joined("left") == [("anna", 3, 1), ("boris", 2, 1), ("carla", 1, None), ("tess", 1, None)]
        assert joined("semi") == [("anna", 3), ("boris", 2)]
        assert joined("anti") == [("carla", 1), ("tess", 1)]
        assert joined("full") == joined("left")

    def test_sets_by_a_column(self, db: Engine) -> None:
        shop = {
            "op": "scan",
            "id": "shop",
            "types": ["Click"],
            "where": [where("page", "=", "/shop")],
            "columns": ["user", "page"],
        }
        start = {**shop, "id": "start", "where": [where("page", "=", "/start")]}

        def users(kind: str, *sources: str) -> list[str]:
            step = {"op": "set", "id": "s", "sources": sources, "kind": kind, "on": "user"}
            found = run(db, shop, start, step).to_polars()
            assert found.columns == ["_segment", "_id", "_ts", "_type", "user", "page"]
            return sorted(found["user"].to_list())

        assert users("intersection", "shop", "start") == ["anna", "boris"]
        assert users("difference", "shop", "start") == ["carla", "tess"]
        assert users("union", "start", "shop") == ["anna", "boris", "carla", "tess"]

    def test_a_filter_after_an_aggregate(self, db: Engine) -> None:
        many = {"op": "filter", "id": "f", "source": "n", "where": [where("n", ">=", 2)]}
        assert rows(db, CLICK, count(by=[{"field": "user"}]), many) == [("anna", 3), ("boris", 2)]


class TestGraph:
    def users(self, db: Engine, **more: Any) -> dict[str, int]:
        step = {"op": "traverse", "id": "t", "start": ["page:/shop"], "types": ["user"], **more}
        return {row["entity"]: row["weight"] for row in run(db, step).to_arrow().to_pylist()}

    def test_the_whole_window(self, db: Engine) -> None:
        assert self.users(db) == {"user:anna": 1, "user:boris": 1, "user:carla": 1}

    def test_a_time_counts_its_own_events_exactly(self, db: Engine) -> None:
        assert self.users(db, since="2025-03-30", until="2025-03-30T01:00") == {"user:anna": 1}
        assert self.users(db, since="2025-03-30T01:00", until="2025-04-01") == {
            "user:boris": 1,
            "user:carla": 1,
        }

    @pytest.mark.parametrize("edge", ["Visited", "LivesIn", "Made", "Hit"])
    @pytest.mark.parametrize("direction", ["out", "in", "both"])
    @pytest.mark.parametrize("depth", [1, 2, 3])
    def test_documents_and_graph_agree(self, db: Engine, edge: str, direction: str, depth: int) -> None:
        starts = ["user:anna", "user:boris", "page:/shop", "country:de"]
        starts += (
            db.graph.nodes("fault")["entity"].to_pylist() + db.graph.nodes("visit")["entity"].to_pylist()[:1]
        )
        for start in starts:
            step = {
                "op": "traverse",
                "id": "t",
                "start": [start],
                "edge_types": [edge],
                "depth": depth,
                "direction": direction,
            }
            timed = db.execute({"steps": [{**step, "since": "2025-01-01"}]})
            whole = db.execute({"steps": [step]})
            assert timed.status == whole.status
            assert timed.to_polars().rows() == whole.to_polars().rows(), (start, timed.text)

    def test_nothing_is_through_an_attribute(self, db: Engine) -> None:
        step = {"op": "traverse", "id": "t", "start": ["user:anna"], "edge_types": ["LivesIn"], "depth": 3}
        assert run(db, step).to_arrow()["entity"].to_pylist() == ["country:de"]
        own = {**step, "start": ["country:de"]}
        assert sorted(run(db, own).to_arrow()["entity"].to_pylist()) == ["user:anna", "user:carla"]

    def test_the_rows_of_a_step_are_a_start(self, db: Engine) -> None:
        page = {"op": "traverse", "id": "t", "start": ["page:/shop"], "edge_types": ["Visited"]}
        country = {"op": "traverse", "id": "c", "start": "t", "types": ["country"]}
        assert run(db, page, country).to_arrow()["entity"].to_pylist() == ["country:de", "country:fr"]
        nobody = {"op": "filter", "id": "none", "source": "t", "where": [where("key", "=", "x")]}
        answer = run(db, page, nobody, {**country, "start": "none"})
        assert answer.to_arrow().num_rows == 0
        assert "There was no entity to begin with." in answer.text

    def test_nodes_have_typed_properties(self, db: Engine) -> None:
        step = {
            "op": "nodes",
            "id": "u",
            "type": "user",
            "properties": ["name"],
            "where": [where("age", ">", 35)],
        }
        found = run(db, step).to_polars()
        assert found.select("entity", "name", "age").rows() == [("user:boris", "Boris", 41)]
        mean = {
            "op": "aggregate",
            "id": "m",
            "source": "u",
            "measures": [{"name": "age", "op": "mean", "field": "age"}],
        }
        assert rows(db, {**step, "where": [], "properties": ["age"]}, mean) == [(35.5,)]

    def test_paths_shared_and_neighbourhood(self, db: Engine) -> None:
        path = run(db, {"op": "path", "id": "p", "start": ["user:anna", "user:carla"]})
        assert path.to_polars().select("step", "source", "edge", "target").rows() == [
            (1, "user:anna", "Visited", "page:/shop"),
            (2, "user:carla", "Visited", "page:/shop"),
        ]
        assert "user:anna -Visited→ page:/shop ←Visited- user:carla" in path.text
        shared = run(db, {"op": "shared", "id": "s", "start": ["user:anna", "user:boris"], "types": ["page"]})
        assert [(r["entity"], r["shared_by"]) for r in shared.to_arrow().to_pylist()] == [
            ("page:/start", 2),
            ("page:/shop", 2),
        ]
        around = run(db, {"op": "neighbourhood", "id": "n", "start": ["user:anna"], "limit": 2})
        result = around.results["n"]
        assert result.table.num_rows == 3
        assert result.edges is not None
        assert f"{result.rows_before_limit - 3} more entities were left out by the limit." in around.text
        assert around.renders[0].kind == "graph"

    def test_a_description_tells_the_facts(self, db: Engine) -> None:
        facts = dict(
            run(db, {"op": "describe", "id": "d", "start": ["user:anna"]})
            .to_polars()
            .select("fact", "value")
            .rows()
        )
        assert (facts["label"], facts["age"], facts["sightings"]) == ("Anna", "30", "4")
        assert facts["Visited (out)"] == "2 entities, weight 3"


class TestKnowledge:
    def test_what_is_not_computed_yet_is_computed(self, root: Path, tmp_path: Path) -> None:
        with Engine(root) as db:
            step = {"op": "read", "id": "r", "kind": "pagerank", "where": [where("type", "=", "page")]}
            answer = run(db, step)
            assert sorted(answer.to_arrow()["key"].to_pylist()) == ["/shop", "/start"]
            (run_id,) = answer.results["r"].lineage.runs
            assert db.knowledge.read("pagerank", run=run_id).run.seed == 0
            again = run(db, {**step, "start": ["page:/shop"]})
            assert again.results["r"].lineage.runs == (run_id,)
            assert again.to_arrow()["entity"].to_pylist() == ["page:/shop"]

    def test_a_result_that_cannot_be_stored_is_an_answer_all_the_same(self, root: Path) -> None:
        with Engine(root) as db, db.store.writer():
            before = db.knowledge.kinds()
            answer = run(db, {"op": "read", "id": "r", "kind": "communities"})
            assert answer.to_arrow().num_rows
            assert db.knowledge.kinds() == before

    def test_the_catalog_is_a_table(self, db: Engine) -> None:
        found = run(db, {"op": "catalog", "id": "c", "section": "event_types"}).to_polars()
        assert found.select("name", "documents").rows() == [("Click", 7), ("Fault", 2)]
        fields = run(db, {"op": "catalog", "id": "c", "section": "fields"}).to_polars()
        assert ("Click", "ms", "int64") in fields.select("event_type", "name", "kind").rows()
        for section in ("entity_types", "edge_types", "knowledge"):
            assert run(db, {"op": "catalog", "id": "c", "section": section}).to_arrow().num_columns


class TestAnswers:
    def test_json_has_exactly_these_parts_and_all_rows(self, db: Engine) -> None:
        data = run(db, CLICK, question="all clicks").to_json()
        assert list(data) == ["status", "text", "plan", "tables", "renders", "suggestions"]
        (table,) = data["tables"]
        assert (table["name"], len(table["rows"])) == ("clicks", 7)
        assert table["rows"][0][table["columns"].index("_ts")] == "2025-03-29T23:30:00+01:00"
        assert data["plan"] == {"version": 1, "question": "all clicks", "steps": [CLICK]}
        json.dumps(data, allow_nan=False)

    def test_the_main_table_comes_first_and_rendered_steps_follow(self, db: Engine) -> None:
        render = {"kind": "table", "source": "clicks"}
        answer = run(db, CLICK, count(), renders=[render])
        assert list(answer.tables) == ["n", "clicks"]
        assert answer.to_arrow().num_rows == 1

    @pytest.mark.parametrize(
        ("steps", "kind"),
        [
            ([CLICK, count()], "metric"),
            ([CLICK, count(by=[{"field": "user"}])], "bar"),
            ([CLICK, {"op": "timeline", "id": "t", "source": "clicks", "bucket": "day"}], "line"),
            ([CLICK], "table"),
            ([{"op": "path", "id": "p", "start": ["user:anna", "user:carla"]}], "graph"),
        ],
    )
    def test_the_shape_of_the_rows_chooses_the_picture(self, db: Engine, steps: list[Any], kind: str) -> None:
        answer = run(db, *steps)
        assert [r.kind for r in answer.renders] == [kind]
        html = answer._repr_mimebundle_()["text/html"]
        assert ("<svg" in html) == (kind in ("bar", "line", "metric")) or kind == "metric"

    def test_every_figure_of_the_text_is_in_a_table(self, db: Engine) -> None:
        by = count(by=[{"field": "user"}], measures=[{"name": "n"}, {"name": "p", "op": "part"}])
        answer = run(db, CLICK, by)
        said = answer.text.partition(" Times are")[0].partition(" From segments")[0]
        assert unsupported_figures(said, answer.tables.values()) == ()
        assert unsupported_figures("There were 12 clicks.", answer.tables.values()) == ("12",)

    def test_the_script_gives_the_same_rows(self, db: Engine) -> None:
        shop = {
            "op": "traverse",
            "id": "shop",
            "start": ["page:/shop"],
            "types": ["user"],
            "since": "2025-03-30",
        }
        start = {"op": "traverse", "id": "start", "start": ["page:/start"], "edge_types": ["Visited"]}
        plans: list[list[dict[str, Any]]] = [
            [
                CLICK,
                count(by=[{"field": "user"}]),
                {"op": "top", "id": "t", "source": "n", "by": "n", "n": 2},
            ],
            [{**CLICK, "where": [where("user", "!=", 'it\'s \\ """ odd')]}],
            [shop, start, {"op": "set", "id": "both", "sources": ["shop", "start"], "kind": "union"}],
            [{"op": "nodes", "id": "u", "type": "user", "where": [where("age", ">", 35)]}],
            [{"op": "nodes", "id": "u", "type": "user"}, {"op": "shared", "id": "s", "start": "u"}],
            [{"op": "read", "id": "r", "kind": "pagerank", "where": [where("type", "=", "page")]}],
            [{"op": "read", "id": "r", "kind": "pagerank", "start": ["user:anna", "page:/shop"]}],
            [start, {"op": "read", "id": "r", "kind": "pagerank", "start": "start"}],
            [{"op": "path", "id": "p", "start": ["user:anna", "user:carla"], "k": 2}],
            [{"op": "traverse", "id": "t", "start": ["user:anna", "country:fr"], "depth": 3}],
            [{"op": "traverse", "id": "t", "start": ["page:/shop"], "direction": "in", "types": ["user"]}],
            [{"op": "neighbourhood", "id": "n", "start": ["user:anna"], "hops": 2}],
            [{"op": "catalog", "id": "c", "section": "fields"}],
        ]
        for steps in plans:
            answer = run(db, *steps, question="first line\nimport nothing")
            names: dict[str, Any] = {}
            exec(answer.to_python(), names)  # noqa: S102  (what it is for)
            assert names["answer"].to_pylist() == answer.to_arrow().to_pylist()
            names["db"].close()

    def test_explain_and_sql_tell_what_ran(self, db: Engine) -> None:
        answer = run(db, CLICK, count(by=[{"field": "user"}]), question="clicks per user")
        lines = answer.explain().splitlines()
        assert lines[0] == "question: clicks per user"
        assert any(line.startswith("clicks: scan: 7 rows, folded") for line in lines)
        assert any(line.startswith("n: aggregate of clicks: 4 rows in") for line in lines)
        (statement,) = [r.sql for r in answer.results.values()]
        assert db.sql(statement).to_arrow().to_pylist() == answer.to_arrow().to_pylist()
        assert statement in answer.to_sql()

    def test_lineage_names_what_was_read(self, db: Engine) -> None:
        day = run(db, {**CLICK, "since": "2025-03-31", "until": "2025-04-01"}, count())
        lineage = day.results["n"].lineage
        assert (lineage.segments, lineage.generation) == (("2025-03-31",), db.snapshot.generation)
        assert f"From segment 2025-03-31, generation {lineage.generation}." in day.text

    def test_what_ran_once_is_kept_until_the_workspace_changes(self, db: Engine) -> None:
        first, second = run(db, CLICK, count()), run(db, CLICK, count(), question="again")
        assert second.results["n"] is first.results["n"]
        assert second.question == "again"


class TestStrangers:
    HOSTILE = (
        "'; drop table Click; --",
        '"); --',
        "a\0b",
        "%",
        "_",
        "\\",
        "<script>alert(1)</script>",
        "é\u202e",
        "$1",
        "{}",
        "",
    )

    @pytest.mark.parametrize("text", HOSTILE)
    @pytest.mark.parametrize("op", ["=", "contains", "starts with", "<"])
    def test_a_value_is_a_value(self, db: Engine, text: str, op: str) -> None:
        answer = run(db, {**CLICK, "where": [where("user", op, text)]})
        users = [user for _, user, *_ in CLICKS]
        expected = {
            "=": text.__eq__,
            "contains": lambda u: text.lower() in u,
            "starts with": lambda u: u.startswith(text.lower()),
            "<": lambda u: u.encode() < text.encode(),
        }[op]
        assert answer.to_arrow().num_rows == sum(map(expected, users))

    @pytest.mark.parametrize("name", ['n"; drop table x; --', "<b>n</b>", "a b", "select", "'", "é", "n\nn"])
    def test_a_name_is_a_name(self, db: Engine, name: str) -> None:
        measure = {"name": name}
        answer = run(db, CLICK, count(by=[{"field": "user", "name": f"u {name}"}], measures=[measure]),
                     {"op": "top", "id": "t", "source": "n", "by": name, "n": 1})  # fmt: skip
        assert answer.to_arrow().to_pylist() == [{f"u {name}": "anna", name: 3}]
        html = answer._repr_mimebundle_()["text/html"]
        assert "<b>n</b>" not in html

    def test_markup_in_values_is_escaped(self, tmp_path: Path) -> None:
        with Engine.create(tmp_path / "w") as db:
            db.ingest(
                pa.table({"time": ["2025-01-01T00:00:00Z"], "x": ["<img src=x onerror=alert(1)>"]}), type="E"
            )
            answer = run(db, {"op": "scan", "id": "e", "types": ["E"]}, question="<script>")
            html = answer._repr_mimebundle_()["text/html"]
            assert "<img" not in html
            assert "<script" not in html

    def test_steps_may_be_called_like_tables(self, db: Engine) -> None:
        steps = [
            {"op": "scan", "id": "Click", "types": ["Click"]},
            {"op": "filter", "id": "Fault", "source": "Click", "where": [where("ms", ">", 50)]},
        ]
        assert run(db, *steps).to_arrow().num_rows == 2
        line = {"op": "timeline", "id": "counted", "source": "buckets", "bucket": "day"}
        assert run(db, {**CLICK, "id": "buckets"}, line).to_arrow().num_rows == 5


class TestFailures:
    MISSING: ClassVar = {"op": "get", "id": "gone", "addresses": ["2025-03-30/1"]}

    def test_a_failed_step_takes_only_its_dependants_with_it(self, db: Engine) -> None:
        last = {"op": "filter", "id": "last", "source": "gone", "where": [where("_id", ">", 0)]}
        renders = [{"kind": "table", "source": "n"}]
        answer = db.execute({"steps": [CLICK, count(), self.MISSING, last], "renders": renders})
        assert answer.status == "failed"
        assert "there is no document '2025-03-30/1'" in answer.text
        assert answer.tables["n"].to_pylist() == [{"n": 7}]
        reasons = {report.id: report.reason for report in answer.reports if report.status == "failed"}
        assert list(reasons) == ["gone", "last"]
        assert reasons["last"].startswith("it reads 'gone', which failed:")
        assert "last: filter of gone: failed" in answer.explain()

    def test_a_failed_side_step_is_said_in_the_answer(self, db: Engine) -> None:
        answer = db.execute({"steps": [self.MISSING, CLICK, count()]})
        assert answer.status == "answered"
        assert "Step 'gone' (get) failed" in answer.text

    def test_a_step_has_a_time_limit(self, root: Path) -> None:
        with Engine(root, step_timeout=1e-4) as db:
            answer = db.execute({"steps": [CLICK, count()]})
        assert answer.status == "failed"
        assert "time limit" in answer.text

    def test_what_is_stopped_ends(self, root: Path) -> None:
        stop = threading.Event()
        stop.set()
        with Engine(root) as db:
            answer = db.execute({"steps": [CLICK, count()]}, stop=stop)
        assert answer.status == "failed"
        assert "stopped" in answer.text

    def test_a_running_statement_is_stopped_from_another_thread(self, db: Engine) -> None:
        stop = threading.Event()
        timer = threading.Timer(0.3, stop.set)
        timer.start()
        with pytest.raises(SqlTimeoutError, match="stopped"):
            db.sql(
                "select count(*) from range(100000) a, range(10000000) b where a.range + b.range = 7",
                stop=stop,
            )
        assert db.sql("select count(*) from Click").rows == [(7,)]

    def test_progress_is_told(self, root: Path) -> None:
        seen: list[tuple[int, int]] = []
        with Engine(root) as db:
            db.execute(
                {"steps": [CLICK, count()]}, progress=lambda told: seen.append((told.done, told.total))
            )
        assert seen[-1] == (2, 2)
