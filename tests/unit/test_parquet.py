"""Connector ``parquet`` (and what it shares with ``arrow`` and ``frame``): damage, bombs, nesting."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import ipc

from workbench.connectors import Chunk, Source, connectors
from workbench.connectors._tables import decoded_bytes
from workbench.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path, name: str = "parquet", **arguments: Any) -> list[Chunk]:
    return list(connectors.create(name).read(Source("the file", path), **arguments))


def frame(data: object, **arguments: Any) -> list[Chunk]:
    return list(connectors.create("frame").read(Source("the frame", data=data), **arguments))


def sample(path: Path, rows: int = 1_000) -> bytes:
    numbers = np.random.default_rng(0).integers(0, 1 << 40, rows)
    table = pa.table({"n": numbers, "s": [f"value {n}" for n in numbers]})
    pq.write_table(table, path, row_group_size=250, write_page_checksum=True, compression="zstd")
    return path.read_bytes()


@pytest.mark.parametrize("keep", [0, 3, 4, 8, 500, 0.5, -1, -4, -9, -200])
def test_a_cut_file_is_a_source_error_that_says_where(tmp_path: Path, keep: float) -> None:
    whole = sample(tmp_path / "x.parquet")
    cut = int(len(whole) * keep) if isinstance(keep, float) else keep
    (tmp_path / "x.parquet").write_bytes(whole[:cut])
    with pytest.raises(SourceError, match=r"the file: is not a whole Parquet file: .+"):
        read(tmp_path / "x.parquet")


def test_a_damaged_page_is_a_source_error_that_names_the_row_group(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    whole = bytearray(sample(path))
    column = pq.ParquetFile(path).metadata.row_group(2).column(0)
    whole[column.data_page_offset + column.total_compressed_size // 2] ^= 0x10
    path.write_bytes(whole)
    seen = []
    with pytest.raises(SourceError, match=r"the file: row group 2, record 500 on: cannot be read"):
        seen.extend(connectors.create("parquet").read(Source("the file", path), chunk_bytes=1))
    assert sum(chunk.table.num_rows for chunk in seen) == 500
    assert sum(chunk.table.num_rows for chunk in read(path, position=750)) == 250


def test_a_damaged_footer_is_a_source_error_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    whole = sample(path)
    length = int.from_bytes(whole[-8:-4], "little")
    expected = pq.read_table(io.BytesIO(whole)).num_rows
    refused = 0
    for at in range(len(whole) - 8 - length, len(whole), 37):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        try:
            rows = sum(chunk.table.num_rows for chunk in read(path))
        except SourceError:
            refused += 1
        else:
            assert rows == expected
    assert refused > 5


@pytest.mark.parametrize("limit", [1, 1_000, 5_000, 20_000, 1 << 20])
def test_the_size_of_a_table_is_told_to_be_over_a_limit_or_not(limit: int) -> None:
    texts = ["x" * n for n in (1, 2, 3, 200)]
    places = {"short": [0, 1, None] * 100, "long": [3, 0, 0] * 100, "none": [None] * 300}
    columns = {
        name: pa.DictionaryArray.from_arrays(pa.array(column, pa.int32()), pa.array(texts))
        for name, column in places.items()
    }
    table = pa.table({**columns, "n": pa.array(range(300))})
    exact = 4 * 900 + 100 * (1 + 2) + 100 * (200 + 1 + 1) + 8 * 300
    assert decoded_bytes(table) == exact
    assert (decoded_bytes(table, limit) > limit) == (exact > limit)


BOMB = """
import re, sys
from pathlib import Path
from workbench.connectors import Source, connectors
from workbench.connectors._tables import decoded_bytes
rows = size = 0
for chunk in connectors.create("parquet").read(Source("x", Path(sys.argv[1])), chunk_bytes=32 << 20):
    assert decoded_bytes(chunk.table) < 64 << 20
    rows += chunk.table.num_rows
    size += decoded_bytes(chunk.table)
