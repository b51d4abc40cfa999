"""The search for a text in every file: it finds what is there, however it lies there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.storage.search import Hit, search

if TYPE_CHECKING:
    from pathlib import Path

KEY = "annika"


def found(root: Path, text: str = KEY, **options: Any) -> list[tuple[str, str, int, int, int]]:
    return [(h.path, h.place, h.whole, h.words, h.parts) for h in search(root, text, **options)]


def put(root: Path, **columns: Any) -> None:
    pq.write_table(pa.table(columns), root / "x.events.parquet")


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["annika", None, "boris", "annika"], (2, 0, 0)),
        (["saw annika!", "annikafrid", "an-annika"], (0, 2, 1)),
        (pa.array(["annika", "b"], pa.large_string()), (1, 0, 0)),
        (pa.array([b"annika", b"\x00annika", None]), (1, 1, 0)),
        (pa.array([b"annika"], pa.large_binary()), (1, 0, 0)),
        (pa.array(["annika", "b", "annika"]).dictionary_encode(), (2, 0, 0)),
        (pa.DictionaryArray.from_arrays([0, None], ["b", "annika"]), (1, 0, 0)),
        (pa.array([["b", "annika"], None, []]), (1, 0, 0)),
        (pa.array([{"a": {"b": ["annika"]}, "n": 1, "yes": True}, None]), (1, 0, 0)),
        (pa.array([[("annika", "x annika")]], pa.map_(pa.string(), pa.string())), (1, 1, 0)),
    ],
)
def test_every_value_of_a_column_is_looked_at(
    tmp_path: Path, column: Any, expected: tuple[int, int, int]
) -> None:
    put(tmp_path, c=column)
    assert found(tmp_path) == [("x.events.parquet", "c", *expected)]


def test_numbers_count_where_they_may_be_keys(tmp_path: Path) -> None:
    put(tmp_path, i=[17, 17, None], f=[17.0, 1.5, None], _id=[17, 1, 2], t=["17", "x17 17", ""])
    events = found(tmp_path, "17", numbers=("events",))
    # a short number within other texts says nothing
    assert events == [
        ("x.events.parquet", "i", 2, 0, 0),
        ("x.events.parquet", "f", 1, 0, 0),
        ("x.events.parquet", "t", 1, 0, 1),
    ]
    assert [hit[1] for hit in found(tmp_path, "17")] == ["t"]
    put(tmp_path, i=pa.array([], pa.int64()))
    assert found(tmp_path, "17", numbers=("events",)) == []


def test_the_footer_counts_where_no_value_does(tmp_path: Path) -> None:
    table = pa.table({"c": ["b"]}).replace_schema_metadata({"note": f"of {KEY}"})
    pq.write_table(table, tmp_path / "x.events.parquet")
    assert found(tmp_path)[0][:2] == ("x.events.parquet", "footer")
    assert found(tmp_path, "of") == []


def test_json_texts_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"annika": 1, "x": ["annika", {"y": "ann annika"}, 2, None]}))
    (tmp_path / "LOCK").write_text('{"pid": 17}')
    (tmp_path / "broken.json").write_text("{annika")
    (tmp_path / "empty.wal").touch()
    (tmp_path / "of-annika.txt").write_text("annika annika_ annika")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 annika")
    (tmp_path / "whole.keys.parquet").write_bytes(b"PAR1")
    assert found(tmp_path) == [
        ("a.json", "texts", 2, 1, 0),
        ("broken.json", "bytes", 0, 1, 0),
        ("of-annika.txt", "name", 0, 1, 0),
        ("of-annika.txt", "bytes", 0, 2, 1),
        ("torn.parquet", "bytes", 0, 1, 0),
    ]
    assert found(tmp_path, "17") == []
    (tmp_path / "wal").mkdir()
    (tmp_path / "wal" / "annika").write_text("")
    assert len(found(tmp_path)) == 6
    assert found(tmp_path, under=("wal", "nowhere")) == [("wal/annika", "name", 0, 1, 0)]


def test_numbers_in_which_a_word_stands_by_chance_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.index").write_bytes(b"\0 anna \0")
    (tmp_path / "a.bin").write_bytes(b"\0 anna \0")
    assert [hit.path for hit in search(tmp_path, "anna")] == ["a.bin"]


def test_the_forms_that_json_and_urls_have(tmp_path: Path) -> None:
    odd = 'å "x"/y'
    (tmp_path / "a.wal").write_text(f"{json.dumps(odd)} {json.dumps(odd, ensure_ascii=False)}", "utf-8")
    (tmp_path / "b.wal").write_text("user:%C3%A5%20%22x%22/y user:%C3%A5%20%22x%22%2Fy", "utf-8")
    assert found(tmp_path, odd) == [("a.wal", "bytes", 0, 2, 0), ("b.wal", "bytes", 0, 2, 0)]


def test_what_is_collected_meanwhile_is_no_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, c=["b"])

    def gone(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(pq, "ParquetFile", gone)
    assert found(tmp_path) == []
    assert Hit("a", "b") == Hit("a", "b", 0, 0, 0)
