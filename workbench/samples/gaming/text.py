"""Text of whole columns by arithmetic on bytes: what differs in every row and no dictionary would hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["hexadecimal", "iso_times", "mixed"]

_DAY_MS = 86_400_000
_HEX = np.frombuffer("".join(f"{n:02x}" for n in range(256)).encode(), dtype=np.uint16)
_MINUTES = np.array([f"T{n // 60:02d}:{n % 60:02d}:".encode() for n in range(1440)])
_SECONDS = np.array([f"{n:02d}.".encode() for n in range(60)])
_MILLIS = np.array([f"{n:03d}Z".encode() for n in range(1000)])


def mixed(numbers: NDArray[Any], salt: int = 0) -> NDArray[np.uint64]:
    """Return a well mixed 64-bit number for each number: equal ones for equal ones (splitmix64).

    >>> mixed(np.array([0, 1, 1])).tolist()
    [16294208416658607535, 10451216379200822465, 10451216379200822465]
    """
    z = numbers.astype(np.uint64) + np.uint64((0x9E3779B97F4A7C15 * (salt + 1)) & 0xFFFFFFFFFFFFFFFF)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def hexadecimal(numbers: NDArray[np.uint64]) -> pa.StringArray:
    """Return each number as 16 hexadecimal digits, its bytes in the order of memory.

    >>> hexadecimal(np.array([255, 1 << 56], dtype=np.uint64)).to_pylist()
    ['ff00000000000000', '0000000000000001']
    """
    return _fixed_width(_HEX[np.ascontiguousarray(numbers, dtype="<u8").view(np.uint8)].view(np.uint8), 16)


def iso_times(microseconds: NDArray[np.int64]) -> pa.StringArray:
    """Return times (microseconds since 1970, UTC) as ISO 8601 with milliseconds, the rest cut off.

    >>> iso_times(np.array([1_749_722_400_123_999])).to_pylist()
    ['2025-06-12T10:00:00.123Z']
    """
    days, within = np.divmod(microseconds // 1000, _DAY_MS)
    seconds, millis = np.divmod(within.astype(np.int32), np.int32(1000))
    minutes, seconds = np.divmod(seconds, np.int32(60))
    first, last = (int(days.min()), int(days.max())) if len(days) else (0, 0)
    dates = np.arange(first, last + 1).astype("datetime64[D]").astype("S10")
    text = np.empty(len(days), dtype=[("date", "S10"), ("minute", "S7"), ("second", "S3"), ("milli", "S4")])
    text["date"] = dates[days - first]
    text["minute"] = _MINUTES[minutes]
    text["second"] = _SECONDS[seconds]
    text["milli"] = _MILLIS[millis]
    return _fixed_width(text.view(np.uint8), 24)


def _fixed_width(text: NDArray[np.uint8], width: int) -> pa.StringArray:
    number = len(text) // width
    offsets = np.arange(number + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(number, pa.py_buffer(offsets), pa.py_buffer(text))
