"""What is wrong with a plan is said before anything runs: all of it at once, where, and what to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.engine import Engine
from workbench.plans.model import Plan
from workbench.plans.validate import Finding, validate

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: shop}
spec:
  timezone: Europe/Berlin
  timestamp: {fields: [time]}
  entities: {user: {who: true}, page: {}, country: {attribute: true}}
  edges:
    Visited: {from: user, to: page}
    Likes: {from: user, to: page}
  events:
    Click:
      entities: {user: user, page: page, country: country}
      edges: [{type: Visited, from: user, to: page}]
  references:
    people:
      entities: {user: {fields: id, properties: [name]}, page: favourite}
      edges: [{type: Likes, from: user, to: page}]
"""
CLICK = {"op": "scan", "id": "clicks", "types": ["Click"]}


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.yaml").write_text(SCHEMA)
    with Engine.create(folder / "w", schema=folder / "shop.yaml") as engine:
        times = [f"2025-03-{day}T12:00:00Z" for day in (29, 30, 31)]
        clicks = {"time": times, "user": ["anna", "boris", "anna"], "page": ["/a", "/b", "/b"]}
        clicks |= {"country": ["de", "fr", "de"], "ms": [1, 2, 3]}
        engine.ingest(pa.table(clicks), type="Click")
        engine.ingest(pa.table({"id": ["anna"], "name": ["Anna"], "favourite": ["/a"]}), type="people")
        engine.compute("components")
        yield engine


def findings(db: Engine, *steps: dict[str, Any], **more: Any) -> list[Finding]:
    return validate(Plan.model_validate({"steps": list(steps), **more}), db)


def only(db: Engine, *steps: dict[str, Any], **more: Any) -> tuple[str, str, str]:
    (finding,) = findings(db, *steps, **more)
    return finding.path, finding.reason, finding.suggestion


def where(field: str, op: str = "=", value: Any = None) -> list[dict[str, Any]]:
    return [{"field": field, "op": op, "value": value}]


def test_nothing_is_wrong_with_what_can_run(db: Engine) -> None:
    steps = [
        CLICK,
        {
            "op": "aggregate",
            "id": "n",
            "source": "clicks",
            "by": [{"field": "user"}],
            "measures": [{"name": "n"}],
        },
        {
            "op": "traverse",
            "id": "t",
            "start": ["user:anna"],
            "edge_types": ["Visited"],
            "since": "2025-03-30",
        },
        {"op": "read", "id": "r", "kind": "components", "start": "t"},
        {"op": "set", "id": "s", "sources": ["t", "r"], "kind": "intersection"},
    ]
    assert findings(db, *steps) == []


def test_everything_is_said_at_once(db: Engine) -> None:
    found = findings(
        db,
        {**CLICK, "types": ["Clik"]},
        {
            "op": "scan",
            "id": "other",
            "types": ["Click"],
            "where": where("usr", "=", "x"),
            "columns": ["pag"],
        },
        {"op": "top", "id": "t", "source": "zzz", "by": "n"},
        {"op": "traverse", "id": "g", "start": ["user:ana"], "edge_types": ["Visit"]},
    )
    assert [f.path for f in found] == [
        "steps[0].types[0]",
        "steps[1].columns[0]",
        "steps[1].where[0].field",
        "steps[2]",
        "steps[3].start[0]",
        "steps[3].edge_types[0]",
    ]
    assert [f.suggestion for f in found] == [
        "Did you mean 'Click'?",
        "Did you mean 'page'?",
        "Did you mean 'user'?",
        "There are: clicks, g, other.",
        "Did you mean 'user:anna'?",
        "Did you mean 'Visited'?",
    ]


