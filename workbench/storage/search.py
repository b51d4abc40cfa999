"""A search for a text in every file of a workspace: what is not found is not there."""

from __future__ import annotations

import json
import math
import mmap
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

__all__ = ["Hit", "search", "word"]

_WORD = rb"0-9A-Za-z_\x80-\xff"
_TAIL = 8  # a Parquet file ends with the length of its footer and a mark
_SHORT = 6  # bytes below which a text may stand by chance in what is no text


@dataclass(frozen=True)
class Hit:
    """One place of a file in which a text was found.

    Attributes:
        path: Relative to the workspace.
        place: A column of a Parquet file, ``name`` for the file's own name, else ``bytes``.
        whole: Values that are the text; of what is not divided into values, none.
        words: Longer texts in which it stands as a word of its own.
        parts: Longer words of which it is a part: other names that happen to contain it.
    """

    path: str
    place: str
    whole: int = 0
    words: int = 0
    parts: int = 0


def search(
    root: Path, text: str, *, numbers: Collection[str] = (), under: Iterable[str] = ("",)
) -> Iterator[Hit]:
    """Yield every place under ``root`` that holds ``text``.

    Parquet files are decoded: every value of every column, also nested ones, dictionaries with the values
    that no row has, and the footer. Of JSON every text counts, keys and values. All other files are searched
    byte by byte: as UTF-8, as JSON and as a URL would write the text. So are names, and what cannot be read
    as what it is. Indexes of vectors are left alone: they are numbers, in which any short word stands by
    chance. A short number stands for itself alone: as a word in other texts it means nothing, nor in the
    names that the store makes of days and numbers.

    Args:
        root: The workspace.
        text: What to look for.
        numbers: Kinds of files in which numbers, too, are compared with it.
        under: Folders within it; by default all.
    """
    wanted = _Wanted(text)
    paths = sorted(path for folder in under for path in (root / folder).rglob("*"))

    def within(path: Path) -> list[Hit]:
        kind = ".".join(path.name.split(".")[-2:-1])
        return list(_in_path(path, path.relative_to(root).as_posix(), wanted, numeric=kind in numbers))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for hits in pool.map(within, paths):
            yield from hits


def _in_path(path: Path, name: str, wanted: _Wanted, *, numeric: bool) -> Iterator[Hit]:
    if not wanted.is_short_number and (hit := wanted.in_bytes(name, "name", name.encode())):
        yield hit
    if not path.is_file() or path.suffix == ".index":
        return
    try:
        if path.suffix == ".parquet":
            yield from _in_parquet(path, name, wanted, numeric=numeric)
        elif path.suffix in {".json", ""}:
            yield from _in_json(path, name, wanted)
        else:
            yield from _in_file(path, name, wanted)
    except FileNotFoundError:
        return  # collected meanwhile


def word(text: str) -> re.Pattern[bytes]:
    """Return what finds a text as a word of its own in bytes: as UTF-8, JSON or a URL would write it.

    >>> bool(word("anna").search(b"hello anna!")), bool(word("anna").search(b"hello annabel"))
    (True, False)
    """
    return re.compile(rb"(?<![%b])(?:%b)(?![%b])" % (_WORD, _forms(text), _WORD))


def _forms(text: str) -> bytes:
    escaped = json.dumps(text)[1:-1].encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode()
    forms = {text.encode(), *escaped, quote(text, safe="").encode(), quote(text).encode()}
    return b"|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))


