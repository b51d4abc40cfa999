"""The wire between ``db.sql`` and its worker: length-prefixed frames over a pair of pipes.

A frame is one byte that says what it carries, eight bytes of length, and the payload: either a JSON object
or one whole Arrow IPC stream. A request is one JSON frame. Its reply is any number of Arrow frames, the first
of which may hold no rows, closed by one JSON frame, which tells success from an error met half-way.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from io import FileIO

__all__ = ["Kind", "read", "send", "send_json"]

Kind = Literal[b"A", b"J"]
_HEADER = struct.Struct(">cQ")


def send(pipe: FileIO, kind: Kind, payload: bytes | memoryview) -> None:
    """Write one frame, however many writes the pipe takes for it.

    Raises:
        BrokenPipeError: If the other side is gone.
    """
    for part in (_HEADER.pack(kind, len(payload)), payload):
        rest = memoryview(part)
        while rest:
            rest = rest[pipe.write(rest) or 0 :]


def send_json(pipe: FileIO, message: Mapping[str, Any]) -> None:
    """Write one JSON frame."""
    send(pipe, b"J", json.dumps(message).encode())


def read(pipe: FileIO, wait: Callable[[], None] = lambda: None) -> tuple[bytes, bytearray]:
    """Read one frame and return its kind and payload.

    Args:
        pipe: The pipe, unbuffered.
        wait: Called before each read that may block; what it raises is raised.

    Raises:
        EOFError: If the other side closed the pipe, also in the middle of a frame.
    """
    kind, length = _HEADER.unpack(_exactly(pipe, _HEADER.size, wait))
    return kind, _exactly(pipe, length, wait)


def _exactly(pipe: FileIO, length: int, wait: Callable[[], None]) -> bytearray:
    buffer = bytearray(length)
    rest = memoryview(buffer)
    while rest:
        wait()
        count = pipe.readinto(rest)
        if not count:
            raise EOFError
        rest = rest[count:]
    return buffer