class TestReferences:
    def test_ids_are_unique_whatever_their_case(self, db: Engine) -> None:
        assert only(db, CLICK, {**CLICK, "id": "Clicks"})[0] == "steps[1].id"

    def test_a_step_reads_earlier_ones_only(self, db: Engine) -> None:
        first = {"op": "filter", "id": "a", "source": "clicks", "where": where("ms", ">", 1)}
        path, reason, _ = only(db, first, CLICK)
        assert (path, reason) == ("steps[0]", "it reads 'clicks', which does not come before it.")
        itself = {"op": "filter", "id": "a", "source": "a", "where": where("ms", ">", 1)}
        assert "does not come before" in only(db, itself)[1] or "is no step" in only(db, itself)[1]

    def test_what_follows_a_wrong_step_is_not_blamed_for_it(self, db: Engine) -> None:
        wrong = {**CLICK, "types": ["Clik"]}
        rest = {
            "op": "aggregate",
            "id": "n",
            "source": "clicks",
            "by": [{"field": "x"}],
            "measures": [{"name": "n"}],
        }
        assert [f.path for f in findings(db, wrong, rest)] == ["steps[0].types[0]"]

    def test_only_entities_can_be_started_from(self, db: Engine) -> None:
        path, reason, _ = only(db, CLICK, {"op": "traverse", "id": "t", "start": "clicks"})
        assert (path, reason) == ("steps[1].start", "the rows of 'clicks' have no column 'entity'.")

    def test_renders_name_steps_and_columns(self, db: Engine) -> None:
        found = findings(
            db,
            CLICK,
            renders=[{"kind": "bar", "source": "x"}, {"kind": "bar", "source": "clicks", "x": "usr"}],
        )
        assert [f.path for f in found] == ["renders[0].source", "renders[1].x"]


class TestColumns:
    @pytest.mark.parametrize(
        ("test", "place", "said"),
        [
            (where("user", "contains", 7), None, ""),
            (where("ms", "contains", "1"), "op", "is a number"),
            (where("ms", "=", "many"), "value", "which is a number"),
            (where("ms", "=", "12"), None, ""),
            (where("user", "<", 5), "value", "which is text"),
            (where("user", "=", 5), None, ""),
            (where("_ts", ">", "yesterday"), None, ""),
            (where("_ts", ">", "soon"), "value", "which is a time"),
            (where("_ts", "starts with", "2025"), "op", "is a time"),
            (where("ms", "in", [1, "x"]), "value", "'x' does not fit"),
            (where("nothing", "is null"), "field", "no column 'nothing'"),
        ],
    )
    def test_conditions_fit_their_column(self, db: Engine, test: Any, place: str | None, said: str) -> None:
        found = findings(db, {**CLICK, "where": test})
        assert [f.path for f in found] == ([] if place is None else [f"steps[0].where[0].{place}"])
        assert said in "".join(f.reason for f in found)

    @pytest.mark.parametrize(
        ("measure", "place"),
        [
            ({"name": "m", "op": "mean", "field": "user"}, "measures[0].op"),
            ({"name": "m", "op": "sum", "field": "_ts"}, "measures[0].op"),
            ({"name": "m", "op": "max", "field": "user"}, None),
            ({"name": "m", "op": "distinct", "field": "usr"}, "measures[0].field"),
            ({"name": "USER"}, "measures[0].name"),
            ({"name": "m", "op": "share", "where": where("x", "=", 1)}, "measures[0].where[0].field"),
        ],
    )
    def test_measures_fit_their_column(self, db: Engine, measure: Any, place: str | None) -> None:
        step = {
            "op": "aggregate",
            "id": "n",
            "source": "clicks",
            "by": [{"field": "user"}],
            "measures": [measure],
        }
        assert [f.path for f in findings(db, CLICK, step)] == ([] if place is None else [f"steps[1].{place}"])

    def test_only_times_fall_into_buckets(self, db: Engine) -> None:
        by = [{"field": "user", "bucket": "day"}]
        step = {"op": "aggregate", "id": "n", "source": "clicks", "by": by, "measures": [{"name": "n"}]}
        assert only(db, CLICK, step)[0] == "steps[1].by[0].bucket"
        line = {"op": "timeline", "id": "l", "source": "clicks", "bucket": "day", "field": "ms"}
        assert only(db, CLICK, line)[0] == "steps[1].field"

    def test_columns_are_known_through_the_steps(self, db: Engine) -> None:
        by = {
            "op": "aggregate",
            "id": "n",
            "source": "clicks",
            "by": [{"field": "user"}],
            "measures": [{"name": "hits"}],
        }
        top = {"op": "top", "id": "t", "source": "n", "by": "ms"}
        assert only(db, CLICK, by, top)[1:] == (
            "the rows of 'n' have no column 'ms'.",
            "There are: user, hits.",
        )
        join = {"op": "join", "id": "j", "left": "n", "right": "clicks", "on": ["user"]}
        assert findings(db, CLICK, by, join, {"op": "top", "id": "t", "source": "j", "by": "ms"}) == []

    def test_joined_and_united_columns_are_of_one_kind(self, db: Engine) -> None:
        def per(column: str, ident: str) -> dict[str, Any]:
            by = [{"field": column, "name": "x"}]
            return {"op": "aggregate", "id": ident, "source": "clicks", "by": by, "measures": [{"name": "n"}]}

        steps = [CLICK, per("user", "a"), per("ms", "b")]
        assert (
            only(db, *steps, {"op": "join", "id": "j", "left": "a", "right": "b", "on": ["x"]})[0]
            == "steps[3].on[0]"
        )
        union = {"op": "set", "id": "s", "sources": ["a", "b"], "kind": "union", "on": "x"}
        assert only(db, *steps, union)[0] == "steps[3].on"


