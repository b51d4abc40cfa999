"""Documents to partials: a day small enough to be worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
import xxhash

from workbench.config.entity_schema import EntitySchema
from workbench.ingest.derive import shaped
from workbench.partials.extract import counts, extract
from workbench.partials.profiles import profiles
from workbench.partials.shapes import KINDS
from workbench.partials.texts import texts

SCHEMA = EntitySchema.model_validate(
    {
        "fields": {"test_account": "isTest", "booleans": ["isTest"]},
        "entities": {
            "member": {"who": True},
            "device": {},
            "game": {},
            "platform": {"attribute": True},
            "error": {},
            "place": {},
        },
        "edges": {
            "LoggedInFrom": {"from": "member", "to": "device"},
            "Opened": {"from": "member", "to": "game"},
            "HitError": {"from": "member", "to": "error"},
            "Moved": {"from": "place", "to": "place"},
        },
        "events": {
            "Login": {
                "entities": {
                    "member": {"fields": "memberCode", "properties": {"tier": "rGroup", "city": "city"}},
                    "device": {"fields": ["fingerprint", "deviceId"]},
                    "platform": "platform",
                },
                "edges": [{"type": "LoggedInFrom", "from": "member", "to": "device"}],
            },
            "Failed": {
                "entities": {
                    "member": "memberCode",
                    "error": {
                        "join": ["error", "stage"],
                        "separator": "@",
                        "fields": ["error"],
                        "hash": True,
                    },
                },
                "edges": [{"type": "HitError", "from": "member", "to": "error"}],
            },
            "Trip": {
                "entities": {
                    "start": {"type": "place", "fields": "from"},
                    "end": {"type": "place", "fields": "to"},
                },
                "edges": [{"type": "Moved", "from": "start", "to": "end"}],
            },
            "Beat": {},
        },
        "references": {
            "games": {
                "entities": {"game": {"fields": "uid", "properties": ["title"]}, "platform": "platform"}
            }
        },
    }
)
DAY = "2025-06-12"


def at(hour: int, minute: int = 0, day: int = 12) -> datetime:
    return datetime(2025, 6, day, hour, minute, tzinfo=UTC)


def frame(rows: list[dict[str, Any]], *, first: int = 0, **kinds: Any) -> pl.DataFrame:
    """Documents numbered from ``first``; each row has ``t`` (its time) and fields."""
    names = {name: None for row in rows for name in row}
    columns = {name: [row.get(name) for row in rows] for name in names}
    table = pl.DataFrame(columns, schema_overrides={"t": pl.Datetime("us", "UTC"), **kinds})
    return table.rename({"t": "_ts"}).with_columns(
        pl.int_range(first, first + len(rows), dtype=pl.Int64).alias("_id"),
        pl.col("_ts").dt.strftime("%Y-%m-%d").alias("_segment"),
    )


def rows(table: pl.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    return table.select(names).rows()


LOGINS = frame(
    [
        {
            "t": at(8),
            "memberCode": "ann",
            "fingerprint": "f1",
            "deviceId": "d9",
            "rGroup": "low",
            "platform": "web",
        },
        {"t": at(8, 30), "memberCode": "ann", "fingerprint": None, "deviceId": "d1", "rGroup": "high"},
        {"t": at(9), "memberCode": "bob", "fingerprint": "f1", "rGroup": "low", "platform": "web"},
        {"t": at(9, 15), "memberCode": "ann", "fingerprint": "f1", "isTest": True},
        {"t": at(9, 30), "memberCode": None, "fingerprint": "f2", "rGroup": "low"},
        {"t": at(9, 45), "memberCode": "ann", "rGroup": "low", "isTest": False},
    ],
    isTest=pl.Boolean,
)


class TestByHand:
    def test_entities(self) -> None:
        found = extract({"Login": LOGINS}, SCHEMA)["entities"]
        assert rows(found, "node", "type", "key", "is_test", "sightings", "first_seen", "last_seen") == [
            (0, "device", "d1", False, 1, at(8, 30), at(8, 30)),
            (1, "device", "f1", False, 2, at(8), at(9)),
            (2, "device", "f1", True, 1, at(9, 15), at(9, 15)),
            (3, "device", "f2", False, 1, at(9, 30), at(9, 30)),
            (4, "member", "ann", False, 3, at(8), at(9, 45)),
            (5, "member", "ann", True, 1, at(9, 15), at(9, 15)),
            (6, "member", "bob", False, 1, at(9), at(9)),
            (7, "platform", "web", False, 2, at(8), at(9)),
        ]

    def test_edges(self) -> None:
        found = extract({"Login": LOGINS}, SCHEMA)["edges"]
        assert rows(found, "type", "source", "target", "weight", "first_seen", "last_seen") == [
            ("LoggedInFrom", 4, 0, 1, at(8, 30), at(8, 30)),
            ("LoggedInFrom", 4, 1, 1, at(8), at(8)),
            ("LoggedInFrom", 5, 2, 1, at(9, 15), at(9, 15)),
            ("LoggedInFrom", 6, 1, 1, at(9), at(9)),
        ]

    def test_sightings(self) -> None:
        found = extract({"Login": LOGINS}, SCHEMA)["sightings"]
        assert rows(found, "node", "event_type", "_id") == [
            (node, "Login", document)
            for node, documents in enumerate([[1], [0, 2], [3], [4], [0, 1, 5], [3], [2], [0, 2]])
            for document in documents
        ]

    def test_properties_with_every_value_that_was_seen(self) -> None:
        found = extract({"Login": LOGINS}, SCHEMA)["properties"]
        assert rows(found, "node", "name", "value", "sightings", "last_seen") == [
            (4, "tier", "high", 1, at(8, 30)),
            (4, "tier", "low", 2, at(9, 45)),
            (6, "tier", "low", 1, at(9)),
        ]

    def test_counts_by_hour_with_test_accounts_apart(self) -> None:
        beats = frame([{"t": at(9, 59)}, {"t": at(10)}], first=6)
        assert rows(
            counts({"Login": LOGINS, "Beat": beats}, SCHEMA), "type", "hour", "is_test", "events"
        ) == [
            ("Beat", at(9), False, 1),
            ("Beat", at(10), False, 1),
            ("Login", at(8), False, 2),
            ("Login", at(9), False, 3),
            ("Login", at(9), True, 1),
        ]

    def test_partials_of_a_day_do_not_depend_on_other_days(self) -> None:
        other = LOGINS.with_columns(pl.col("_ts") + pl.duration(days=1), _segment=pl.lit("2025-06-13"))
        both = extract({"Login": pl.concat([other, LOGINS])}, SCHEMA)
        for kind, alone in extract({"Login": LOGINS}, SCHEMA).items():
            assert both[kind].filter(segment=DAY).equals(alone), kind


def test_entities_are_numbered_alike_however_sparse_their_numbers_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logins = frame(
        [{"t": at(9), "memberCode": f"m{n % 5}", "deviceId": f"d{n % 3}", "isTest": False} for n in range(40)]
    )
    dense = extract({"Login": logins}, SCHEMA)
    monkeypatch.setattr("workbench.partials.extract._DENSE", 0)
    sparse = extract({"Login": logins}, SCHEMA)
    assert dense["entities"].height == 8
    for kind, table in dense.items():
        assert shaped(table, kind).equals(shaped(sparse[kind], kind))


def test_long_text_is_hashed_and_kept_as_a_property() -> None:
    failed = frame(
        [
            {"t": at(8), "memberCode": "ann", "error": "no route", "stage": "auth"},
            {"t": at(9), "memberCode": "ann", "error": "no route", "stage": "auth"},
            {"t": at(9), "memberCode": "ann", "error": "no route", "stage": None},
            {"t": at(9), "memberCode": "ann", "error": None, "stage": "auth"},
        ]
    )
    found = extract({"Failed": failed}, SCHEMA)
    texts = {"no route@auth": 2, "no route": 1}
    keys = {xxhash.xxh3_64_hexdigest(text.encode()): text for text in texts}
    errors = found["entities"].filter(type="error")
    assert dict(rows(errors, "key", "sightings")) == {key: texts[text] for key, text in keys.items()}
    named = found["properties"].join(errors.select("node", "key"), on="node")
    assert dict(rows(named, "key", "value")) == keys
    assert found["properties"]["name"].unique().to_list() == ["text"]
    assert found["edges"]["weight"].sum() == 3


def test_a_hashed_field_without_any_value_gives_nothing() -> None:
    failed = frame([{"t": at(8), "memberCode": "ann", "error": None}], error=pl.String)
    found = extract({"Failed": failed}, SCHEMA)
    assert rows(found["entities"], "type", "key") == [("member", "ann")]
    assert found["edges"].is_empty()


def test_two_roles_of_one_type_are_one_sighting_and_an_edge_to_itself() -> None:
    trips = frame([{"t": at(8), "from": "x", "to": "x"}, {"t": at(9), "from": "x", "to": "y"}])
    found = extract({"Trip": trips}, SCHEMA)
    assert rows(found["entities"], "key", "sightings") == [("x", 2), ("y", 1)]
    assert rows(found["edges"], "source", "target", "weight") == [(0, 0, 1), (0, 1, 1)]
    assert rows(found["sightings"], "node", "_id") == [(0, 0), (0, 1), (1, 1)]


def test_keys_are_the_sources_text() -> None:
    typed = frame(
        [{"t": at(8), "memberCode": 7.0, "deviceId": 12}, {"t": at(9), "memberCode": 7.0, "deviceId": 3}]
    )
    typed = typed.with_columns(
        _original=pl.Series(
            [{"memberCode": "07.0"}, {"memberCode": None}], dtype=pl.Struct({"memberCode": pl.String})
        )
    )
    found = extract({"Login": typed}, SCHEMA)["entities"]
    assert rows(found, "type", "key") == [
        ("device", "12"), ("device", "3"), ("member", "07.0"), ("member", "7")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "kind", "expected"),
    [
        ([True, False, None], pl.Boolean, [True, False, False]),
        ([1, 0, None], pl.Int64, [True, False, False]),
        (["YES", "maybe", None], pl.String, [True, False, False]),
    ],
    ids=["bool", "int64", "string"],
)
def test_a_test_account_is_known_by_whatever_type_the_field_has(
    flags: list[Any], kind: Any, expected: list[bool]
) -> None:
    logins = frame(
        [{"t": at(8), "memberCode": f"m{i}", "isTest": f} for i, f in enumerate(flags)], isTest=kind
    )
    beats = frame([{"t": at(8)}], first=9)
    found = extract({"Login": logins, "Beat": beats}, SCHEMA)["entities"]
    assert rows(found.sort("key"), "is_test") == [(e,) for e in expected]
    counted = counts({"Login": logins, "Beat": beats}, SCHEMA)
    assert counted.schema["is_test"] == pl.Boolean
    assert rows(counted.filter(type="Login"), "is_test", "events") == [(False, 2), (True, 1)]


def test_reference_tables_name_entities_without_seeing_them() -> None:
    games = pl.DataFrame(
        {"uid": ["g1", "g2", None], "title": ["Chess", None, "lost"], "platform": ["web", "web", "app"]}
    ).with_columns(
        _segment=pl.lit(""), _id=pl.lit(None, pl.Int64), _ts=pl.lit(None, pl.Datetime("us", "UTC"))
    )
    found = extract({"games": games, "unknown": games}, SCHEMA, references=True)
    assert rows(found["entities"], "type", "key", "sightings", "first_seen") == [
        ("game", "g1", 0, None),
        ("game", "g2", 0, None),
        ("platform", "app", 0, None),
        ("platform", "web", 0, None),
    ]
    assert rows(found["properties"], "node", "name", "value", "last_seen") == [(0, "title", "Chess", None)]
    assert found["sightings"].is_empty()


@pytest.mark.parametrize(
    "documents",
    [
        {},
        {"Unknown": frame([{"t": at(8), "memberCode": "ann"}])},
        {"Beat": frame([{"t": at(8)}])},
        {"Login": LOGINS.clear()},
        {"Login": frame([{"t": at(8), "other": "x"}])},
    ],
    ids=["none", "unknown type", "type without rules", "no rows", "no field of the rules"],
)
def test_what_names_nothing_gives_empty_partials_in_shape(documents: dict[str, pl.DataFrame]) -> None:
    derived = {
        **extract(documents, SCHEMA),
        "counts": counts(documents, SCHEMA),
        "profiles": profiles(documents),
        "texts": texts(documents, SCHEMA),
    }
    assert set(derived) == set(KINDS)
    for kind, found in derived.items():
        assert shaped(found, kind).schema == KINDS[kind]
        if kind not in ("counts", "profiles"):
            assert found.is_empty()
