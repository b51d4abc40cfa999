"""Connector ``csv``: dirt by hand, and what holds for every table and every torn line."""

from __future__ import annotations

import bz2
import gzip
import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.connectors import Chunk, Source, connectors
from workbench.connectors._lines import KEPT_BYTES, LINE_BYTES
from workbench.errors import SourceError, UnknownNameError, UsageError

TINY = 8
LARGE = 64 << 20
Rejects = list[tuple[int, bytes, str]]


def chunks(
    data: bytes, name: str = "x.csv", *, size: int = LARGE, position: int = 0, **options: Any
) -> list[Chunk]:
    with TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.write_bytes(data)
        source = Source("the file", path, options=options)
        return list(connectors.create("csv").read(source, position=position, chunk_bytes=size))


def rows(found: list[Chunk]) -> list[tuple[str | None, ...]]:
    return [tuple(row.values()) for chunk in found for row in chunk.table.to_pylist()]


def rejects(found: list[Chunk]) -> Rejects:
    return [(r.offset, r.original, r.reason) for chunk in found for r in chunk.rejects]


def read(data: bytes, name: str = "x.csv", **options: Any) -> tuple[list[tuple[str | None, ...]], Rejects]:
    """Read in one chunk and in tiny ones; both give the same."""
    whole, small = chunks(data, name, **options), chunks(data, name, size=TINY, **options)
    assert rows(whole) == rows(small)
    assert rejects(whole) == rejects(small)
    return rows(whole), rejects(whole)


def test_values_are_untouched_and_an_empty_field_is_null() -> None:
    found, bad = read(b'id,text\n007, spaced \n1e5,"say ""so"""\n,""\nnull,NaN\n')
    assert found == [("007", " spaced "), ("1e5", 'say "so"'), (None, ""), ("null", "NaN")]
    assert bad == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n\r\n\n", []),
        (b"\xef\xbb\xbfa,b\n1,2\n", [("1", "2")]),
        (b"a,b\r\n1,2\r\n3,4\r\n", [("1", "2"), ("3", "4")]),
        (b"a,b\n1,2\n3,4", [("1", "2"), ("3", "4")]),
        (b"a,b\n\n1,2\r\n\r\n\n3,4\n\n", [("1", "2"), ("3", "4")]),
        (b'a,b\n"1\r\n2","x\n\ny"\n3,4\n', [("1\r\n2", "x\n\ny"), ("3", "4")]),
        (b'a,b\n5" pipe,6"\n7,8\n', [('5" pipe', '6"'), ("7", "8")]),
        (b'a\nx\n\n""\n', [("x",), (None,), ("",)]),
        (b'a,b\n"","x""\n""y"\n', [("", 'x"\n"y')]),
    ],
    ids=[
        "empty",
        "blank",
        "bom",
        "crlf",
        "no end",
        "blank lines",
        "multi-line",
        "inches",
        "one column",
        "pairs",
    ],
)
def test_forms_of_good_files(data: bytes, expected: list[tuple[str | None, ...]]) -> None:
    assert read(data) == (expected, [])


def test_a_header_alone_gives_the_columns() -> None:
    for data in (b"a,b", b"a,b\n", b"a,b\r\n"):
        (chunk,) = chunks(data)
        assert chunk.table.column_names == ["a", "b"]
        assert (chunk.table.num_rows, chunk.position) == (0, 0)


def test_repeated_and_missing_names_are_made_unique() -> None:
    (chunk,) = chunks(b"a,,a,a_2,a\n1,2,3,4,5\n")
    assert chunk.table.column_names == ["a", "column_2", "a_3", "a_2", "a_4"]
    assert rows([chunk]) == [("1", "2", "3", "4", "5")]


def test_a_header_may_quote_delimiters_and_line_ends() -> None:
    (chunk,) = chunks(b'"a,b";"c\nd";<b>\n1;2;3\n')
    assert chunk.table.column_names == ["a,b", "c\nd", "<b>"]