class TestTimes:
    @pytest.mark.parametrize(
        ("since", "until", "place", "said"),
        [
            ("soon", None, "since", "'soon' is not a time"),
            (None, "2025-13-01", "until", "is not a time"),
            ("2025-03-31", "2025-03-30", "since", "is empty"),
            ("2031-01-01", None, "since", "outside the window"),
            (None, "2025-03-29", "until", "outside the window"),
            ("2025-03-29", "2031-01-01", None, ""),
        ],
    )
    def test_times_are_times_and_in_the_window(
        self, db: Engine, since: str | None, until: str | None, place: str | None, said: str
    ) -> None:
        found = findings(db, {**CLICK, "since": since, "until": until})
        assert [f.path for f in found] == ([] if place is None else [f"steps[0].{place}"])
        assert said in "".join(f.reason for f in found)

    def test_edges_of_reference_tables_have_no_time(self, db: Engine) -> None:
        step = {
            "op": "traverse",
            "id": "t",
            "start": ["user:anna"],
            "edge_types": ["Likes"],
            "since": "2025-03-30",
        }
        assert only(db, step)[0] == "steps[0].since"
        assert findings(db, {k: v for k, v in step.items() if k != "since"}) == []


class TestGraph:
    @pytest.mark.parametrize(
        ("more", "place"),
        [
            ({"direction": "out"}, "direction"),
            ({"direction": "in", "types": ["country"]}, "types"),
            ({"direction": "in", "types": ["user"]}, None),
            ({"types": ["usr"]}, "types[0]"),
        ],
    )
    def test_what_cannot_be_reached_is_said(
        self, db: Engine, more: dict[str, Any], place: str | None
    ) -> None:
        step = {"op": "traverse", "id": "t", "start": ["page:/a"], "edge_types": ["Visited"], **more}
        assert [f.path for f in findings(db, step)] == ([] if place is None else [f"steps[0].{place}"])

    def test_types_and_properties_exist(self, db: Engine) -> None:
        assert only(db, {"op": "nodes", "id": "n", "type": "usr"})[2] == "Did you mean 'user'?"
        step = {"op": "nodes", "id": "n", "type": "user", "properties": ["nam"], "where": where("ag", "=", 1)}
        assert [f.path for f in findings(db, step)] == ["steps[0].properties[0]", "steps[0].where[0].field"]


class TestKnowledge:
    def test_kinds_exist_or_can_be_computed(self, db: Engine) -> None:
        assert only(db, {"op": "read", "id": "r", "kind": "page_rank"})[2] == "Did you mean 'pagerank'?"
        assert findings(db, {"op": "read", "id": "r", "kind": "pagerank"}) == []

    def test_columns_of_computed_knowledge_are_known(self, db: Engine) -> None:
        step = {"op": "read", "id": "r", "kind": "components", "where": where("componnt", "=", 0)}
        assert only(db, step)[2] == "Did you mean 'component'?"

    def test_asof_is_a_day_that_there_is(self, db: Engine) -> None:
        step = {"op": "read", "id": "r", "kind": "components"}
        assert only(db, {**step, "asof": "2024-01-01"})[0] == "steps[0].asof"
        assert only(db, {**step, "asof": "monday"})[0] == "steps[0].asof"
        assert findings(db, {**step, "asof": "2025-03-30"}) == []

    def test_what_has_no_time_is_not_selected_by_it(self, db: Engine) -> None:
        step = {"op": "read", "id": "r", "kind": "components", "since": "2025-03-30"}
        assert only(db, step)[:2] == ("steps[0].since", "components is not about times.")


