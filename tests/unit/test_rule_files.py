"""Files of rules and of the other kinds: what is refused and in which words, what extends what, schedules."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from workbench.config import kinds
from workbench.config.anomaly_rule import AnomalyRule, example_rules, load_rule
from workbench.config.entity_schema import load_schema, shipped_schemas
from workbench.config.kinds import KINDS, json_schema, schema_files, write_schemas
from workbench.config.schedule import Schedule, parse_span
from workbench.config.tasks import load_patterns, load_scoring, load_trends
from workbench.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "apiVersion: workbench/v1\nkind: AnomalyRule\nmetadata: {id: r}\nspec:\n"
THRESHOLD = "  template:\n    threshold: {feature: n, value: 3}\n"


def error(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_rule(path)
    return str(caught.value).replace(str(path), "r.yaml").split("\n")


FINDINGS = {
    "  severity: warning\n": (
        "4: spec: what a rule looks for is one of template, composition, and there is none"
    ),
    THRESHOLD + "  composition: {signal: z_score, threshold: 3}\n": (
        "4: spec: what a rule looks for is one of template, composition, not template and"
    ),
    "  template:\n    threshold: {feature: n, value: 3}\n    absence: {feature: n, lookback_days: 3}\n": (
        "5: spec.template: a template is one of spike, threshold, absence, drift, sequence, trend, not"
    ),
    "  composition:\n    and:\n      - {signal: zscore, threshold: 3}\n": (
        "7: spec.composition.and.0.signal: 'zscore' is not a possible value. Did you mean 'z_score'?"
    ),
    "  composition:\n    and:\n      - {signal: z_score}\n": (
        "7: spec.composition.and.0: a signal or feature needs a threshold"
    ),
    "  composition: {not: {feature: n, threshold: 1}, threshold: 3}\n": (
        "5: spec.composition: only a signal or feature has a threshold"
    ),
    "  composition: {signal: isolation, threshold: 1, metric: x}\n": (
        "5: spec.composition: only the signal trend has a metric"
    ),
    "  composition: {signal: isolation, threshold: 1}\n  lookback: 6h\n": (
        "4: spec: the signal isolation is about whole days: lookback is 1d at least"
    ),
    THRESHOLD + "  lookback: 10s\n": "7: spec.lookback: a period is a minute long at least",
    "  template:\n    sequence: {pattern: [A], within: 0s}\n": (
        "6: spec.template.sequence.within: must be longer than nothing"
    ),
    THRESHOLD + '  schedule: {cron: "0 25 * * *"}\n': (
        "7: spec.schedule.cron: '0 25 * * *' is no schedule: "
    ),
    THRESHOLD + '  schedule: {cron: "0 6 * *"}\n': (
        "7: spec.schedule.cron: '0 6 * *' has 4 fields, a schedule has five: minute, hour"
    ),
    THRESHOLD + "  schedule: {timezone: Europe/Berlim}\n": (
        "7: spec.schedule.timezone: there is no time zone 'Europe/Berlim'"
    ),
    THRESHOLD + "  schedule: {cooldown: 3 hours}\n": (
        "7: spec.schedule.cooldown: '3 hours' is no span of time; write it like 30m, 12h or 1d2h"
    ),
    THRESHOLD + "  enrichment: {plan: {steps: []}}\n": (
        "7: spec.enrichment: give 'at_least' or 'at_most': how many rows the plan has to give"
    ),
    THRESHOLD + "  notifications:\n    - title: x\n": (
        "8: spec.notifications.0: a notification has one of webhook, slack, telegram, email, file, and"
    ),
    THRESHOLD + '  notifications:\n    - file: {path: a.jsonl}\n      title: "{subjekt}"\n': (
        "9: spec.notifications.0.title: there is no placeholder {subjekt}. Did you mean 'subject'?"
    ),
    THRESHOLD + "  notifications:\n    - file: {path: ../a.jsonl}\n": (
        "8: spec.notifications.0.file.path: '../a.jsonl' is no plain file name"
    ),
    THRESHOLD + "  notifications:\n    - email: {to: [anna, b@example.com]}\n": (
        "8: spec.notifications.0.email.to: 'anna' is no address of e-mail"
    ),
}


@pytest.mark.parametrize("spec", FINDINGS)
def test_a_finding_names_file_line_path_and_what_may_be_meant(tmp_path: Path, spec: str) -> None:
    (found,) = error(tmp_path / "r.yaml", HEAD + spec)
    assert found.startswith(f"r.yaml:{FINDINGS[spec]}")


@pytest.mark.parametrize(
    "channel",
    [
        "slack: {url: https://hooks.example.com/s3cret}",
        "telegram: {chat: 1, token: s3cret}",
        "webhook: {url: https://example.com/x, token: s3cret}",
        "webhook: {url: 'https://user:s3cret@example.com/x'}",
    ],
)
def test_a_secret_in_a_rule_is_refused_and_not_repeated(tmp_path: Path, channel: str) -> None:
    found = error(tmp_path / "r.yaml", f"{HEAD}{THRESHOLD}  notifications:\n    - {channel}\n")
    assert "s3cret" not in "".join(found)
    assert "env:NAME" in found[0]


# inheritance


def write(folder: Path, id_: str, spec: str, **metadata: str) -> Path:
    path = folder / f"{id_}.yaml"
    more = "".join(f", {name}: {value}" for name, value in metadata.items())
    path.write_text(
        f"apiVersion: workbench/v1\nkind: AnomalyRule\nmetadata: {{id: {id_}{more}}}\nspec:\n{spec}"
    )
    return path


def test_extends_merges_deeply_and_lists_replace(tmp_path: Path) -> None:
    files = {
        "base": write(
            tmp_path,
            "base",
            THRESHOLD
            + "  filters: {types: [a, b], min_score: 0.5}\n  schedule: {cron: '0 6 * * *', cooldown: 1h}\n",
            name="Base",
            enabled="false",
        ),
        "middle": write(tmp_path, "middle", "  filters: {types: [c]}\n", extends="base"),
    }
    path = write(
        tmp_path,
        "top",
        "  template:\n    threshold: null\n    absence: {feature: m, lookback_days: 2}\n",
        extends="middle",
    )
    found = load_rule(path, files.get)
    assert found.kind == "absence"
    assert (found.filters.types, found.filters.min_score) == (("c",), 0.5)
    assert (found.schedule.cron, found.schedule.cooldown) == ("0 6 * * *", timedelta(hours=1))
    assert (found.name, found.metadata.enabled, found.metadata.extends) == ("Base", True, "middle")


def test_a_finding_in_what_is_inherited_names_that_file(tmp_path: Path) -> None:
    base = write(tmp_path, "base", THRESHOLD + "  schedule: {cron: x}\n")
    path = write(tmp_path, "top", "  lookback: 2h\n", extends="base")
    with pytest.raises(ConfigError, match=r"base\.yaml:7: spec\.schedule\.cron"):
        load_rule(path, {"base": base}.get)


def test_rules_that_extend_one_another_are_a_cycle(tmp_path: Path) -> None:
    files = {
        "a": write(tmp_path, "a", "  lookback: 2h\n", extends="b"),
        "b": write(tmp_path, "b", "  lookback: 2h\n", extends="a"),
    }
    with pytest.raises(
        ConfigError, match=r"b\.yaml:3: metadata\.extends: it extends itself: a\.yaml -> b\.yaml -> a"
    ):
        load_rule(files["a"], files.get)
    path = write(tmp_path, "c", "  lookback: 2h\n", extends="nobody")
    with pytest.raises(ConfigError, match=r"c\.yaml:3: metadata\.extends: there is no AnomalyRule 'nobody'"):
        load_rule(path, files.get)


def test_an_entity_schema_extends_a_shipped_one(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "apiVersion: workbench/v1\nkind: EntitySchema\nmetadata: {id: mine, extends: gaming}\n"
        "spec:\n  timezone: Asia/Manila\n  events: {PopupModule: null}\n"
    )
    found, base = load_schema(path), load_schema("gaming")
    assert found.timezone == "Asia/Manila"
    assert set(found.events) == set(base.events) - {"PopupModule"}
    assert found.entities == base.entities


# the other kinds


@pytest.mark.parametrize(
    ("load", "spec", "wrong", "said"),
    [
        (load_scoring, "{profile: classic, history_days: 28}", "{profle: x}", "Did you mean 'profile'"),
        (load_trends, "{weeks: 8}", "{weeks: 2}", "greater than or equal to 4"),
        (load_patterns, "{classes: {churn: {ends: [L]}}}", "{classes: {churn: {}}}", "say which: by"),
    ],
)
def test_the_kinds_of_tasks_are_read_strictly(
    tmp_path: Path, load: Any, spec: str, wrong: str, said: str
) -> None:
    names = {load_scoring: "ScoringConfig", load_trends: "TrendConfig", load_patterns: "PatternConfig"}
    kind = names[load]
    path = tmp_path / "x.yaml"
    head = f"apiVersion: workbench/v1\nkind: {kind}\nmetadata: {{id: x}}\nspec: "
    path.write_text(head + spec)
    assert load(path).metadata.id == "x"
    validator = jsonschema.Draft202012Validator(json_schema(kind))
    validator.validate(YAML(typ="safe").load(path.read_text()))
    path.write_text(head + wrong)
    with pytest.raises(ConfigError, match=said):
        load(path)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(YAML(typ="safe").load("x: 1"), json_schema(kind))


# JSON Schemas


def test_the_shipped_json_schemas_are_those_of_the_models(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    for path in schema_files().values():
        assert path.read_text() == (tmp_path / path.name).read_text()
    # one of them stands for the form of all: the check takes seconds where coverage is counted
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_files()["TrendConfig"].read_text()))
    with pytest.raises(UnknownNameError, match="Did you mean 'AnomalyRule'"):
        json_schema("AnomalyRules")
    assert sorted(KINDS) == sorted(schema_files())
    assert kinds.FOLDER.name == "json"


def test_shipped_documents_are_valid_by_their_json_schemas() -> None:
    rules = jsonschema.Draft202012Validator(json_schema("AnomalyRule"))
    schemas = jsonschema.Draft202012Validator(json_schema("EntitySchema"))
    for path in example_rules().values():
        rules.validate(YAML(typ="safe").load(path.read_text()))
    schemas.validate(YAML(typ="safe").load(shipped_schemas()["flights"].read_text()))
    document = {**YAML(typ="safe").load(example_rules()["noise"].read_text())}
    document["spec"] = {**document["spec"], "compsition": {}}
    with pytest.raises(jsonschema.ValidationError, match="compsition"):
        rules.validate(document)


def test_the_examples_are_the_nine_and_disabled() -> None:
    found = {name: load_rule(path) for name, path in example_rules().items()}
    assert sorted(found) == [
        *("behavioural-drift", "error-burst", "graph-anomaly", "login-spike", "multi-signal-fraud"),
        *("noise", "statistical-outlier", "trend-spike", "vip-absence"),
    ]
    for name, rule in found.items():
        assert rule.id == name
        assert not rule.metadata.enabled
        assert AnomalyRule.from_json(rule.to_json()) == rule


# schedules


@pytest.mark.parametrize(
    ("cron", "ticks"),
    [
        ("0 6 * * 0", ["2026-11-29T06:00", "2026-12-06T06:00"]),  # a Sunday, as cron has it
        ("0 6 * * 7", ["2026-11-29T06:00", "2026-12-06T06:00"]),
        ("0 6 * * mon-fri", ["2026-11-30T06:00", "2026-12-01T06:00"]),
        ("0 6 * * 6-1", ["2026-11-29T06:00", "2026-11-30T06:00"]),
        ("0 12 13 * 5", ["2026-12-04T12:00", "2026-12-11T12:00"]),  # Fridays, and the 13th
        ("*/20 8-9 * * *", ["2026-11-29T08:00", "2026-11-29T08:20"]),
        ("30 2 29 feb *", ["2028-02-29T02:30", "2032-02-29T02:30"]),
    ],
)
def test_a_schedule_is_read_as_cron_reads_it(cron: str, ticks: list[str]) -> None:
    schedule = Schedule(cron=cron)
    first = schedule.after(datetime(2026, 11, 29, 5, 30, tzinfo=UTC))
    assert first is not None
    second = schedule.after(first)
    assert second is not None
    assert [t.isoformat()[:16] for t in (first, second)] == ticks


def test_a_schedule_keeps_to_its_own_clock_over_summer_time() -> None:
    schedule = Schedule(cron="30 8 * * *", timezone="Europe/Berlin")
    found = schedule.between(datetime(2026, 3, 27, 23, tzinfo=UTC), datetime(2026, 3, 30, 23, tzinfo=UTC))
    assert [t.astimezone(UTC).hour for t in found] == [7, 6, 6]
    assert Schedule(cron="0 0 30 2 *").after(datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_a_day_of_the_week_that_is_none_is_refused() -> None:
    for cron in ("0 6 * * 8", "0 6 * * sonntag", "0 6 * * 1-"):
        with pytest.raises(ValueError, match="day of the week"):
            Schedule(cron=cron)


def test_a_span_has_a_longest() -> None:
    assert parse_span("1w") == timedelta(days=7)
    with pytest.raises(ValueError, match="longer"):
        parse_span("9999d")