@pytest.mark.parametrize(
    ("torn", "reason"),
    [
        (b"7", "1 fields, not 3"),
        (b"7,8,9,10", "4 fields, not 3"),
        (b'7,"8,9', "unclosed quote"),
        (b'"7,8,9', "unclosed quote"),
        (b'7,8,"', "unclosed quote"),
        (b'7,"8"x,9', "text after a closing quote"),
        (b"7,8\x00,9", "NUL byte"),
        (b"7,8\xff,9", "not UTF-8"),
        (b"7,8\r,9", "bare carriage return"),
        (b'7,"a\nb",9,10', "4 fields, not 3"),
        (b"7,8," + b"9" * LINE_BYTES, "longer than 1,048,576 bytes"),
    ],
)
@pytest.mark.parametrize("neighbour", [b"1,2,3", b'"1","2","3"', b'1,"2\n2",3', b'1,", 2",3'])
def test_a_torn_record_is_refused_alone(torn: bytes, reason: str, neighbour: bytes) -> None:
    good = arrow_csv.read_csv(
        io.BytesIO(b"a,b,c\n" + neighbour + b"\n"),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys("abc", pa.string())),
    )
    value = tuple(good.to_pylist()[0].values())
    found, bad = read(b"\n".join([b"a,b,c", neighbour, neighbour, torn, neighbour, neighbour, b""]))
    assert found == [value] * 4
    assert bad == [(2, torn, reason)]


def test_an_unclosed_quote_is_given_up_at_one_megabyte() -> None:
    lines = [b"%d,x" % i for i in range(300_000)]
    lines[7] = b'7,"x'
    found, bad = chunks_of_pairs(lines)
    assert bad == [(7, b'7,"x', "unclosed quote")]
    assert found == 299_999


def chunks_of_pairs(lines: list[bytes]) -> tuple[int, Rejects]:
    found = chunks(b"a,b\n" + b"\n".join(lines), size=1 << 20)
    assert found[-1].position == len(lines)
    return sum(chunk.table.num_rows for chunk in found), rejects(found)


def test_two_torn_lines_do_not_take_in_what_stands_between() -> None:
    found, bad = read(b'a,b,c\n1,"x,2\n3,4,5\n6,7,8\n9,"y,10\n11,12,13\n')
    assert found == [("3", "4", "5"), ("6", "7", "8"), ("11", "12", "13")]
    assert bad == [(0, b'1,"x,2', "unclosed quote"), (3, b'9,"y,10', "unclosed quote")]


def test_a_line_beyond_what_is_kept_says_how_much_is_lost() -> None:
    long = b"1," + b"x" * (KEPT_BYTES + 1_000)
    found = chunks(b"a,b\n1,2\n" + long + b"\n3,4\n")
    assert rows(found) == [("1", "2"), ("3", "4")]
    ((offset, original, reason),) = rejects(found)
    assert (offset, original) == (1, long[:KEPT_BYTES])
    assert reason == "longer than 1,048,576 bytes; 1,002 bytes after these are not kept"


def test_reading_resumes_anywhere_also_among_rejects() -> None:
    data = b'a,b\n1,2\ntorn\n3,"x\ny"\n4,"z\n5,6\n\xff,7\n8,9'
    whole = chunks(data)
    assert [r[0] for r in rejects(whole)] == [1, 3, 5]
    for position in range(9):
        for size in (TINY, LARGE):
            rest = chunks(data, position=position, size=size)
            assert rejects(rest) == [r for r in rejects(whole) if r[0] >= position]
            good_before = sum(number < position for number in (0, 2, 4, 6))
            assert rows(rest) == rows(whole)[good_before:]


@pytest.mark.parametrize(
    ("name", "header", "options", "names"),
    [
        ("x.csv", b"a;b;c,d", {}, ["a", "b", "c,d"]),
        ("x.csv", b"a|b", {}, ["a", "b"]),
        ("x.csv", b"a\tb", {}, ["a", "b"]),
        ("x.csv", b'"a;b;c",d', {}, ["a;b;c", "d"]),
        ("x.tsv", b"a,b,c\td", {}, ["a,b,c", "d"]),
        ("x.csv", b"a,b:c", {"delimiter": ":"}, ["a,b", "c"]),
        ("x.tsv", b"a\tb,c", {"delimiter": ","}, ["a\tb", "c"]),
        ("x.csv", b"a^b", {"delimiter": "^"}, ["a", "b"]),
    ],
)
def test_the_delimiter_is_given_or_told_by_suffix_or_header(
    name: str, header: bytes, options: dict[str, Any], names: list[str]
) -> None:
    (chunk,) = chunks(header + b"\n", name, **options)
    assert chunk.table.column_names == names


