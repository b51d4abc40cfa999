"""Where the records of a CSV text begin and end, also when some of them are torn.

A clean text is split by quote parity, vectorised. Where that fails, each line is judged by itself:

* A line that is complete is a record. A quote inside a field that does not begin with one is literal.
* A line that ends inside a quoted field begins a record of several lines, if the text from there on is
  a well-formed record (RFC 4180, no quotes in unquoted fields) of at most 1 MB with the right number of
  fields. One with another number of fields is a bad record, unless a record with the right number begins
  at one of its lines. In all other cases that one line is torn, and the next line is judged afresh.

Both ways give the same records wherever the first one applies, so that a record's number does not depend
on the size of the blocks in which a file is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import pyarrow.compute as pc

from workbench.connectors._lines import LINE_BYTES, Block, Edges, as_binary

__all__ = ["Grammar", "Records", "clean_edges", "judged_records"]

QUOTE, NEWLINE, RETURN = b'"\n\r'


@dataclass(frozen=True)
class Records:
    """The records of a text: record i is ``data[edges[i]:edges[i + 1]]``; what follows is not decidable yet.

    ``bad`` gives the reason for each record that is torn.
    """

    edges: Edges
    bad: dict[int, str] = field(default_factory=dict)


class Grammar:
    """What a record looks like: a delimiter of one byte and a number of fields."""

    def __init__(self, delimiter: bytes, fields: int) -> None:
        self.delimiter = delimiter
        self.fields = fields
        d = rf"\x{delimiter[0]:02x}"
        loose = rf'(?:"(?:[^"]|"")*"|[^"{d}\r\n][^{d}\r\n]*|)'
        strict = rf'(?:"(?:[^"]++|"")*+"|[^"{d}\r\n]*+)'
        self.line = rf"^{loose}(?:{d}{loose})*\r?\n?$"
        self.quoted = re.compile(rb'"(?:[^"]++|"")*+"')
        self.opening = re.compile(rf'(?:{strict}{d})*+"(?:[^"]++|"")*+'.encode())
        self.record = re.compile(rf"{strict}(?:{d}{strict})*+".encode())

    def count(self, record: bytes) -> int:
        """Return the number of fields of a well-formed record."""
        return self.quoted.sub(b"", record).count(self.delimiter) + 1


def clean_edges(data: bytes, delimiter: bytes) -> Edges | None:
    """Return the edges of all whole records, or None where a quote or carriage return is out of place."""
    if data.count(b"\r") != data.count(b"\r\n"):
        return None
    text = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(text == NEWLINE)
    quotes = np.flatnonzero(text == QUOTE)
    if len(quotes):
        before = text[quotes[0::2] - 1]
        after = text[np.minimum(quotes[1::2] + 1, len(text) - 1)]
        opens = np.isin(before, [delimiter[0], NEWLINE, QUOTE]) | (quotes[0::2] == 0)
        closes = np.isin(after, [delimiter[0], NEWLINE, RETURN, QUOTE])
        closes |= quotes[1::2] == len(text) - 1
        if not (opens.all() and closes.all()):
            return None
        newlines = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    edges = np.concatenate([np.zeros(1, np.int64), newlines + 1]).astype(np.int64)
    return edges if edges[-1] == len(data) or len(quotes) % 2 else np.append(edges, len(data))


def judged_records(block: Block, grammar: Grammar) -> Records:
    """Split a block line by line; see the module's text for the rules."""
    lines = block.edges()
    array = as_binary(block.data, lines)
    complete = pc.match_substring_regex(array, grammar.line).to_numpy(zero_copy_only=False)
    begins = np.ones(len(lines), dtype=bool)
    bad: dict[int, str] = {}
    free = 0
    stop = len(lines) - 1
    for line in np.flatnonzero(~complete).tolist():
        if line < free:
            continue
        after, reason = _judge(block, lines, line, grammar)
        if after is None:
            stop = line
            break
        begins[line + 1 : after] = False
        free = after
        if reason:
            bad[line] = reason
    begins[stop + 1 :] = False
    number = np.cumsum(begins) - 1
    return Records(lines[begins], {int(number[line]): reason for line, reason in bad.items()})


def _judge(block: Block, lines: Edges, line: int, grammar: Grammar) -> tuple[int | None, str]:
    """Return the line after the record that begins at ``line`` (None: wait for more) and what is wrong."""
    text = block.data[lines[line] : lines[line + 1]].removesuffix(b"\n").removesuffix(b"\r")
    if not grammar.opening.fullmatch(text):
        return line + 1, "bare carriage return" if b"\r" in text else "text after a closing quote"
    try:
        end, count = _record_at(block, int(lines[line]), grammar)
        after = int(np.searchsorted(lines, end))
        inner = (_record_at(block, int(start), grammar) for start in lines[line + 1 : after])
        if end and (count == grammar.fields or all(fields != grammar.fields for _, fields in inner)):
            return after, ""
    except _UndecidedError:
        return None, ""
    return line + 1, "unclosed quote"


class _UndecidedError(Exception):
    """Whether there is a record cannot be told before more of the text is read."""


def _record_at(block: Block, start: int, grammar: Grammar) -> tuple[int, int]:
    """Return where the well-formed record at ``start`` ends and its number of fields; zeros for none."""
    data = block.data
    found = grammar.record.match(data, start, min(len(data), start + LINE_BYTES))
    stop = found.end() if found else start
    for end in (b"\n", b"\r\n"):
        if data.startswith(end, stop):
            return stop + len(end), grammar.count(data[start:stop])
    if block.final and stop == len(data):
        return stop, grammar.count(data[start:stop])
    if not block.final and len(data) - start <= LINE_BYTES:
        raise _UndecidedError
    return 0, 0
