"""What a column of the log holds: values, what decides between them, and how many cells are empty."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.samples.gaming.text import hexadecimal, mixed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

__all__ = [
    "Column",
    "Rows",
    "Sampler",
    "Values",
    "drawn",
    "hexes",
    "looked_up",
    "measured",
    "place_type",
    "words",
]

_BITS = 16  # of a mixed number decide what is drawn: what is rarer than 1 in 65,536 does not happen
_KEYS = 1 << _BITS
_SHIFT = np.uint64(64 - _BITS)


@dataclass(frozen=True)
class Values:
    """What may stand in a column.

    Attributes:
        texts: The values, null for an empty cell.
        weights: How often each is drawn, relative to the others.
        numeric: Whether they are numbers.
    """

    texts: pa.StringArray
    weights: NDArray[np.float64]
    numeric: bool = False


@dataclass(frozen=True)
class Column:
    """One column of one event type.

    Attributes:
        name: As the log spells it.
        values: What may stand in it.
        by: What decides: where ``direct`` a domain, whose codes are places in ``values``; else what
            the draw depends on, such as ``row``, ``visit`` or ``device``.
        direct: Whether values are looked up rather than drawn.
        share: How many of the rows have a value.
        per: What decides whether there is a value; by default ``by``, or ``row`` for what is looked up.
        when: A domain and those of its codes that have the column at all; by default every row has.
    """

    name: str
    values: Values
    by: str
    direct: bool = False
    share: float = 1.0
    per: str = ""
    when: tuple[str, frozenset[int]] | None = None


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of one event type.

    Attributes:
        codes: By domain, each row's code in it; -1 for none.
        numbers: By what a draw may depend on, each row's mixed 64-bit number.
    """

    codes: Mapping[str, NDArray[Any]]
    numbers: Mapping[str, NDArray[np.uint64]]


def words(text: str, *, fall: float = 0.7) -> Values:
    """Return the words of a text as values, each ``fall`` times as frequent as the one before it.

    >>> words("wifi 4g 3g").texts.to_pylist()
    ['wifi', '4g', '3g']
    """
    texts = text.split()
    return Values(pa.array(texts, pa.string()), np.power(fall, np.arange(len(texts))))


def measured(median: float, spread: float, *, digits: int = 0, count: int = 400) -> Values:
    """Return numbers of a log-normal distribution, written as programs do.

    Args:
        median: Half of them are below it.
        spread: Standard deviation of the logarithm.
        digits: Digits after the point; trailing zeros are left out.
        count: At most so many different numbers.

    >>> measured(100, 0.5, count=3).texts.to_pylist()
    ['62', '100', '162']
    """
    normal = NormalDist(0.0, spread)
    numbers = [median * math.exp(normal.inv_cdf((n + 0.5) / count)) for n in range(count)]
    found = Counter(f"{round(number, digits):.{digits}f}" for number in numbers)
    texts = [text.rstrip("0").rstrip(".") if digits else text for text in found]
    return Values(pa.array(texts, pa.string()), np.array([*found.values()], dtype=float), numeric=True)


def hexes(count: int, salt: int, *, digits: int = 16, prefix: str = "") -> Values:
    """Return identifiers of hexadecimal digits, all equally frequent.

    >>> hexes(2, 7, digits=4, prefix="t-").texts.to_pylist()
    ['t-3cab', 't-7585']
    """
    digit = pc.utf8_slice_codeunits(hexadecimal(mixed(np.arange(count), salt)), 0, digits)
    return Values(pc.binary_join_element_wise(prefix, digit, ""), np.ones(count))


def drawn(name: str, values: Values | str, by: str = "row", share: float = 1.0, **more: Any) -> Column:
    """Return a column whose values are drawn: equal ones for equal numbers of ``by``."""
    return Column(name, words(values) if isinstance(values, str) else values, by, share=share, **more)


def looked_up(
    name: str, by: str, texts: Iterable[str] | pa.StringArray, share: float = 1.0, **more: Any
) -> Column:
    """Return a column that says in words what the domain ``by`` has codes for; no word is an empty cell."""
    known = texts if isinstance(texts, pa.Array) else pa.array([text or None for text in texts], pa.string())
    return Column(name, Values(known, np.ones(len(known))), by, direct=True, share=share, **more)


class Sampler:
    """Gives each row its place among a column's different values, or -1 where it has none.

    A draw takes 16 bits of a mixed number times an odd number of the column's own and looks them up
    in a table, so that a cell costs a multiplication and a look-up, however many values there are.

    Args:
        column: What the column holds; its name makes its draws independent of other columns'.

    Attributes:
        texts: The column's values, each once: a Parquet dictionary holds no value twice.
    """

    def __init__(self, column: Column) -> None:
        salt = int.from_bytes(hashlib.sha256(column.name.encode()).digest()[:8], "little", signed=True)
        self._by, self._direct, self._when = column.by, column.direct, column.when
        self._factor, self._other = mixed(np.array([salt, ~salt])) | np.uint64(1)
        per = column.per or ("row" if column.direct else column.by)
        apart = column.share < 1 and (column.direct or per != column.by)
        self._per = per if apart else ""
        self._limit = np.uint16(round(column.share * (_KEYS - 1)))
        known = column.values.texts.drop_null()
        self.texts = known if len(known.unique()) == len(known) else known.unique()
        place = pc.fill_null(pc.index_in(column.values.texts, self.texts, skip_nulls=True), -1).to_numpy()
        place = place.astype(place_type(len(place)))
        if column.direct:
            self._table = np.append(place, place.dtype.type(-1))  # the code -1 finds the last
        else:
            drawn = _ladder(column.values.weights, 1.0 if apart else column.share)
            self._table = np.append(place, place.dtype.type(-1))[drawn]
        self._exists = np.zeros(0, dtype=bool)
        if column.when is not None:
            self._exists = np.isin(np.arange(max(column.when[1]) + 2), list(column.when[1]))

    def places(self, rows: Rows) -> NDArray[Any]:
        """Return each row's place in the column's values, -1 for an empty cell."""
        places: NDArray[Any]
        if self._direct:
            places = self._table[rows.codes[self._by]]
        else:
            places = self._table[_key(rows.numbers[self._by], self._factor)]
        if self._per:
            places[_key(rows.numbers[self._per], self._other) >= self._limit] = -1
        if self._when is not None:
            codes = np.minimum(rows.codes[self._when[0]], len(self._exists) - 1)
            places[~self._exists[codes]] = -1
        return places


def place_type(size: int) -> type[np.signedinteger[Any]]:
    """Return the type of places among ``size`` values."""
    return np.int16 if size <= np.iinfo(np.int16).max else np.int32


def _key(numbers: NDArray[np.uint64], factor: np.uint64) -> NDArray[np.uint16]:
    """Return 16 bits of each number times ``factor``, as good as independent for every odd factor."""
    return (numbers * factor >> _SHIFT).astype(np.uint16)


def _ladder(weights: NDArray[np.float64], share: float) -> NDArray[np.int16]:
    """Return a place for each 16-bit key, in proportion to the weights; -1 for all but ``share`` of them."""
    bounds = np.cumsum(weights)
    bounds *= share / bounds[-1]
    places = np.searchsorted(bounds, (np.arange(_KEYS) + 0.5) / _KEYS).astype(np.int16)
    places[places >= len(weights)] = -1
    return places