def test_a_plan_may_not_read_more_than_is_allowed(db: Engine) -> None:
    with Engine(db.path, plan_rows=2) as bounded:
        assert only(bounded, CLICK)[0] == "steps"
        assert findings(bounded, {**CLICK, "since": "2025-03-31"}) == []


def test_json_that_is_no_plan_is_an_answer_with_findings(db: Engine) -> None:
    answer = db.execute(
        {
            "steps": [
                {"op": "scan", "id": "a"},
                {"op": "fly", "id": "b"},
                {"op": "top", "id": "1x", "source": "a", "by": "n", "n": 0},
            ]
        }
    )
    assert answer.status == "failed"
    paths = {f.path for f in answer.findings}
    assert {"steps[0].types", "steps[2].id", "steps[2].n"} <= paths
    assert db.execute({}).status == "failed"


NAMES = st.sampled_from(["clicks", "a", "b", "Click", "user", "page", "ms", "_ts", "n", "entity", "x"])
TEXTS = st.one_of(
    NAMES,
    st.sampled_from(["2025-03-30", "yesterday", "anna", "user:anna", "page:/a", ""]),
    st.text(max_size=3),
)
VALUES = st.one_of(TEXTS, st.integers(), st.floats(), st.booleans())
FILTERS = st.fixed_dictionaries(
    {"field": NAMES, "op": st.sampled_from(["=", "<", "contains", "in", "between", "is null"])},
    optional={"value": st.one_of(VALUES, st.lists(VALUES, min_size=1, max_size=2))},
)
MEASURES = st.fixed_dictionaries(
    {"name": NAMES, "op": st.sampled_from(["count", "mean", "max", "share", "part"])},
    optional={"field": NAMES, "where": st.lists(FILTERS, max_size=1)},
)
STARTS = st.one_of(NAMES, st.lists(st.sampled_from(["user:anna", "page:/a", "user:x", "x"]), max_size=2))


def steps(
    op: str | list[str], required: dict[str, Any], **optional: Any
) -> st.SearchStrategy[dict[str, Any]]:
    ops = st.sampled_from([op] if isinstance(op, str) else op)
    return st.fixed_dictionaries({"op": ops, "id": NAMES, **required}, optional=optional)


FEW, TESTS = st.lists(NAMES, max_size=2), st.lists(FILTERS, max_size=2)
SOURCE = {"source": NAMES}
STEPS = st.one_of(
    steps("scan", {"types": FEW}, where=TESTS, columns=FEW, since=TEXTS, limit=st.integers(-1, 3)),
    steps(
        ["aggregate", "timeline"],
        {**SOURCE, "measures": st.lists(MEASURES, max_size=2)},
        bucket=st.sampled_from(["day", "month", "eon"]),
    ),
    steps("filter", {**SOURCE, "where": TESTS}),
    steps("top", {**SOURCE, "by": NAMES}),
    steps(
        "set",
        {
            "sources": st.lists(NAMES, min_size=1, max_size=3),
            "kind": st.sampled_from(["union", "difference"]),
        },
        on=NAMES,
    ),
    steps(["traverse", "shared", "describe", "neighbourhood", "path"], {"start": STARTS}, since=TEXTS),
    steps("read", {"kind": st.sampled_from(["components", "x"])}, asof=TEXTS, since=TEXTS),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(STEPS, min_size=1, max_size=4))
def test_whatever_stands_in_a_plan_there_is_an_answer(db: Engine, plan: list[dict[str, Any]]) -> None:
    answer = db.execute({"steps": plan})
    assert answer.status in ("answered", "failed")
    if answer.status == "failed":
        assert answer.findings or any(report.status == "failed" for report in answer.reports)
        assert not any("unexpected" in report.reason for report in answer.reports), answer.text
    assert answer.text
    answer.to_json()
    answer.explain()
