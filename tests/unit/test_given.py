"""Arguments of the wrong kind: an error of ours that says what to give, never one of a library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from workbench.engine import Engine
from workbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: tiny}
spec:
  timezone: America/New_York
  entities: {member: {who: true}, page: {}, city: {attribute: true}}
  edges: {Saw: {from: member, to: page}, LivesIn: {from: member, to: city}}
  events:
    Click:
      entities: {member: member, page: page, city: city}
      edges: [{type: Saw, from: member, to: page}, {type: LivesIn, from: member, to: city}]
"""
ANN = "member:ann"


CALLS: list[Callable[[Any], Any]] = [
    lambda db: db.graph.around(None),
    lambda db: db.graph.around(5),
    lambda db: db.graph.around(b"member:ann"),
    lambda db: db.graph.around(ANN, hops="2"),
    lambda db: db.graph.around(ANN, hops=1.5),
    lambda db: db.graph.around(ANN, limit="a"),
    lambda db: db.graph.around(ANN, direction=None),
    lambda db: db.graph.path(ANN, None),
    lambda db: db.graph.paths(ANN, "page:p1", None),
    lambda db: db.graph.shared(None),
    lambda db: db.graph.node(None),
    lambda db: db.graph.nodes(["member"]),
    lambda db: db.graph.nodes(5),
    lambda db: db.graph.at(None),
    lambda db: db.graph.since(5),
    lambda db: db.entity(None),
    lambda db: db.entities[None],
    lambda db: db.entities["member"][None],
    lambda db: db.entities["member"][:3],
    lambda db: db.anomalies.top(-1),
    lambda db: db.anomalies.top("a"),
    lambda db: db.anomalies.events("member:ann"),
    lambda db: db.anomalies.explain(None),
    lambda db: db.clusters.members("0"),
    lambda db: db.knowledge.read(None),
    lambda db: db.knowledge.read("pagerank", asof=5),
    lambda db: db.compute(None),
    lambda db: db.trends.alerts(None),
    lambda db: db.trends.series(5),
    lambda db: db.features(5),
    lambda db: db.scan(limit="a"),
    lambda db: db.scan(since="2025-06-05", until="2025-06-01"),
    lambda db: db.get(None),
    lambda db: db.sql(None),
    lambda db: db.ask(None),
    lambda db: db.view(None),
    lambda db: db.catalog.search(None),
    lambda db: db.catalog.search("p", limit=None),
    lambda db: db.catalog.prompt("a"),
]


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    root = tmp_path_factory.mktemp("given")
    (root / "tiny.yaml").write_text(SCHEMA)
    days = range(1, 15)
    rows = [(f"2025-06-{d:02}T10:00:00Z", f"m{d % 7}", f"p{d % 3}", "Bern") for d in days]
    rows += [("2025-06-14T11:00:00Z", "ann", "p1", "Bern"), ("2025-06-14T11:00:00Z", "42", "p1", "Bern")]
    table = pa.table(dict(zip(("time", "member", "page", "city"), zip(*rows, strict=True), strict=True)))
    with Engine.create(root / "w", schema=root / "tiny.yaml") as engine:
        engine.ingest(table, type="Click")
        for task in ("pagerank", "clusters", "anomalies"):
            engine.compute(task)
        yield engine


@pytest.mark.parametrize("call", CALLS, ids=[str(n) for n in range(len(CALLS))])
def test_an_argument_of_the_wrong_kind_is_a_usage_error(db: Engine, call: Callable[[Any], Any]) -> None:
    with pytest.raises(UsageError) as error:
        call(db)
    assert str(error.value)


def test_a_single_name_is_a_list_of_one(db: Engine) -> None:
    listed = db.graph.around(ANN, edge_types=["LivesIn"], through=["city"], hops=2)
    assert db.graph.around(ANN, edge_types="LivesIn", through="city", hops=2).nodes.equals(listed.nodes)
    assert db.scan("Click", columns="page").read_all().column_names == ["page"]


def test_keys_of_a_type_can_be_gone_through_and_asked_for(db: Engine) -> None:
    keys = list(db.entities["member"])
    assert keys == db.graph.nodes("member")["key"].to_pylist()
    assert "ann" in db.entities["member"]
    assert "bob" not in db.entities["member"]
    assert None not in db.entities["member"]
    assert len(keys) == len(db.entities["member"])


def test_a_graph_cannot_be_written_where_no_directory_is(db: Engine) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        db.graph.around(ANN).to_graphml("no/such/directory/x.graphml")
