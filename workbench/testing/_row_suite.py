"""What every backend has to show of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from workbench.compute import Rows
from workbench.errors import UnknownNameError, UsageError
from workbench.testing._comparison import compares
from workbench.testing._suite import has

if TYPE_CHECKING:
    from workbench.compute import Backend, Measure

__all__ = ["RowSuite"]

_KEYS = ["flag", "hour", "word"]
_ASKED: dict[str, Measure] = {
    "rows": ("rows", ""),
    "words": ("count", "word"),
    "different": ("distinct", "number"),
    "total": ("sum", "number"),
    "first": ("min", "hour"),
    "most": ("max", "number"),
}


class RowSuite:
    """The part of the conformance suite that is about :class:`workbench.compute.Rows`."""

    @compares("aggregate", "exact", "counts, sums of whole numbers, smallest and largest are those of polars")
    def test_groups_are_those_of_polars(self, backend: Backend) -> None:
        """Sorted by the keys, nulls last and a group of their own; types are the columns'."""
        has(backend, "aggregate")
        table = _rows()
        found, metrics = backend.aggregate(Rows([table]), by=_KEYS, measures=_ASKED)
        number = pl.col("number")
        expected = (
            pl.DataFrame(table)
            .group_by(_KEYS)
            .agg(
                pl.len().cast(pl.Int64).alias("rows"),
                pl.col("word").count().cast(pl.Int64).alias("words"),
                number.drop_nulls().n_unique().cast(pl.Int64).alias("different"),
                number.cast(pl.Int64).sum().alias("total"),
                pl.col("hour").min().alias("first"),
                number.max().alias("most"),
            )
            .sort(_KEYS, nulls_last=True)
        )
        kinds = [table.schema.field(name).type for name in (*_KEYS, "hour", "number")]
        assert found.schema.names == [*_KEYS, *_ASKED]
        assert [found.schema.field(name).type for name in (*_KEYS, "first", "most")] == kinds
        assert {found.schema.field(name).type for name in list(_ASKED)[:4]} == {pa.int64()}
        assert pl.DataFrame(found).equals(expected)
        assert metrics == {"groups": expected.height, "rows": table.num_rows, "batches": 1}

    @compares("aggregate", "close", "sums of fractions within 1e-9 of numpy's")
    def test_sums_of_fractions_are_those_of_numpy(self, backend: Backend) -> None:
        """NaN and null are no values, and a sum of none is 0."""
        has(backend, "aggregate")
        draw = np.random.default_rng(5)
        key, values = draw.integers(0, 7, 5_000).astype(np.int16), draw.normal(size=5_000)
        values[draw.random(5_000) < 0.1] = np.nan
        values[key == 6] = np.nan
        rows = Rows([pa.table({"key": key, "value": values})])
        asked: dict[str, Measure] = {"total": ("sum", "value"), "least": ("min", "value")}
        asked["n"] = ("count", "key")
        found = backend.aggregate(rows, by=["key"], measures=asked)[0]
        expected = [np.nansum(values[key == k]) for k in range(7)]
        np.testing.assert_allclose(found["total"].to_numpy(), expected, rtol=1e-9)
        assert found["least"].to_pylist()[-1] is None
        assert found["least"].to_pylist()[:-1] == [np.nanmin(values[key == k]) for k in range(6)]
        assert found["n"].to_pylist() == np.bincount(key).tolist()

    @compares("aggregate", "exact", "batches and parts of any size give the same groups")
    @pytest.mark.parametrize("batch", [37, 500, 4_000])
    def test_batches_give_the_same_groups(self, backend: Backend, batch: int) -> None:
        """What is larger than the device is grouped piece by piece; each part has a dictionary of its own."""
        has(backend, "aggregate")
        table = _rows()
        whole = backend.aggregate(Rows([table]), by=_KEYS, measures=_ASKED)[0]
        texts = table.set_column(0, "word", table["word"].dictionary_encode())
        cuts = [texts.slice(start, 333).combine_chunks() for start in range(0, texts.num_rows, 333)]
        words = cuts[3]["word"].cast(pa.string()).dictionary_encode()
        cuts[3] = cuts[3].set_column(0, "word", words)
        found, metrics = backend.aggregate(Rows(cuts), by=_KEYS, measures=_ASKED, batch=batch)
        assert found.equals(whole)
        assert metrics["batches"] >= table.num_rows / batch

    def test_no_measures_give_the_different_keys(self, backend: Backend) -> None:
        """What SQL calls DISTINCT; of no rows there are none, in the same types."""
        has(backend, "aggregate")
        table = pa.table({"key": ["b", None, "a", "b"]})
        found = backend.aggregate(Rows([table]), by=["key"], measures={})[0]
        assert found.to_pydict() == {"key": ["a", "b", None]}
        asked: dict[str, Measure] = {"n": ("rows", ""), "d": ("distinct", "key"), "m": ("count", "key")}
        full = backend.aggregate(Rows([table]), by=["key"], measures=asked)[0]
        none = backend.aggregate(Rows([table.slice(0, 0)]), by=["key"], measures=asked)[0]
        assert none.schema == full.schema
        assert (full["d"].to_pylist(), none.num_rows) == ([1, 1, 0], 0)

    @pytest.mark.parametrize(
        ("by", "asked", "error"),
        [
            ([], {}, "at least one column"),
            (["word", "word"], {}, "stands twice"),
            (["wordd"], {}, "Did you mean 'word'"),
            (["share"], {}, "equal values of which are not defined well"),
            (["word"], {"x": ("sum", "word")}, "sum of column 'word' is not defined"),
            (["word"], {"x": ("sum", "hour")}, "sum of column 'hour' is not defined"),
            (["word"], {"x": ("summ", "number")}, "Did you mean 'sum'"),
            (["word"], {"x": ("rows", "number")}, "rows takes no column"),
            (["word"], {"x": ("sum", "")}, "sum takes a column"),
        ],
    )
    def test_what_cannot_be_grouped_is_refused(
        self, backend: Backend, by: list[str], asked: dict[str, Any], error: str
    ) -> None:
        """The message says which column and why, before anything is computed."""
        has(backend, "aggregate")
        with pytest.raises((UsageError, UnknownNameError), match=error):
            backend.aggregate(Rows([_rows()]), by=by, measures=asked)


def _rows(rows: int = 4_000) -> pa.Table:
    """Return rows with texts, times, booleans and numbers, some of each missing."""
    draw = np.random.default_rng(9)
    hours = pa.array(3_600_000_000 * draw.integers(0, 30, rows)).cast(pa.timestamp("us", "UTC"))
    columns = {
        "word": pa.array(draw.choice(["b", "a", "é", "Z", ""], rows), mask=draw.random(rows) < 0.1),
        "hour": hours,
        "flag": pa.array(draw.random(rows) < 0.5, mask=draw.random(rows) < 0.1),
        "number": pa.array(draw.integers(-9, 2**31 - 1, rows).astype(np.int32), mask=draw.random(rows) < 0.3),
        "share": draw.random(rows),
    }
    return pa.table(columns)
