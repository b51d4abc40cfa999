"""JupyterLab's side panel: which workspaces it finds in a notebook, and what its entries insert."""

from __future__ import annotations

import ast
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from workbench.engine import Engine
from workbench.jupyter.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: clicks, name: Clicks, version: 1}
spec:
  timezone: UTC
  timestamp: {fields: [time], timezone: UTC}
  entities:
    user: {who: true, description: Who clicks}
    page: {}
  edges:
    Visited: {from: user, to: page, description: A user was on a page}
  events:
    click:
      description: One click
      entities: {user: user, page: page}
      edges: [{type: Visited, from: user, to: page}]
"""
HOSTILE = """it's "quoted"; drop table click --"""


def make(path: Path, *types: str) -> Engine:
    path.with_suffix(".yaml").write_text(SCHEMA)
    engine = Engine.create(path, schema=path.with_suffix(".yaml"))
    for number, type_ in enumerate(types):
        rows = range(number + 1)
        frame = pl.DataFrame(
            {
                "time": [datetime(2025, 6, 12, 10, minute, tzinfo=UTC) for minute in rows],
                "user": ["anna" for _ in rows],
                "page": [f"/{minute}" for minute in rows],
            }
        )
        engine.ingest(frame, type=type_)
    return engine


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Engine]:
    with make(tmp_path / "shop", "visit", "click") as engine:
        yield engine


def listed(**namespace: Any) -> list[dict[str, Any]]:
    """Return what the panel gets, as it comes out of the kernel: JSON."""
    found: list[dict[str, Any]] = json.loads(json.dumps(Panel(namespace)._repr_json_()))
    return found


def entries(workspace: dict[str, Any], section: str) -> dict[str, dict[str, str]]:
    (found,) = [part for part in workspace["sections"] if part["name"] == section]
    return {entry["name"]: entry for entry in found["entries"]}


def notes(workspace: dict[str, Any], section: str) -> dict[str, str]:
    return {name: entry["note"] for name, entry in entries(workspace, section).items()}


def test_it_tells_what_a_workspace_has(shop: Engine) -> None:
    (workspace,) = listed(db=shop)
    assert (workspace["variable"], workspace["path"], workspace["problems"]) == ("db", str(shop.path), [])
    assert workspace["note"].startswith("3 documents in 1 segments, generation ")
    assert {n: e["note"] for n, e in entries(workspace, "Event types").items()} == {
        "click": "2",
        "visit": "1",
    }
    assert entries(workspace, "Event types")["click"]["title"] == "One click"
    assert {n: e["note"] for n, e in entries(workspace, "Entity types").items()} == {
        "user": "who",
        "page": "",
    }
    assert notes(workspace, "Edge types") == {"Visited": "user → page"}
    assert notes(workspace, "Knowledge") == {}


def test_the_code_of_every_entry_runs(shop: Engine) -> None:
    shop.compute("pagerank")
    (workspace,) = listed(my_shop=shop)
    given = {
        (section["name"], entry["name"]): eval(entry["code"], {"my_shop": shop})  # noqa: S307  (its purpose)
        for section in workspace["sections"]
        for entry in section["entries"]
    }
    assert {section for section, _ in given} == {"Event types", "Entity types", "Edge types", "Knowledge"}
    assert len(given["Event types", "click"].rows) == 2
    assert len(given["Entity types", "page"]) == 2
    assert given["Edge types", "Visited"].num_rows == 2
    assert given["Knowledge", "pagerank"].to_arrow().num_rows == 3


def test_of_several_workspaces_each_is_listed_once_and_private_names_are_left_out(
    shop: Engine, tmp_path: Path
) -> None:
    with make(tmp_path / "other", "click") as other:
        found = listed(_=shop, _7=other, db=shop, again=shop, b=other, text="no workspace", Engine=Engine)
        assert [(one["variable"], one["path"]) for one in found] == [
            ("db", str(shop.path)),
            ("b", str(other.path)),
        ]
        assert entries(found[1], "Event types")["click"]["code"].startswith("b.sql(")
    assert listed(_=shop) == []


def test_a_hostile_name_is_quoted_in_python_and_in_sql(tmp_path: Path) -> None:
    with make(tmp_path / "hostile", HOSTILE) as engine:
        (workspace,) = listed(db=engine)
        code = entries(workspace, "Event types")[HOSTILE]["code"]
        call = ast.parse(code, mode="eval").body
        assert isinstance(call, ast.Call)
        assert [type(argument) for argument in call.args] == [ast.Constant]
        assert len(eval(code, {"db": engine}).rows) == 1  # noqa: S307  (its purpose)


def test_a_damaged_workspace_is_a_problem_and_the_others_are_listed(shop: Engine, tmp_path: Path) -> None:
    with make(tmp_path / "damaged", "click") as damaged:
        (damaged.path / "CURRENT").write_text("rubbish")
        bad, good = listed(bad=damaged, db=shop)
    (problem,) = bad["problems"]
    assert problem.startswith(f"{damaged.path / 'CURRENT'}: not what a commit writes")
    assert (bad["variable"], bad["sections"]) == ("bad", [])
    assert (good["variable"], good["problems"]) == ("db", [])
    assert list(entries(good, "Event types")) == ["click", "visit"]
