"""Connector ``logfmt``: lines of ``key=value`` pairs, every value as string."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa

from workbench.connectors import Chunk, Connector, Reject, Source
from workbench.connectors.base import CHUNK_BYTES, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import polars as pl

PAIR = r'[^\s="]+=(?:"(?:[^"\\]|\\.)*"|[^\s"]*)'
LINE = rf"^{PAIR}(?: {PAIR})*$"


class LogfmtConnector(Connector):
    """Lines of ``key=value`` pairs (``.logfmt``); a value in quotes is a JSON string, a missing one null."""

    suffixes: ClassVar[tuple[str, ...]] = (".logfmt",)
    requires: ClassVar[tuple[str, ...]] = ("polars",)

    @classmethod
    def sample(cls, table: pa.Table, directory: Path) -> Source:
        """Write ``table`` as ``sample.logfmt``; a space in a name becomes ``%20``."""
        path = directory / "sample.logfmt"
        with path.open("w", encoding="utf-8", newline="") as file:
            for row in table.to_pylist():
                pairs = [
                    f"{key.replace(' ', '%20')}={json.dumps(value, ensure_ascii=False)}"
                    for key, value in row.items()
                    if value is not None
                ]
                file.write(" ".join(pairs) + "\n")
        return Source(str(path), path)

    def read(self, source: Source, *, position: int = 0, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Yield the lines from ``position`` on."""
        self.check_options(source)
        with opened(source) as file:
            number = 0
            while lines := file.readlines(max(1, chunk_bytes // 8)):
                skipped = max(0, position - number)
                begin = number + skipped
                number += len(lines)
                if begin < number:
                    yield _chunk(lines[skipped:], begin)


def _chunk(lines: list[bytes], begin: int) -> Chunk:
    import polars as pl

    text = pl.DataFrame({"line": [line.decode("utf-8", "replace").rstrip("\r\n") for line in lines]})
    text = text.with_row_index("row").with_columns(good=pl.col("line").str.contains(LINE))
    pairs = (
        text.filter("good")
        .select("row", pl.col("line").str.extract_all(PAIR))
        .explode("line")
        .select("row", pl.col("line").str.splitn("=", 2).struct.rename_fields(["key", "value"]))
        .unnest("line")
        .with_columns(pl.col("key").str.replace_all("%20", " "), value=_unquoted(pl.col("value")))
    )
    table = pairs.pivot(on="key", index="row", values="value").sort("row").drop("row").to_arrow()
    bad = text.filter(~pl.col("good"))["row"].to_list()
    rejects = tuple(Reject(begin + row, lines[row].rstrip(b"\r\n"), "not key=value pairs") for row in bad)
    strings = pa.schema([(name, pa.string()) for name in table.column_names])
    return Chunk(table.cast(strings), begin + len(lines), rejects)


def _unquoted(value: pl.Expr) -> pl.Expr:
    import polars as pl

    quoted = value.str.starts_with('"')
    return pl.when(quoted).then(value).otherwise(None).str.json_decode(pl.String).fill_null(value)