class _Wanted:
    """What is looked for, and the forms that it may have."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.plain = text.encode()
        self.is_short_number = text.isdecimal() and len(text) < _SHORT
        self._anywhere = re.compile(_forms(text))
        self._word = word(text)
        try:
            self.number = float(text)
        except ValueError:
            self.number = math.nan  # which no number equals

    def in_bytes(self, path: str, place: str, data: bytes | mmap.mmap) -> Hit | None:
        """Return where it stands in bytes that are not divided into values."""
        # in what is no text a short one stands by chance
        if place == "footer" and len(self.plain) < _SHORT:
            return None
        found = sum(1 for _ in self._anywhere.finditer(data))
        words = 0 if self.is_short_number else sum(1 for _ in self._word.finditer(data))
        return Hit(path, place, 0, words, found - words) if found else None

    def in_values(self, path: str, place: str, values: Iterable[bytes]) -> Hit | None:
        """Return how it stands in values, of which each may contain it."""
        found = [value for value in values if self._anywhere.search(value)]
        whole = sum(value == self.plain for value in found)
        others = [value for value in found if value != self.plain]
        words = 0 if self.is_short_number else sum(bool(self._word.search(value)) for value in others)
        return Hit(path, place, whole, words, len(others) - words) if found else None


def _in_file(path: Path, name: str, wanted: _Wanted) -> list[Hit]:
    if not path.stat().st_size:
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        hit = wanted.in_bytes(name, "bytes", data)
    return [hit] if hit else []


def _in_json(path: Path, name: str, wanted: _Wanted) -> list[Hit]:
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return _in_file(path, name, wanted)
    hit = wanted.in_values(name, "texts", (text.encode() for text in _texts(found)))
    return [hit] if hit else []


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def _in_parquet(path: Path, name: str, wanted: _Wanted, *, numeric: bool) -> list[Hit]:
    try:
        return list(_in_columns(path, name, wanted, numeric=numeric))
    except pa.ArrowException:
        return _in_file(path, name, wanted)


def _in_columns(path: Path, name: str, wanted: _Wanted, *, numeric: bool) -> Iterator[Hit]:
    found = 0
    with pq.ParquetFile(path) as file:
        # text as a dictionary: each of its values is looked at once
        texts = [f.name for f in file.schema_arrow if pa.types.is_string(f.type)]
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        for column, kind in zip(file.schema_arrow.names, file.schema_arrow.types, strict=True):
            if not _may_match(kind, wanted, numeric=numeric and not column.startswith("_")):
                continue
            values = [
                value
                for group in range(file.num_row_groups)
                for chunk in file.read_row_group(group, columns=[column])[column].chunks
                for value in _matches(chunk, wanted, numeric=numeric and not column.startswith("_"))
            ]
            if hit := wanted.in_values(name, column, values):
                found += 1
                yield hit
    # the footer repeats the least and the greatest value of each column
    if not found and (hit := wanted.in_bytes(name, "footer", _footer(path))):
        yield hit


def _footer(path: Path) -> bytes:
    data = path.read_bytes()
    length = int.from_bytes(data[-_TAIL : -_TAIL // 2], "little")
    return data[-_TAIL - length : -_TAIL]


def _may_match(kind: Any, wanted: _Wanted, *, numeric: bool) -> bool:
    """Return whether a column of a type has to be read at all."""
    if _is_number(kind):
        return numeric and not math.isnan(wanted.number)
    return not (pa.types.is_boolean(kind) or pa.types.is_temporal(kind))


def _matches(array: pa.Array, wanted: _Wanted, *, numeric: bool) -> Iterator[bytes]:
    """Yield every value within an array, however deep, that contains the text."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        hit = pc.match_substring(array.dictionary, wanted.text)
        rows = array.indices.filter(pc.fill_null(pc.take(hit, array.indices), False))
        # a value that no row has lies in the file all the same
        found = array.dictionary.take(rows) if len(rows) else array.dictionary.filter(hit)
        yield from (value.encode() for value in found.to_pylist())
    elif pa.types.is_struct(kind):
        for place in range(kind.num_fields):
            yield from _matches(array.field(place), wanted, numeric=numeric)
    elif pa.types.is_map(kind):
        yield from _matches(array.keys, wanted, numeric=numeric)
        yield from _matches(array.items, wanted, numeric=numeric)
    elif pa.types.is_nested(kind):
        yield from _matches(array.values, wanted, numeric=numeric)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        hit = pc.match_substring(array, wanted.text)
        yield from (value.encode() for value in array.filter(hit).to_pylist())
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        yield from (v for v in array.drop_null().to_pylist() if wanted.plain in v)
    elif numeric and _is_number(kind):
        same = pc.fill_null(pc.equal(pc.cast(array, pa.float64(), safe=False), wanted.number), False)
        yield from [wanted.plain] * pc.sum(same).as_py() if len(array) else ()


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
