"""Connector ``jsonl``: dirt by hand, and what holds for every object and every torn line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.connectors import Chunk, Source, connectors
from workbench.connectors._lines import LINE_BYTES
from workbench.errors import SourceError

LARGE = 64 << 20
Rejects = list[tuple[int, bytes, str]]


def chunks(data: bytes, name: str = "x.jsonl", *, size: int = LARGE, position: int = 0) -> list[Chunk]:
    with TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.write_bytes(data)
        return list(
            connectors.create("jsonl").read(Source("the file", path), position=position, chunk_bytes=size)
        )


def rows(found: list[Chunk]) -> list[dict[str, str]]:
    """Return the records without nulls, which depend on what else is in a chunk."""
    return [
        {name: value for name, value in row.items() if value is not None}
        for chunk in found
        for row in chunk.table.to_pylist()
    ]


def rejects(found: list[Chunk]) -> Rejects:
    return [(r.offset, r.original, r.reason) for chunk in found for r in chunk.rejects]


def read(data: bytes) -> tuple[list[dict[str, str]], Rejects]:
    whole, small = chunks(data), chunks(data, size=60)
    assert rows(whole) == rows(small)
    assert rejects(whole) == rejects(small)
    return rows(whole), rejects(whole)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"a": 5, "b": true, "c": null, "d": ""}', {"a": "5", "b": "true", "d": ""}),
        (b'{"e": "null"}', {"e": "null"}),
        (b'{"a": 1.10, "b":1e5, "c" : -0}', {"a": "1.10", "b": "1e5", "c": "-0"}),
        (b'{"a":0.1000000000000000055511151231257827}', {"a": "0.1000000000000000055511151231257827"}),
        (b'{"a":12345678901234567890123}', {"a": "12345678901234567890123"}),
        (b'{"a":"1.10","b":": 2.50,"}', {"a": "1.10", "b": ": 2.50,"}),
        (b'{"c":"\\\\\\": 3.0","d":4.0}', {"c": '\\": 3.0', "d": "4.0"}),
        (b'{"a":[1, "x", {"b": null}],"c":1.50}', {"a": '[1,"x",{"b":null}]', "c": "1.50"}),
        (b'{"a":{"b":{"c":1.50},"d":[]},"e":{}}', {"a.b.c": "1.50", "a.d": "[]", "e": "{}"}),
        (b'{"a.b":1,"a":{"c":2}}', {"a.b": "1", "a.c": "2"}),
        (b'{"":1,"a/b~1":2,"x\\"y":3}', {"": "1", "a/b~1": "2", 'x"y': "3"}),
        (b'{"*":4,"$.z":5,"0":6}', {"*": "4", "$.z": "5", "0": "6"}),
        (b'{"a":"{\\"b\\":1}"}', {"a": '{"b":1}'}),
        (b'{"a":"\\u00e9\\n\\ud83d\\ude42"}', {"a": "é\n🙂"}),
        (b'  {"a"  :\t7.0\t}  \r', {"a": "7.0"}),
    ],
)  # fmt: skip
def test_values_are_their_json_text(line: bytes, expected: dict[str, str]) -> None:
    assert read(b'{"first":1}\n' + line + b"\n") == ([{"first": "1"}, expected], [])


def test_columns_are_the_union_in_order_of_appearance_and_all_strings() -> None:
    (chunk,) = chunks(b'{"b":1,"a":2}\n{"c":null,"a":{"x":1}}\n{"b":"3","a":{"y":2}}')
    assert chunk.table.column_names == ["b", "a", "a.x", "a.y", "c"]
    assert set(chunk.table.schema.types) == {pa.string()}
    assert chunk.table.to_pydict() == {
        "b": ["1", None, "3"],
        "a": ["2", None, None],
        "a.x": [None, "1", None],
        "a.y": [None, None, "2"],
        "c": [None, None, None],
    }


def test_objects_below_depth_32_are_json_text() -> None:
    found, bad = read(b'{"a":' * 40 + b"1" + b"}" * 40)
    assert found == [{".".join("a" * 32): '{"a":' * 8 + "1" + "}" * 8}]
    assert bad == []
    deep = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert read(deep) == ([{"a": "[" * 100_000 + "]" * 100_000}], [])


@pytest.mark.parametrize(
    ("torn", "reason"),
    [
        (b'{"a":1', "not valid JSON"),
        (b'{"a":"x}', "not valid JSON"),
        (b'{"a":1,}', "not valid JSON"),
        (b'{"a":[1,]}', "not valid JSON"),
        (b'{"a":NaN}', "not valid JSON"),
        (b'{"a":-Infinity}', "not valid JSON"),
        (b'{"a":01}', "not valid JSON"),
        (b"{'a':1}", "not valid JSON"),
        (b'{"a":1}{"a":2}', "not valid JSON"),
        (b'{"a":"\t"}', "not valid JSON"),
        (b'{"a":"\\ud800"}', "not valid JSON"),
        (b"   ", "not valid JSON"),
        (b"[1]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'"x"', "not a JSON object"),
        (b"{ }", "an object without fields"),
        (b'{"a":1,"a":2}', "a key stands twice in one object"),
        (b'{"b":{"a":1,"a":2}}', "a key stands twice in one object"),
        (b'{"b.a":1,"b":{"a":2}}', "two values for 'b.a'"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'{"a":"\x00"}', "NUL byte"),
        (b'{"a":"' + b"x" * LINE_BYTES + b'"}', "longer than 1,048,576 bytes"),
        (b"{" + b",".join(b'"k%d":1' % i for i in range(10_001)) + b"}", "more than 10,000 fields"),
    ],
    ids=range(23),
)
def test_a_torn_line_is_refused_alone(torn: bytes, reason: str) -> None:
    found, bad = read(b'{"a":"x, }","n":1.5}\n\n' + torn + b'\n{"b":{"a":3}}\r\n')
    assert found == [{"a": "x, }", "n": "1.5"}, {"b.a": "3"}]
    assert bad == [(1, torn, reason)]


def test_what_only_looks_lenient_is_good() -> None:
    assert read(b'{"a":", ]","b":":nan","c":"[ inf"}') == ([{"a": ", ]", "b": ":nan", "c": "[ inf"}], [])


@pytest.mark.parametrize("data", [b"", b"\n\r\n\n", b"\xef\xbb\xbf"])
def test_a_file_without_records_gives_none(data: bytes) -> None:
    assert chunks(data) == []


def test_byte_order_mark_and_missing_line_end() -> None:
    assert read(b'\xef\xbb\xbf{"a":1}\r\n{"a":2}') == ([{"a": "1"}, {"a": "2"}], [])


def test_keys_that_differ_in_every_line_give_several_narrow_tables() -> None:
    found = chunks(b"".join(b'{"k%d":%d}\n' % (i, i) for i in range(2_000)), size=100_000)
    assert rows(found) == [{f"k{i}": str(i)} for i in range(2_000)]
    assert max(chunk.table.num_rows * chunk.table.num_columns for chunk in found) <= 12_500
    assert found[-1].position == 2_000


def test_reading_resumes_anywhere_also_among_rejects() -> None:
    data = b'{"a":0}\ntorn\n\n{"a":2,"a":2}\n{"a":3}\n[4]\n{"a":5}'
    whole = chunks(data)
    for position in range(8):
        for size in (1, 40, LARGE):
            rest = chunks(data, position=position, size=size)
            assert rejects(rest) == [r for r in rejects(whole) if r[0] >= position]
            assert rows(rest) == [{"a": str(number)} for number in (0, 3, 5) if number >= position]
            assert not rest or rest[-1].position == 6


def test_a_cut_gzip_file_is_a_source_error() -> None:
    packed = gzip.compress(b"".join(b'{"a":%d}\n' % (i * i) for i in range(20_000)))
    assert rows(chunks(packed, "x.jsonl.gz"))[3] == {"a": "9"}
    with pytest.raises(SourceError, match="the file"):
        chunks(packed[: len(packed) // 2], "x.jsonl.gz")


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
scalars = (
    st.none() | st.booleans() | st.integers() | text | st.sampled_from(["1.50", "{}", "{x", "[", ":1.0"])
)
values = st.recursive(scalars, lambda inner: st.dictionaries(text, inner, max_size=3), max_leaves=6)
objects = st.dictionaries(text, values, min_size=1, max_size=4)


def flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return the columns of one object, by a second implementation."""
    pairs = []
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            pairs += flat(inner, f"{prefix}{key}.")
        elif inner is not None:
            plain = inner if isinstance(inner, str) else json.dumps(inner)
            pairs.append((prefix + key, plain))
    return pairs


@given(records=st.lists(objects, min_size=1, max_size=5), data=st.data())
@settings(max_examples=60)
def test_every_object_comes_back_and_a_torn_line_leaves_all_others(
    records: list[dict[str, Any]], data: st.DataObject
) -> None:
    records = [record for record in records if len(dict(flat(record))) == len(flat(record))]
    place = data.draw(st.integers(0, len(records)))
    size = data.draw(st.sampled_from([1, 64, LARGE]))
    torn = data.draw(st.sampled_from([b"{", b'{"a":"', b"\xff", b'"', b"[[", b"\\"]))
    lines = [json.dumps(record, ensure_ascii=data.draw(st.booleans())).encode() for record in records]
    found = chunks(b"\n".join([*lines[:place], torn, *lines[place:]]), size=size)
    assert rows(found) == [dict(flat(record)) for record in records]
    assert [(offset, original) for offset, original, _ in rejects(found)] == [(place, torn)]
