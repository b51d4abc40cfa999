"""Questions on the command line over flights, against SQL written by hand."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from workbench.cli.app import app
from workbench.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FIRST, LAST = "2013-03-01", "2013-03-15"
WITHIN = "_ts >= '2013-03-04' and _ts < '2013-03-11'"  # with the change to summer time on the 10th
TIME = {"since": "2013-03-04", "until": "2013-03-11"}
PARTS = ["status", "text", "plan", "tables", "renders", "suggestions"]


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """A command sends the log to its own standard error: put back what was there."""
    log = logging.getLogger("workbench")
    handlers, level, propagate = log.handlers[:], log.level, log.propagate
    yield
    log.handlers[:], log.level, log.propagate = handlers, level, propagate


@pytest.fixture(scope="module")
def workspace(flights_between: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ask") / "w"
    with Engine.create(root, schema="flights") as engine:
        engine.ingest(flights_between(FIRST, LAST))
    return root


@pytest.fixture(scope="module")
def db(workspace: Path) -> Iterator[Engine]:
    with Engine(workspace) as engine:
        yield engine


def invoke(*arguments: object, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [str(a) for a in arguments], prog_name="workbench")
    assert done.exit_code == code, done.output
    return done


def document(*arguments: object, code: int = 0) -> Any:
    done = invoke(*arguments, code=code)
    assert done.stderr == ""
    return json.loads(done.stdout)


def gold(db: Engine, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a statement in which WITHIN is the time that the plans are about."""
    return db.sql(statement.replace("WITHIN", WITHIN)).rows


def main(db: Engine, *steps: dict[str, Any]) -> list[tuple[Any, ...]]:
    answer = db.execute({"steps": list(steps)})
    assert answer.status == "answered", answer.text
    return answer.to_polars().rows()


DEPARTURES = {"op": "scan", "id": "s", "types": ["Departure"], **TIME}


class TestPlansAgainstSql:
    def test_counts_by_group(self, db: Engine) -> None:
        by = {
            "op": "aggregate",
            "id": "a",
            "source": "s",
            "by": [{"field": "carrier"}],
            "measures": [{"name": "n"}],
        }
        top = {"op": "top", "id": "t", "source": "a", "by": "n", "n": 5}
        statement = """
            select carrier, count(*) n from Departure where WITHIN group by 1 order by n desc,
            carrier limit 5"""
        assert main(db, DEPARTURES, by, top) == gold(db, statement)

    def test_shares_over_two_types(self, db: Engine) -> None:
        cancelled = [{"field": "_type", "value": "Cancellation"}]
        scan = {**DEPARTURES, "types": ["Departure", "Cancellation"]}
        by = {"op": "aggregate", "id": "a", "source": "s", "by": [{"field": "origin"}],
              "measures": [{"name": "share", "op": "share", "where": cancelled}, {"name": "n"}]}  # fmt: skip
        statement = """
            select origin, count(*) filter (_type = 'Cancellation') / count(*), count(*)
            from events where _type in ('Departure', 'Cancellation') and WITHIN group by 1 order by 1"""
        assert main(db, scan, by) == gold(db, statement)

    def test_means_of_two_groups(self, db: Engine) -> None:
        two = [{"field": "carrier", "op": "in", "value": ["B6", "UA"]}]
        scan = {"op": "scan", "id": "s", "types": ["Arrival"], "where": two, **TIME}
        mean = {"name": "delay", "op": "mean", "field": "arr_delay"}
        by = {"op": "aggregate", "id": "a", "source": "s", "by": [{"field": "carrier"}], "measures": [mean]}
        statement = """
            select carrier, avg(arr_delay) from Arrival where carrier in ('B6', 'UA') and
            WITHIN group by 1 order by 1"""
        assert main(db, scan, by) == gold(db, statement)

    @pytest.mark.parametrize("bucket", ["day", "hour"])
    def test_timelines_over_the_change_of_clocks(self, db: Engine, bucket: str) -> None:
        line = {"op": "timeline", "id": "l", "source": "s", "bucket": bucket}
        found = main(db, DEPARTURES, line)
        statement = "select date_trunc('BUCKET', _ts) t, count(*) from Departure where WITHIN group by 1"
        assert [row for row in found if row[1]] == sorted(gold(db, statement.replace("BUCKET", bucket)))
        assert len(found) == {"day": 7, "hour": 7 * 24 - 1}[bucket]

    def test_sets_of_entities_in_a_time(self, db: Engine) -> None:
        def to(airport: str) -> dict[str, Any]:
            start = [f"airport:{airport}"]
            return {"op": "traverse", "id": airport.lower(), "start": start, "direction": "in",
                    "edge_types": ["ArrivedAt"], "types": ["aircraft"], **TIME}  # fmt: skip

        both = {"op": "set", "id": "both", "sources": ["den", "mia"], "kind": "intersection"}
        statement = """
            select distinct 'aircraft:' || tailnum from Arrival where dest = 'DEN' and WITHIN intersect
            select distinct 'aircraft:' || tailnum from Arrival where dest = 'MIA' and WITHIN order by 1"""
        found = main(db, to("DEN"), to("MIA"), both)
        assert sorted(row[0] for row in found) == [row[0] for row in gold(db, statement)]
        assert found

    def test_weights_of_a_time_are_events(self, db: Engine) -> None:
        step = {
            "op": "traverse",
            "id": "t",
            "start": ["aircraft:N725MQ"],
            "edge_types": ["ArrivedAt"],
            **TIME,
        }
        statement = """
            select 'airport:' || dest, count(*) n from Arrival where tailnum = 'N725MQ' and
            WITHIN group by 1 order by n desc, 1"""
        assert [(row[0], row[-1]) for row in main(db, step)] == gold(db, statement)

    def test_a_join_key_in_a_time(self, db: Engine) -> None:
        step = {"op": "traverse", "id": "t", "start": ["airport:HNL"], "edge_types": ["FliesTo"], **TIME}
        statement = """
            select 'flight:' || carrier || flight, count(*) n from Departure where dest = 'HNL'
            and WITHIN group by 1 order by n desc, 1"""
        assert [(row[0], row[-1]) for row in main(db, step)] == gold(db, statement)

    def test_shared_entities(self, db: Engine) -> None:
        pair = ["aircraft:N725MQ", "aircraft:N711MQ"]
        step = {"op": "shared", "id": "s", "start": pair, "types": ["airport"]}
        statement = """
            select 'airport:' || place from (
                select tailnum, origin place from Departure union select tailnum, dest from Arrival
            ) where tailnum in ('N725MQ', 'N711MQ')
            group by place having count(distinct tailnum) = 2 order by 1"""
        assert sorted(row[0] for row in main(db, step)) == [row[0] for row in gold(db, statement)]


