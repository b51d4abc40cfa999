"""A rule from its file to its webhook: written, backtested, enabled, fired on streamed events, resolved."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hooks import Hooks, hooks
from typer.testing import CliRunner

from workbench.cli.app import app
from workbench.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: shop}
spec:
  timestamp: {fields: [time]}
  entities: {user: {who: true}, page: {}}
  edges: {Saw: {from: user, to: page}}
  events:
    View: {entities: {user: user, page: page}, edges: [{type: Saw, from: user, to: page}]}
    Fail: {entities: {user: user}}
"""
RULE = """\
apiVersion: workbench/v1
kind: AnomalyRule
metadata: {{id: failing, name: Failing user, enabled: false}}
spec:
  severity: critical
  template:
    threshold: {{feature: fail_count, value: 10}}
  lookback: 1h
  schedule: {{cron: "*/15 * * * *", cooldown: 1h}}
  notifications:
    - webhook: {{url: "{url}/alerts", token: env:ALERTS_TOKEN}}
"""
START = datetime(2025, 6, 12, tzinfo=UTC)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hooks]:
    monkeypatch.setenv("ALERTS_TOKEN", "s3cret")
    with hooks() as found:
        monkeypatch.setenv("WORKBENCH_NOTIFY_HOSTS", found.host)
        monkeypatch.setenv("WORKBENCH_NOTIFY_PRIVATE", found.host)
        yield found


def workbench(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == code, done.output
    return done.output


def burst(user: str, start: datetime, number: int) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("Fail", {"time": (start + timedelta(seconds=n)).isoformat(), "user": user}) for n in range(number)
    ]


def stream(engine: Engine, now: datetime, events: list[tuple[str, dict[str, Any]]]) -> None:
    """Stream events as they come, and see them published."""
    with engine.stream(clock=lambda: now) as opened:
        for kind, event in events:
            opened.append(kind, event)


def quiet(hour: datetime) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("View", {"time": (hour + timedelta(minutes=n)).isoformat(), "user": f"u{n % 5}", "page": "/"})
        for n in range(0, 59, 3)
    ]


def test_a_rule_is_written_backtested_enabled_fires_and_is_resolved(tmp_path: Path, hook: Hooks) -> None:
    (tmp_path / "shop.yaml").write_text(SCHEMA)
    path = str(tmp_path / "w")
    engine = Engine.create(path, schema=tmp_path / "shop.yaml")
    before = [event for hour in range(12) for event in quiet(START + timedelta(hours=hour))]
    before += burst("eve", START + timedelta(hours=5, minutes=5), 12)
    stream(engine, START + timedelta(hours=12), before)

    # written, and replayed over what there is: eve would have fired once, at the next tick
    (tmp_path / "w/rules").mkdir()
    (tmp_path / "w/rules/failing.yaml").write_text(RULE.format(url=hook.url))
    assert workbench("rules", "check", "-w", path) == "1 rules, 0 problems\n"
    replay = json.loads(workbench("rules", "backtest", "failing", "-w", path, "--json"))
    triggered = [dict(zip(replay["columns"], row, strict=True)) for row in replay["rows"]]
    assert [(t["triggered"], t["resolved"], t["subject"], t["value"]) for t in triggered] == [
        ("2025-06-12T05:15:00+00:00", "2025-06-12T06:15:00+00:00", "user:eve", 12.0)
    ]
    assert replay["precision"] is None
    assert workbench("rules", "evaluate", "-w", path) == "0 triggered, 0 resolved\n"
    assert hook.requests == []

    # enabled; mallory's failures are streamed, the rule fires, the webhook hears of it once
    workbench("rules", "enable", "failing", "-w", path)
    noon = START + timedelta(hours=13)
    stream(engine, noon, burst("mallory", noon - timedelta(minutes=10), 15))
    now = noon + timedelta(minutes=1)
    (fired,) = engine.rules.evaluate(now)
    assert (fired.rule, fired.event, fired.subject, fired.value) == (
        "failing",
        "triggered",
        "user:mallory",
        15,
    )
    assert engine.get(fired.addresses[-1]).fields["user"] == "mallory"
    ((where, headers, body),) = hook.requests
    assert (where, headers["Authorization"]) == ("/alerts", "Bearer s3cret")
    assert (body["title"], body["severity"]) == ("Failing user triggered: user:mallory", "critical")
    assert body["text"] == "user:mallory: 15 Fail events in 1h (>= 10)"

    # an hour of other events later it is resolved
    stream(engine, noon + timedelta(hours=2), quiet(noon + timedelta(hours=1)))
    (over,) = engine.rules.evaluate(noon + timedelta(hours=2))
    assert (over.event, over.subject, over.since) == ("resolved", "user:mallory", now)
    assert hook.bodies[1]["title"] == "Failing user resolved: user:mallory"
    log = json.loads(workbench("rules", "log", "-w", path, "--json"))
    events = [row[log["columns"].index("event")] for row in log["rows"]]
    assert events == ["sent", "resolved", "sent", "triggered"]
    assert "s3cret" not in json.dumps(log)
    assert "s3cret" not in "".join(p.read_text() for p in (tmp_path / "w/alerts").glob("*.jsonl"))


def test_a_broken_file_and_a_private_address(
    tmp_path: Path, hook: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop.yaml").write_text(SCHEMA)
    path = str(tmp_path / "w")
    engine = Engine.create(path, schema=tmp_path / "shop.yaml")
    stream(engine, START + timedelta(hours=1), burst("eve", START, 12))
    (tmp_path / "w/rules").mkdir()
    file = tmp_path / "w/rules/failing.yaml"
    file.write_text(RULE.format(url=hook.url).replace("enabled: false", "enabled: true"))
    monkeypatch.setenv("WORKBENCH_NOTIFY_PRIVATE", "")
    # it fires, and the notification is refused: a rule cannot reach this machine unless that is allowed
    assert "failing triggered: user:eve" in workbench("rules", "evaluate", "-w", path)
    assert hook.requests == []
    shown = workbench("rules", "log", "-w", path)
    assert "refused" in shown
    assert "127.0.0.1 is at the private address 127.0.0.1." in shown

    file.write_text(file.read_text().replace("value: 10", "valeu: 10"))
    said = workbench("rules", "check", "-w", path, code=1)
    assert f"{file}:7: spec.template.threshold.value: missing key 'value'." in said
    assert f"{file}:7: spec.template.threshold.valeu: unknown key 'valeu'. Did you mean 'value'?" in said
    assert "The last good version goes on." in said
    # and it does: the failures are an hour old, so it is resolved
    later = datetime.now(UTC) + timedelta(hours=1)
    stream(engine, START + timedelta(hours=3), quiet(START + timedelta(hours=2)))
    assert [f.event for f in Engine(path).rules.evaluate(later)] == ["resolved"]
