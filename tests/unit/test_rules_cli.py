"""``workbench rules`` and ``workbench schema``: what they print, and their exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
import pytest
from typer.testing import CliRunner

from workbench.cli.app import app
from workbench.config.kinds import KINDS
from workbench.engine import Engine

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: shop}
spec:
  timestamp: {fields: [time]}
  entities: {user: {who: true}}
  events: {View: {entities: {user: user}}}
"""
RULE = """\
apiVersion: workbench/v1
kind: AnomalyRule
metadata: {id: busy}
spec:
  template: {threshold: {feature: view_count, value: 3}}
  notifications: [{file: {path: told.jsonl}}]
"""


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == code, done.output
    return done.stdout


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "shop.yaml").write_text(SCHEMA)
    with Engine.create(tmp_path / "w", schema=tmp_path / "shop.yaml") as engine:
        rows = [{"time": f"2025-06-12T10:0{n}:00Z", "user": "anna"} for n in range(4)]
        engine.ingest(pl.DataFrame(rows).to_arrow(), type="View")
        (engine.path / "rules").mkdir()
        (engine.path / "rules" / "busy.yaml").write_text(RULE)
    monkeypatch.chdir(engine.path)
    return engine.path


def test_rules_are_listed_evaluated_and_logged(shop: Path) -> None:
    assert "busy  busy  threshold  warning   True     */15 * * * *" in run("rules", "list")
    assert run("rules", "evaluate") == (
        "busy triggered: user:anna: 4 View events in 1d (>= 3)\n1 triggered, 0 resolved\n"
    )
    assert run("rules", "evaluate") == "0 triggered, 0 resolved\n"
    fired = json.loads(run("rules", "evaluate", "busy", "--json"))
    assert fired == {"fired": [], "problems": []}
    listed = json.loads(run("rules", "list", "--json"))
    row = dict(zip(listed["columns"], listed["rows"][0], strict=True))
    assert (row["active"], row["channels"], row["file"]) == (1, "file", "busy.yaml")
    shown = run("rules", "log", "busy", "--limit", "1")
    assert "sent" in shown
    assert "1 row" in shown
    log = json.loads(run("rules", "log", "--json"))
    assert [r[log["columns"].index("subject")] for r in log["rows"]] == ["file told.jsonl", "user:anna"]


def test_a_rule_is_disabled_and_enabled_in_its_file(shop: Path) -> None:
    run("rules", "disable", "busy")
    assert "enabled: false" in (shop / "rules/busy.yaml").read_text()
    assert run("rules", "evaluate") == "0 triggered, 0 resolved\n"
    run("rules", "enable", "busy")
    assert "1 triggered" in run("rules", "evaluate")
    run("rules", "enable", "nobody", code=2)


def test_a_draft_is_backtested_from_its_file(shop: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft.yaml"
    text = RULE.replace("id: busy", "id: draft").replace("value: 3", "value: 2")
    draft.write_text(text.replace("spec:", 'spec:\n  lookback: 2m\n  schedule: {cron: "* * * * *"}'))
    found = json.loads(run("rules", "backtest", str(draft), "--json"))
    assert (found["rule"], found["fired"], found["ticks"], found["replayed"]) == ("draft", 1, 3, 3)
    row = dict(zip(found["columns"], found["rows"][0], strict=True))
    assert (row["triggered"], row["subject"], row["value"]) == ("2025-06-12T10:02:00+00:00", "user:anna", 2)
    shown = run("rules", "backtest", str(draft), "-q", "--ticks", "2")
    assert shown.startswith("draft: 2 of 3 ticks from 2025-06-12 10:01 until 2025-06-12 10:03 UTC, 1 times")
    assert not (shop / "alerts").exists()


def test_what_is_wrong_with_rules_is_an_exit_code(shop: Path) -> None:
    assert run("rules", "check") == "1 rules, 0 problems\n"
    (shop / "rules/bad.yaml").write_text(RULE.replace("busy", "bad").replace("value: 3", "value: x"))
    said = run("rules", "check", code=1)
    assert "bad.yaml:5: spec.template.threshold.value: Input should be a valid number" in said
    assert said.endswith("1 rules, 1 problems\n")
    assert json.loads(run("rules", "check", "--json", code=1))["problems"][0]["file"] == "bad.yaml"
    assert json.loads(run("rules", "evaluate", "--json", code=1))["fired"][0]["subject"] == "user:anna"
    run("rules", "evaluate", code=1)


def test_an_example_is_added(shop: Path) -> None:
    run("rules", "add", "noise")
    assert (shop / "rules/noise.yaml").exists()
    said = run("rules", "check", code=1)  # it is about another kind of log
    assert "noise.yaml: spec.filters.types: there is no entity type" in said
    run("rules", "add", "nose", code=2)


def test_the_json_schema_of_each_kind_is_printed(tmp_path: Path) -> None:
    assert [line.split()[0] for line in run("schema").splitlines()] == list(KINDS)
    assert json.loads(run("schema", "TrendConfig"))["title"] == "TrendConfig"
    run("schema", "TrendConfig", "-o", str(tmp_path / "t.json"))
    assert json.loads((tmp_path / "t.json").read_text())["title"] == "TrendConfig"
    run("schema", "Trends", code=2)
