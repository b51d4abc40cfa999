"""Features over a log small enough to be worked out by hand; what a configuration adds; what is refused."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from workbench.analysis.activity import event_edges, event_types
from workbench.analysis.features import Feature, declared_features, standardise
from workbench.config.entity_schema import EntitySchema, load_schema, shipped_schemas
from workbench.config.features import FeatureConfig, load_features
from workbench.config.workspace import FEATURES_FILE
from workbench.engine import Engine
from workbench.errors import ConfigError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: tiny}
spec:
  timezone: Europe/Berlin
  fields: {test_account: isTest}
  entities:
    member: {who: true}
    game: {}
    platform: {attribute: true}
  edges:
    Played: {from: member, to: game}
    Used: {from: member, to: platform}
    Invited: {from: member, to: member}
    Owns: {from: member, to: game}
  events:
    Play:
      entities: {member: {fields: member, properties: [tier]}, game: game, platform: platform}
      edges:
        - {type: Played, from: member, to: game}
        - {type: Used, from: member, to: platform}
    API Error: {entities: {member: member}}
    Invite:
      entities: {host: {type: member, fields: host}, guest: {type: member, fields: guest}}
      edges: [{type: Invited, from: host, to: guest}]
  references:
    owners:
      entities: {member: {fields: member, properties: [country]}, game: game}
      edges: [{type: Owns, from: member, to: game}]
"""
# time, member, game, platform, tier, test account
PLAYS = [
    ("2025-06-10T22:50:00Z", "a", "x", "web", "gold", "false"),
    ("2025-06-11T00:05:00Z", "a", "y", "web", "gold", "false"),
    ("2025-06-11T00:35:00Z", "a", "x", "app", "silver", "false"),
    ("2025-06-11T00:35:00.000001Z", "b", "x", "app", None, "false"),
    ("2025-06-12T08:00:00Z", "a", "z", "web", "silver", "false"),
    ("2025-06-12T08:00:00Z", "t", "x", "web", "gold", "true"),
]
ERRORS = [("2025-06-10T23:20:00Z", "a"), ("2025-06-10T23:50:01Z", "a")]
INVITES = [
    ("2025-06-11T10:00:00Z", "a", "b"),
    ("2025-06-11T11:00:00Z", "a", "c"),
    ("2025-06-11T12:00:00Z", "b", "c"),
]
NAMES = ("time", "member", "game", "platform", "tier", "isTest")


def table(rows: list[tuple[Any, ...]], names: tuple[str, ...]) -> pa.Table:
    return pa.table({n: pa.array([row[i] for row in rows], pa.string()) for i, n in enumerate(names)})


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Engine]:
    def build(features: str = "") -> Engine:
        (tmp_path / "tiny.yaml").write_text(SCHEMA)
        engine = Engine.create(tmp_path / "w", schema=tmp_path / "tiny.yaml")
        if features:
            (engine.path / FEATURES_FILE).write_text(features)
        engine.ingest(table(PLAYS, NAMES), type="Play")
        engine.ingest(table(ERRORS, ("time", "member")), type="API Error")
        engine.ingest(table(INVITES, ("time", "host", "guest")), type="Invite")
        return engine

    return build


def rows(matrix: Any) -> dict[str, dict[str, Any]]:
    return {row.pop("entity"): row for row in matrix.to_arrow().to_pylist()}


def test_the_columns_follow_from_the_schema_alone(make: Callable[..., Engine]) -> None:
    assert make().features().names == (
        "api_error_count",
        "invite_count",
        "play_count",
        "invited_distinct",
        "invited_distinct_in",
        "played_distinct",
        "used_distinct",
        "visit_count",
        "avg_visit_gap_hours",
        "hour_entropy",
    )


