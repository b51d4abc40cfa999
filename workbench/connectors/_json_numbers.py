"""The text of JSON numbers, kept as it stands.

DuckDB reads ``1.10`` as a double and prints ``1.1``. So where a line has a number with a fraction or an
exponent, the numbers that are values of objects are put in quotes before the line is read: as strings they
pass unchanged. Numbers within arrays are left alone, for an array stays JSON text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from workbench.connectors._lines import Edges

__all__ = ["with_quoted_numbers"]

INEXACT = r":\s*-?[0-9]+[.eE]|:\s*-0"
Text: TypeAlias = np.ndarray[tuple[int], np.dtype[np.uint8]]


def with_quoted_numbers(lines: pa.LargeStringArray) -> pa.LargeStringArray:
    """Return valid JSON ``lines`` with inexact numbers in quotes, arrays excepted.

    >>> with_quoted_numbers(pa.array(['{"a":1.10,"b":[1.10],"c":"1.10"}'], pa.large_string()))[0].as_py()
    '{"a":"1.10","b":[1.10],"c":"1.10"}'
    """
    inexact = pc.match_substring_regex(lines, INEXACT)
    if not pc.any(inexact).as_py():
        return lines
    chosen = lines.filter(inexact)
    _, offsets, data = chosen.buffers()
    edges = np.frombuffer(offsets, np.int64)[chosen.offset : chosen.offset + len(chosen) + 1]
    text = np.frombuffer(data, np.uint8)[edges[0] : edges[-1]]
    edges = edges - edges[0]
    starts, ends = _numbers(text)
    places = np.sort(np.concatenate([starts, ends]))
    quoted = np.insert(text, places, ord('"'))
    edges = edges + np.searchsorted(places, edges)
    replacement = pa.LargeStringArray.from_buffers(
        len(chosen), pa.py_buffer(edges.astype(np.int64)), pa.py_buffer(quoted)
    )
    return pc.replace_with_mask(lines, inexact, replacement)


def _numbers(text: Text) -> tuple[Edges, Edges]:
    """Return where the numbers begin and end that are values of objects outside arrays."""
    quotes = _bare_quotes(text)
    starts = _outside(text, b":", quotes) + 1
    space = _is_any(text, b" \t\r\n")
    if space[starts].any():
        spaces = np.flatnonzero(space)
        at = np.flatnonzero(space[starts])
        starts[at] = _run_ends(spaces)[np.searchsorted(spaces, starts[at])]
    starts = starts[_is_any(text[starts], b"-0123456789")]
    brackets = _outside(text, b"[]", quotes)
    depth = np.concatenate([[0], np.cumsum(np.where(text[brackets] == ord("["), 1, -1))])
    starts = starts[depth[np.searchsorted(brackets, starts)] == 0]
    stops = np.flatnonzero(_is_any(text, b",} \t\r\n"))
    return starts, stops[np.searchsorted(stops, starts)]


def _is_any(text: Text, symbols: bytes) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which bytes are one of ``symbols``; a look-up is faster than a set operation."""
    wanted = np.zeros(256, dtype=bool)
    wanted[list(symbols)] = True
    mask: np.ndarray[tuple[int], np.dtype[np.bool_]] = wanted[text]
    return mask


def _outside(text: Text, symbols: bytes, quotes: Edges) -> Edges:
    """Return where ``symbols`` stand outside strings."""
    places = np.flatnonzero(_is_any(text, symbols))
    outside: Edges = places[np.searchsorted(quotes, places) % 2 == 0].astype(np.int64)
    return outside


def _bare_quotes(text: Text) -> Edges:
    """Return where the quotes stand that no backslash escapes."""
    quotes = np.flatnonzero(text == ord('"')).astype(np.int64)
    slashes = np.flatnonzero(text == ord("\\")).astype(np.int64)
    if not len(slashes):
        return quotes
    first = np.concatenate([[True], np.diff(slashes) != 1])
    run_starts = slashes[first][np.cumsum(first) - 1]
    at = np.searchsorted(slashes, quotes - 1)
    found = (at < len(slashes)) & (slashes[np.minimum(at, len(slashes) - 1)] == quotes - 1)
    length = np.where(found, quotes - run_starts[np.minimum(at, len(slashes) - 1)], 0)
    bare: Edges = quotes[length % 2 == 0]
    return bare


def _run_ends(places: Edges) -> Edges:
    """Return for each of ascending ``places`` the place after the unbroken run that it is in."""
    last = np.concatenate([np.diff(places) != 1, [True]])
    ends: Edges = (places[last] + 1)[np.cumsum(last) - last]
    return ends