@pytest.mark.parametrize("delimiter", ["]", "^", "-", "\\", "|", ".", "'", " "])
def test_any_ascii_character_may_delimit(delimiter: str) -> None:
    d = delimiter.encode()
    found, bad = read(b'a%sb\n1%s2\n3%s"x\n4%s5\n' % (d, d, d, d), delimiter=delimiter)
    assert found == [("1", "2"), ("4", "5")]
    assert bad == [(1, b'3%s"x' % d, "unclosed quote")]


@pytest.mark.parametrize("delimiter", ["", ",,", "é", '"', "\n", 5])
def test_another_delimiter_is_refused(delimiter: Any) -> None:
    with pytest.raises(UsageError, match="delimiter"):
        chunks(b"a,b\n", delimiter=delimiter)


def test_an_unknown_option_is_named_with_the_near_miss() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'delimiter'"):
        chunks(b"a,b\n", delimeter=";")


@pytest.mark.parametrize(
    "header", [b"\xff\xfea\x00", b'"a,b\n1,2\n', b"a,\x00\n", b"a,\xff\n", b"a,b\r1,2\r3,4"]
)
def test_a_header_that_is_none_is_a_source_error(header: bytes) -> None:
    with pytest.raises(SourceError, match="the file"):
        chunks(header)


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".bz2"])
def test_compressed_files_are_read_and_cut_ones_refused(suffix: str) -> None:
    data = b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(20_000))
    packers = {".gz": gzip.compress, ".bz2": bz2.compress}
    packers[".zst"] = lambda raw: pa.Codec("zstd").compress(raw, asbytes=True)
    packed = packers[suffix](data)
    assert rows(chunks(packed, f"x.csv{suffix}"))[-1] == ("19999", str(19999**2))
    with pytest.raises(SourceError, match="the file"):
        chunks(packed[: len(packed) // 2], f"x.csv{suffix}")


def test_several_gzip_members_are_one_text() -> None:
    packed = gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n")
    assert rows(chunks(packed, "x.csv.gz")) == [("1", "2"), ("3", "4")]


fields = st.none() | st.text(st.sampled_from('a1 ,;"\n\r\t|é🙂'), max_size=6)
tables = st.lists(st.tuples(fields, fields, fields), min_size=1, max_size=12)


def written(records: list[tuple[str | None, ...]]) -> bytes:
    columns = list(zip(*records, strict=True))
    table = pa.table({name: pa.array(c, pa.string()) for name, c in zip("abc", columns, strict=True)})
    sink = io.BytesIO()
    arrow_csv.write_csv(table, sink)
    return sink.getvalue()


@given(records=tables, size=st.sampled_from([1, 16, 200, LARGE]))
def test_every_table_comes_back(records: list[tuple[str | None, ...]], size: int) -> None:
    found = chunks(written(records), size=size)
    assert rows(found) == records
    assert rejects(found) == []


plain = st.text(st.sampled_from("a1 ;é\n"), max_size=5)


@given(
    records=st.lists(st.tuples(plain, plain, plain), min_size=1, max_size=8),
    torn=st.sampled_from([b'x,"y', b'x,"y,z', b"x", b"x,y,z,w", b'x,"y"z,w', b"x,\xc3,z", b"\x00,y,z"]),
    data=st.data(),
)
@settings(max_examples=200)
def test_a_torn_line_at_any_place_leaves_all_others(
    records: list[tuple[str, ...]], torn: bytes, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(records)))
    size = data.draw(st.sampled_from([1, 32, LARGE]))
    parts = [written([record]).split(b"\n", 1)[1] for record in records]
    text = b"".join([b"a,b,c\n", *parts[:place], torn + b"\n", *parts[place:]])
    found = chunks(text, size=size)
    assert rows(found) == records
    assert [(offset, original) for offset, original, _ in rejects(found)] == [(place, torn)]
