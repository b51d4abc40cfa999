"""Names of fields and event types as sources spell them."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.config.entity_schema import EntitySchema
from workbench.partials.names import RESERVED, event_type_of, field_name, is_field_name, plan_fields


@pytest.mark.parametrize(
    "name", ["<div>x</div>", "a</b", "x&nbsp;y", "", "  ", "a\nb", "a\x7f", "x" * 129, "<b>"]
)
def test_what_is_clearly_no_name(name: str) -> None:
    assert not is_field_name(name)


@pytest.mark.parametrize(
    "name", ["a", "user agent", "geo.city", "größe", "a<b", "x&y", "x" * 128, "@timestamp"]
)
def test_what_may_be_a_name(name: str) -> None:
    assert is_field_name(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gameUid", "gameUid"),
        (" user agent ", "user_agent"),
        ("geo.city", "geo_city"),
        ("a--b", "a_b"),
        ("@timestamp", "_timestamp"),
        ("größe", "größe"),
        ("2fa", "f_2fa"),
        ("segment", "segment"),
    ],
)
def test_normal_form(name: str, expected: str) -> None:
    assert field_name(name) == expected


@pytest.mark.parametrize(
    "name", [*sorted(RESERVED), "_ID", "_Type", " _ts ", "_hash", "_source", "_ts_text", "_Hash"]
)
def test_names_that_documents_use_themselves_are_never_taken(name: str) -> None:
    given = field_name(name)
    assert given.startswith("source_")
    assert not given.startswith("_")


def plan(columns: list[str], known: tuple[str, ...] = (), **aliases: list[str]) -> dict[str, list[str]]:
    schema = EntitySchema.model_validate({"fields": {"aliases": aliases}})
    return plan_fields(columns, schema, known)


def test_aliases_and_differences_in_case_are_one_field() -> None:
    columns = ["affiliateid", "affiliateID", "affiliateId", "aff", "other"]
    assert plan(columns, affiliateId=["affiliateid", "aff"]) == {
        "affiliateId": ["affiliateId", "aff", "affiliateID", "affiliateid"],
        "other": ["other"],
    }


def test_the_spelling_that_came_first_stays() -> None:
    assert plan(["Page"], known=("page",)) == {"page": ["Page"]}
    assert plan(["page", "PAGE"]) == {"PAGE": ["PAGE", "page"]}
    assert plan(["geo.city", "geo_city"]) == {"geo_city": ["geo.city", "geo_city"]}


def test_the_plan_does_not_depend_on_the_order_of_columns() -> None:
    columns = ["b", "A", "a", "_id", "source_id", "x y", "x_y"]
    assert plan(columns) == plan(columns[::-1])


def test_what_is_no_name_is_left_out() -> None:
    assert plan(["<b>", "a", " "]) == {"a": ["a"]}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("logs/Login/2025-06-12.parquet", "Login"),
        ("logs/Login/dt=2025-06-12/part-00001.parquet", "Login"),
        ("Login-2025-06-12T10-30-00Z.jsonl.gz", "Login"),
        ("login_20250612.csv", "Login"),
        ("GridClick/1.csv.zst", "GameOpened"),
        ("data/part-0.parquet", "event"),
        ("v2/2025.csv", "v2"),
        ("Stage-2/x.csv", "x"),
        ("Stage-2/2025-06-12.csv", "Stage-2"),
    ],
)
def test_a_path_says_what_its_records_are(path: str, expected: str) -> None:
    names = {"Login": "Login", "login": "Login", "GridClick": "GameOpened", "Stage-2": "Stage-2"}
    if path == "Stage-2/x.csv":
        names.pop("Stage-2")
    assert event_type_of(Path(path), names, "".join(Path(path).suffixes)) == expected


def test_a_directory_that_is_known_wins_over_a_file_that_is_not() -> None:
    assert event_type_of(Path("Login/eu-west.csv"), {"Login": "Login"}) == "Login"
    assert event_type_of(Path("Login/eu-west.csv"), {}) == "eu-west"