def test_every_figure_is_the_hand_computed_one(make: Callable[..., Engine]) -> None:
    found = rows(make().features())
    assert list(found) == ["member:a", "member:b", "member:c"]  # the test account is left out
    # a: 22:50, 23:20 | 23:50:01, 00:05, 00:35 | 10:00 | 11:00 | 08:00: a visit goes over midnight
    pauses = [30 * 60 + 1, 9 * 3600 + 25 * 60, 3600, 21 * 3600]
    # local hours (UTC+2): 0, 1, 1, 2, 2, 12, 13, 10
    shares = [1 / 8, 2 / 8, 2 / 8, 1 / 8, 1 / 8, 1 / 8]
    assert found["member:a"] == {
        "api_error_count": 2,
        "invite_count": 2,
        "play_count": 4,
        "invited_distinct": 2,
        "invited_distinct_in": 0,
        "played_distinct": 3,
        "used_distinct": 2,
        "visit_count": 5,
        "avg_visit_gap_hours": pytest.approx(sum(pauses) / 4 / 3600),
        "hour_entropy": pytest.approx(-sum(s * math.log2(s) for s in shares)),
    }
    assert found["member:b"]["invited_distinct_in"] == 1
    assert found["member:c"] == {
        "api_error_count": 0,
        "invite_count": 2,
        "play_count": 0,
        "invited_distinct": 0,
        "invited_distinct_in": 2,
        "played_distinct": 0,
        "used_distinct": 0,
        "visit_count": 2,
        "avg_visit_gap_hours": 1.0,
        "hour_entropy": 1.0,
    }


def test_one_visit_has_no_gap(make: Callable[..., Engine]) -> None:
    matrix = make().features(since="2025-06-12")
    assert rows(matrix)["member:a"]["avg_visit_gap_hours"] is None
    assert np.isnan(matrix.values[0, matrix.names.index("avg_visit_gap_hours")])
    assert np.isfinite(matrix.standardised).all()


def test_a_range_is_exact_to_the_microsecond(make: Callable[..., Engine]) -> None:
    db = make()
    until = db.features(until="2025-06-11T00:35:00.000001+00:00")
    assert list(rows(until)) == ["member:a"]
    assert rows(until)["member:a"]["play_count"] == 3
    assert rows(db.features(until="2025-06-11T00:35:00+00:00"))["member:a"]["play_count"] == 2
    since = db.features(since="2025-06-11T00:35:00.000001+00:00", until="2025-06-11T00:35:00.000002+00:00")
    assert list(rows(since)) == ["member:b"]
    assert rows(since)["member:b"]["played_distinct"] == 1


def test_days_are_those_of_the_workspace_s_zone(make: Callable[..., Engine]) -> None:
    db = make()
    found = db.features(since="2025-06-11", until="2025-06-12")
    assert (found.since, found.until) == (
        datetime(2025, 6, 10, 22, tzinfo=UTC),
        datetime(2025, 6, 11, 22, tzinfo=UTC),
    )
    assert rows(found)["member:a"]["play_count"] == 3


def test_an_edge_seen_around_a_range_counts_only_if_it_was_seen_within(make: Callable[..., Engine]) -> None:
    """A segment says only when an edge was seen first and last: the events between decide."""
    db = make()
    more = [
        ("2025-06-12T10:00:00Z", "a", "z", "web", None, "false"),
        ("2025-06-12T09:00:00Z", "a", "w", "tv", None, "false"),
    ]
    db.ingest(table(more, NAMES), type="Play")
    inside = rows(db.features(since="2025-06-12T08:30:00+00:00", until="2025-06-12T09:30:00+00:00"))[
        "member:a"
    ]
    assert (inside["played_distinct"], inside["used_distinct"]) == (1, 1)  # w by tv; z and web only around it
    again = [("2025-06-12T09:10:00Z", "a", "z", "web", None, "false")]
    db.ingest(table(again, NAMES), type="Play")
    inside = rows(db.features(since="2025-06-12T08:30:00+00:00", until="2025-06-12T09:30:00+00:00"))[
        "member:a"
    ]
    assert (inside["played_distinct"], inside["used_distinct"]) == (2, 2)


CONFIG = """
apiVersion: workbench/v1
kind: FeatureConfig
metadata: {id: tiers}
spec:
  visit_minutes: 60
  without: [invite_count, invited_distinct, invited_distinct_in, api_error_count]
  encodings:
    member:
      - {property: tier, encoding: ordinal, order: {bronze: 1, silver: 2, gold: 3}, fallback: -1}
      - {property: country, encoding: one-hot, values: [DE, FR]}
      - {edge: Used, encoding: one-hot, values: [web]}
"""


