"""Text in bounded blocks of whole lines, for the connectors of line-based formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import numpy as np
import pyarrow as pa

from workbench.connectors.base import Reject

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "LINE_BYTES",
    "Block",
    "Edges",
    "LineReader",
    "as_binary",
    "blank_lines",
    "broken_bytes",
    "reject_lines",
]

LINE_BYTES = 1 << 20
KEPT_BYTES = 16 << 20
MOST_BYTES = 256 << 20
NEWLINE, RETURN = b"\n\r"

Edges: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class Block:
    """A run of whole lines.

    Attributes:
        data: The lines with their line ends; the last line of a file may lack its own.
        final: Whether the file ends here.
        lost: How many bytes of the last line, over the 16 MB that are kept of a line, are not in ``data``.
    """

    data: bytes
    final: bool
    lost: int = 0

    def edges(self) -> Edges:
        """Return where the lines begin, and where the last one ends."""
        ends = np.flatnonzero(np.frombuffer(self.data, np.uint8) == NEWLINE) + 1
        if len(self.data) and (not len(ends) or ends[-1] != len(self.data)):
            ends = np.append(ends, len(self.data))
        return np.concatenate([np.zeros(1, np.int64), ends]).astype(np.int64)


class LineReader:
    """Reads a binary stream in blocks of whole lines, with bounded memory whatever a line's length.

    Args:
        stream: Where the bytes come from.
        size: About how many bytes a block has.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = max(1, min(size, MOST_BYTES))
        self._tail = b""

    def read(self, carry: Block | None = None) -> Block:
        """Return the next block, behind the bytes of ``carry``; it is empty and final at the end."""
        before = carry.data if carry else b""
        whole = self._tail.rfind(b"\n") + 1
        if whole:
            lines, self._tail = self._tail[:whole], self._tail[whole:]
            return Block(before + lines, final=False)
        parts = [self._tail]
        held = len(self._tail)
        ended = False
        want = max(self._size, len(before))
        while True:
            piece = self._stream.read(want)
            if not piece:
                self._tail = b""
                return Block(before + b"".join(parts), final=True)
            parts.append(piece)
            held += len(piece)
            ended = ended or b"\n" in piece
            want -= len(piece)
            if want:
                continue
            if ended:
                data = b"".join(parts)
                cut = data.rfind(b"\n") + 1
                self._tail = data[cut:]
                return Block(before + data[:cut], final=False)
            if held > KEPT_BYTES:
                return self._overlong(before, b"".join(parts))
            want = held

    def _overlong(self, before: bytes, line: bytes) -> Block:
        lost = len(line) - KEPT_BYTES
        line = line[:KEPT_BYTES]
        while piece := self._stream.read(LINE_BYTES):
            cut = piece.find(b"\n")
            if cut >= 0:
                self._tail = piece[cut + 1 :]
                return Block(before + line + b"\n", final=False, lost=lost + cut)
            lost += len(piece)
        self._tail = b""
        return Block(before + line, final=True, lost=lost)


def as_binary(data: bytes, edges: Edges) -> pa.LargeBinaryArray:
    """Return the lines between ``edges`` as an Arrow array on the same memory."""
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(),
        len(edges) - 1,
        [None, pa.py_buffer(np.ascontiguousarray(edges)), pa.py_buffer(data)],
    )


def broken_bytes(data: bytes, edges: Edges, lost: int = 0) -> dict[int, str]:
    """Return which records cannot be text, by number, with the reason: too long, NUL, not UTF-8."""
    bad: dict[int, str] = {}
    view = memoryview(data)
    start = int(edges[0])
    while start < len(data):
        try:
            str(view[start:], "utf-8")
        except UnicodeDecodeError as error:
            record = int(np.searchsorted(edges, start + error.start, side="right")) - 1
            bad[record] = "not UTF-8"
            start = int(edges[record + 1])
        else:
            break
    at = data.find(b"\0", int(edges[0]))
    while at >= 0:
        record = int(np.searchsorted(edges, at, side="right")) - 1
        bad[record] = "NUL byte"
        at = data.find(b"\0", int(edges[record + 1]))
    for record in np.flatnonzero(np.diff(edges) > LINE_BYTES).tolist():
        bad[record] = f"longer than {LINE_BYTES:,} bytes"
        ended = data[edges[record + 1] - 1] == NEWLINE
        gone = max(0, int(edges[record + 1] - edges[record]) - ended - KEPT_BYTES)
        gone += lost if record == len(edges) - 2 else 0
        if gone:
            bad[record] += f"; {gone:,} bytes after these are not kept"
    return bad


def blank_lines(data: bytes, edges: Edges) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which records are nothing but a line end."""
    text = np.frombuffer(data, np.uint8)
    starts, lengths = edges[:-1], np.diff(edges)
    blank: np.ndarray[tuple[int], np.dtype[np.bool_]] = (lengths == 1) & (text[starts] == NEWLINE)
    pairs = np.flatnonzero(lengths == len(b"\r\n"))
    blank[pairs] = (text[starts[pairs]] == RETURN) & (text[starts[pairs] + 1] == NEWLINE)
    return blank


def reject_lines(data: bytes, edges: Edges, bad: Mapping[int, str], numbers: Edges) -> list[Reject]:
    """Return a reject for each bad record, without its line end; ``numbers`` gives every record's number.

    Of a record over 16 MB the first 16 MB are kept; its reason says so.
    """
    return [
        Reject(int(numbers[record]), _original(data, edges[record], edges[record + 1]), bad[record])
        for record in sorted(bad)
    ]


def _original(data: bytes, start: int, end: int) -> bytes:
    line = data[start:end]
    return (line[:-2] if line.endswith(b"\r\n") else line.removesuffix(b"\n"))[:KEPT_BYTES]
