"""Times as most logs spell them, ``2025-06-12T08:30:00.125Z``, read by their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["exact_times"]

_SPELLING = b"0000-00-00T00:00:00.000Z"
_SHAPE = np.frombuffer(_SPELLING, dtype=np.uint8)
_DIGITS = [place for place, letter in enumerate(_SPELLING) if letter == ord("0")]
_SIGNS = [place for place, letter in enumerate(_SPELLING) if letter != ord("0")]
_DAY_MS = 86_400_000
# what of a text is checked as a whole before its days are counted: part, first and last value
_LIMITS = {"month": (1, 12), "hour": (0, 23), "minute": (0, 59), "second": (0, 59), "millisecond": (1, 999)}
_PARTS = {
    "year": slice(0, 4),
    "month": slice(4, 6),
    "day": slice(6, 8),
    "hour": slice(8, 10),
    "minute": slice(10, 12),
    "second": slice(12, 14),
    "millisecond": slice(14, 17),
}


def exact_times(text: pl.Series) -> pl.Series:
    """Return the times of what is spelled to the millisecond in UTC, and null for any other spelling.

    Each time that comes back gives its text back (:func:`~workbench.partials.types.canonical_text`),
    which is why a fraction of ``.000`` is another spelling.

    >>> exact_times(pl.Series(["2025-06-12T08:30:00.125Z", "2025-06-12", None])).is_not_null().to_list()
    [True, False, False]
    """
    places = (text.str.len_bytes() == len(_SHAPE)).arg_true()
    array = text.gather(places).rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    offset, end = array.offset * len(_SHAPE), (array.offset + len(array)) * len(_SHAPE)
    data = array.buffers()[2] if len(array) else b""
    letters = np.frombuffer(data, dtype=np.uint8)[offset:end].reshape(-1, len(_SHAPE))
    values, good = _read(letters)
    times = np.full(len(text), np.datetime64("NaT"), dtype="datetime64[us]")
    rows = places.to_numpy()[good]
    times[rows] = values[good]
    return pl.Series(text.name, times, nan_to_null=True).dt.replace_time_zone("UTC")


def _read(letters: NDArray[np.uint8]) -> tuple[NDArray[np.datetime64], NDArray[np.bool_]]:
    """Return the times that rows of letters spell, and which rows spell one."""
    digits = letters[:, _DIGITS] - np.uint8(ord("0"))
    good = (digits < 10).all(axis=1) & (letters[:, _SIGNS] == _SHAPE[_SIGNS]).all(axis=1)
    part = {name: _number(digits[:, where]) for name, where in _PARTS.items()}
    for name, (low, high) in _LIMITS.items():
        good &= (part[name] >= low) & (part[name] <= high)
    months = ((part["year"] - 1970) * 12 + part["month"] - 1).astype("datetime64[M]")
    first = months.astype("datetime64[D]")
    good &= (part["day"] >= 1) & (part["day"] <= ((months + 1).astype("datetime64[D]") - first).astype(int))
    clock = ((part["hour"] * 60 + part["minute"]) * 60 + part["second"]) * 1000 + part["millisecond"]
    days = first.astype(np.int64) + part["day"] - 1
    return ((days * _DAY_MS + clock) * 1000).astype("datetime64[us]"), good


def _number(digits: NDArray[np.uint8]) -> NDArray[np.int64]:
    total = digits[:, 0].astype(np.int64)
    for place in range(1, digits.shape[1]):
        total = total * 10 + digits[:, place]
    return total