def test_a_configuration_adds_encoded_properties(make: Callable[..., Engine], tmp_path: Path) -> None:
    db = make(CONFIG)
    owners = tmp_path / "owners.csv"
    owners.write_text("member,game,country\na,x,DE\nb,y,IT\n")
    db.ingest(owners)
    found = db.features()
    assert found.names[-4:] == ("tier", "country=DE", "country=FR", "used=web")
    assert "invite_count" not in found.names
    by_name = {name: [row[f] for f in found.names[-4:]] for name, row in rows(found).items()}
    # the latest tier counts; a used web three times and the app once
    assert by_name == {"member:a": [2, 1, 0, 1], "member:b": [-1, 0, 0, 0], "member:c": [-1, 0, 0, 0]}
    assert rows(found)["member:a"]["visit_count"] == 3  # a pause of exactly an hour is no end of a visit
    earlier = db.features(until="2025-06-11T00:30:00+00:00")
    assert rows(earlier)["member:a"]["tier"] == 3  # what came later is not known yet


def test_the_configuration_s_hash_follows_what_it_says() -> None:
    assert FeatureConfig().fingerprint == FeatureConfig(visit_minutes=30).fingerprint
    assert FeatureConfig().fingerprint != FeatureConfig(visit_minutes=31).fingerprint


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{visit_minute: 5}", "unknown key 'visit_minute'. Did you mean 'visit_minutes'"),
        ("{encodings: {member: [{property: a, edge: b, encoding: ordinal}]}}", "either 'property' or 'edge'"),
        ("{encodings: {member: [{property: a, encoding: one-hot}]}}", "needs 'values'"),
        ("{encodings: {member: [{property: a, encoding: ordinal}]}}", "needs 'order'"),
        ("{encodings: {member: [{property: a, encoding: onehot}]}}", "Did you mean 'one-hot'"),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_place(tmp_path: Path, spec: str, message: str) -> None:
    path = tmp_path / "features.yaml"
    path.write_text(f"apiVersion: workbench/v1\nkind: FeatureConfig\nmetadata: {{id: x}}\nspec: {spec}\n")
    with pytest.raises(ConfigError, match=r"features\.yaml:4") as caught:
        load_features(path)
    assert message in str(caught.value)


def test_what_cannot_be_measured_is_refused(make: Callable[..., Engine], tmp_path: Path) -> None:
    db = make()
    with pytest.raises(UnknownNameError, match="Did you mean 'member'"):
        db.features("memebr")
    with pytest.raises(UsageError, match="is empty"):
        db.features(since="2025-06-12", until="2025-06-11")
    with pytest.raises(UsageError, match="is not a time"):
        db.features(since="yesterday")
    with pytest.raises(UsageError, match="marks no entity type as who"):
        Engine.create(tmp_path / "other").features()
    assert db.features("game").names[0] == "play_count"


def test_standardised_is_median_and_quartiles_of_the_logarithm() -> None:
    values = np.array([[0.0, 1.0], [1.0, 0.0], [3.0, 0.0], [7.0, 0.0], [15.0, np.nan]])
    found = standardise(values, [Feature("n", "count", "n"), Feature("p=v", "one-hot", "p", "v")])
    # log2(1 + x) is 0, 1, 2, 3, 4: median 2, quartiles 1 and 3
    assert found[:, 0] == pytest.approx([-1, -0.5, 0, 0.5, 1])
    assert found[:, 1] == pytest.approx([0.75, -0.25, -0.25, -0.25, 0])


def test_a_column_without_spread_is_zero_and_a_nearly_equal_one_is_no_extreme() -> None:
    counts = np.append(np.ones(999), 2.0)
    found = standardise(
        np.stack([np.full(1000, 7.0), counts], axis=1), [Feature("a", "count"), Feature("b", "count")]
    )
    assert (found[:, 0] == 0).all()
    assert 0 < found[-1, 1] < 2


@pytest.mark.parametrize("name", shipped_schemas())
def test_features_can_be_derived_for_every_shipped_schema(name: str) -> None:
    schema = load_schema(name)
    for type_ in schema.entities:
        features = declared_features(schema, FeatureConfig(), type_)
        assert len({f.name for f in features}) == len(features) >= 3
        assert {f.source for f in features if f.kind == "count"} == set(event_types(schema, type_))
        assert {f.source for f in features if f.kind == "distinct"} == {
            e.edge for e in event_edges(schema, type_)
        }


def test_two_event_types_of_one_column_name_keep_both() -> None:
    spec = {
        "entities": {"m": {}},
        "events": {"API Error": {"entities": {"m": "m"}}, "ApiError": {"entities": {"m": "m"}}},
    }
    names = [f.name for f in declared_features(EntitySchema.model_validate(spec), FeatureConfig(), "m")]
    assert names[:2] == ["api_error_count", "ApiError_count"]