# not ru_maxrss, which a child takes over from the process that started it
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(rows, size, peak >> 10)
"""


@pytest.mark.parametrize("nested", [False, True])
def test_a_small_file_of_gigabytes_is_read_in_bounded_memory(tmp_path: Path, nested: bool) -> None:
    path = tmp_path / "bomb.parquet"
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 400, pa.int32()), pa.array(["x" * 4_000_000]))
    if nested:
        column = pa.ListArray.from_arrays(pa.array(range(401), pa.int32()), column)
    pq.write_table(pa.table({"s": column}), path, store_schema=False, dictionary_pagesize_limit=1 << 28)
    assert path.stat().st_size < 1_000_000
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows, size, peak = map(int, done.stdout.split())
    assert rows == 400
    assert size > 1_500_000_000
    assert peak < 800  # MB


def test_columns_keep_their_types_and_nesting_becomes_names_and_json(tmp_path: Path) -> None:
    table = pa.table(
        {
            "d": pa.array(["x", None, "x"]).dictionary_encode(),
            "t": pa.array([0, None, 1], pa.timestamp("ns")),
            "b": pa.array([b"\xff", b"", None]),
            "s": pa.array([{"x": 1, "y": {"z": "q"}, "l": [1]}, None, {"x": None, "y": None, "l": []}]),
            "m": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
            "s.x": pa.array([1.5, 2.5, None]),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    (chunk,) = read(tmp_path / "x.parquet")
    assert chunk.table.schema.field("d").type == table.schema.field("d").type
    assert chunk.table.schema.field("t").type == pa.timestamp("ns")
    assert chunk.table.drop(["t"]).to_pydict() == {
        "d": ["x", None, "x"],
        "b": [b"\xff", b"", None],
        "s.x": [1, None, None],
        "s.y.z": ["q", None, None],
        "s.l": ["[1]", None, "[]"],
        "m": ['{"k":1}', "{}", None],
        "s.x_2": [1.5, 2.5, None],
    }


def test_structs_below_depth_32_are_json_text() -> None:
    value: Any = 1
    for _ in range(40):
        value = {"a": value}
    (chunk,) = frame(pa.table({"a": pa.array([value["a"]])}))
    assert chunk.table.column_names == [".".join("a" * 33)]
    assert chunk.table.column(0).to_pylist() == ['{"a":' * 7 + "1" + "}" * 7]


def test_a_file_without_rows_tells_its_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "x.parquet")
    (chunk,) = read(tmp_path / "x.parquet")
    assert (chunk.table.column_names, chunk.table.num_rows, chunk.position) == (["a"], 0, 0)


numbers = st.none() | st.integers(-(2**63), 2**63 - 1)
words = st.none() | st.text(max_size=5)


@given(
    rows=st.lists(st.tuples(numbers, words, st.lists(numbers, max_size=2)), min_size=1, max_size=30),
    group=st.integers(1, 9),
    size=st.sampled_from([1, 100, 1 << 20]),
    position=st.integers(0, 31),
)
def test_every_table_comes_back_from_every_position(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], group: int, size: int, position: int
) -> None:
    path = tmp_path_factory.mktemp("rows") / "x.parquet"
    n, s, lists = zip(*rows, strict=True)
    schema = pa.schema({"n": pa.int64(), "s": pa.string(), "l": pa.list_(pa.int64())})
    pq.write_table(pa.table({"n": n, "s": s, "l": lists}, schema=schema), path, row_group_size=group)
    found = read(path, position=position, chunk_bytes=size)
    expected = [
        {"n": a, "s": b, "l": "[" + ",".join("null" if x is None else str(x) for x in c) + "]"}
        for a, b, c in rows[position:]
    ]
    assert [row for chunk in found for row in chunk.table.to_pylist()] == expected
    assert not found or found[-1].position == len(rows)


@pytest.mark.parametrize("suffix", ["arrow", "arrows"])
def test_an_arrow_file_or_stream_is_read_and_a_cut_one_refused(tmp_path: Path, suffix: str) -> None:
    table = pa.table({"a": list(range(10_000)), "s": [str(i) for i in range(10_000)]})
    path = tmp_path / f"x.{suffix}"
    make = ipc.new_file if suffix == "arrow" else ipc.new_stream
    with make(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=3_000)
    (chunk,) = read(path, "arrow")
    assert chunk.table == table
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"the file: record \d+ on: cannot be read"):
        read(path, "arrow")


@pytest.mark.parametrize("data", [b"", b"FEA1....", b"nothing of the kind", b"ARROW1\0\0ARROW1"])
def test_what_is_no_arrow_is_a_source_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.arrow").write_bytes(data)
    with pytest.raises(SourceError, match="the file"):
        read(tmp_path / "x.arrow", "arrow")


def test_every_kind_of_frame_is_read_alike() -> None:
    table = pa.table({"a": [1, 2, 3], "s": ["x", None, ""]})
    polars = pl.DataFrame({"a": [1, 2, 3], "s": ["x", None, ""]})
    with duckdb.connect() as connection:
        connection.register("t", table)
        kinds = [
            table,
            table.to_batches()[0],
            table.to_reader(),
            polars,
            polars.lazy(),
            table.to_pandas(),
            connection.sql("SELECT * FROM t"),
        ]
        for data in kinds:
            assert connectors.load("frame").accepts(data)
            (chunk,) = frame(data)
            assert chunk.table.to_pydict() == {"a": [1, 2, 3], "s": ["x", None, ""]}
            assert chunk.table.schema.field("s").type in {pa.string(), pa.large_string()}
            assert chunk.table.schema.metadata is None


def test_a_pandas_index_is_a_column_if_it_has_a_name() -> None:
    data = pd.DataFrame({"a": [1, 2], 5: [3, 4]}, index=[7, 9])
    assert frame(data)[0].table.to_pydict() == {"a": [1, 2], "5": [3, 4]}
    data.index.name = "key"
    assert frame(data)[0].table.to_pydict() == {"a": [1, 2], "5": [3, 4], "key": [7, 9]}


def test_polars_categories_stay_dictionaries_of_plain_strings() -> None:
    (chunk,) = frame(pl.DataFrame({"c": pl.Series(["u", "v", "u"], dtype=pl.Categorical)}))
    assert pa.types.is_dictionary(chunk.table.schema.field("c").type)
    assert chunk.table.schema.field("c").type.value_type == pa.string()
    assert chunk.table.column("c").to_pylist() == ["u", "v", "u"]


@pytest.mark.parametrize("data", [5, "x", None, [{"a": 1}], pd.DataFrame({"a": [1, "x"]}), pl.Series([1])])
def test_what_is_no_table_is_a_source_error(data: object) -> None:
    with pytest.raises(SourceError, match="the frame"):
        frame(data)