class TestAsk:
    def test_json_has_all_rows_and_nothing_else_is_said(self, workspace: Path, db: Engine) -> None:
        answer = document("ask", "-w", workspace, "departures per carrier", "--json")
        assert list(answer) == PARTS
        assert answer["status"] == "answered"
        (table,) = answer["tables"][:1]
        statement = "select carrier, count(*) from Departure group by 1"
        assert sorted(row[:2] for row in table["rows"]) == sorted(map(list, gold(db, statement)))

    def test_the_screen_has_text_and_table(self, workspace: Path) -> None:
        said = invoke("ask", "-w", workspace, "departures per carrier", "--explain").stdout
        assert "UA" in said
        assert "aggregate" in said
        assert "15 rows" in said

    def test_what_cannot_be_answered_is_declined_and_not_an_error(self, workspace: Path) -> None:
        answer = document("ask", "-w", workspace, "sales by region", "--json")
        assert answer["status"] in ("declined", "ask_back")
        assert answer["tables"] == []
        assert answer["text"]

    def test_a_follow_up_in_the_same_session(self, workspace: Path, db: Engine) -> None:
        document("ask", "-w", workspace, "departures per carrier on 5 March 2013", "--json", "--session", "s")
        answer = document("ask", "-w", workspace, "and on 6 March?", "--json", "--session", "s")
        assert answer["status"] == "answered"
        statement = """
            select carrier, count(*) from Departure where _ts >= '2013-03-06' and _ts <
            '2013-03-07' group by 1"""
        assert sorted(row[:2] for row in answer["tables"][0]["rows"]) == sorted(
            map(list, gold(db, statement))
        )

    def test_a_plan_can_be_taken_out_edited_and_run(self, workspace: Path, tmp_path: Path) -> None:
        proposal = document("ask", "-w", workspace, "departures per carrier", "--plan-only")
        assert (proposal["status"], proposal["findings"]) == ("planned", [])
        edited = tmp_path / "plan.json"
        text = json.dumps(proposal["plan"]).replace("Departure", "Arrival")
        edited.write_text(text)
        answer = document("plan", edited, "-w", workspace, "--json")
        assert answer["status"] == "answered"
        assert answer["plan"]["steps"][0]["types"] == ["Arrival"]

    def test_a_wrong_plan_fails_with_what_is_wrong(self, workspace: Path, tmp_path: Path) -> None:
        wrong = tmp_path / "plan.json"
        wrong.write_text(json.dumps({"steps": [{"op": "scan", "id": "s", "types": ["Depature"]}]}))
        answer = document("plan", wrong, "-w", workspace, "--json", code=1)
        assert answer["status"] == "failed"
        assert "Did you mean 'Departure'?" in answer["text"]
        wrong.write_text("no json")
        assert "not readable as JSON" in invoke("plan", wrong, "-w", workspace, code=2).stderr

    def test_the_schema_of_plans_is_json_schema(self) -> None:
        schema = document("plan-schema")
        assert schema["title"] == "Plan"
        assert {"Scan", "Traverse", "Aggregate"} <= set(schema["$defs"])
