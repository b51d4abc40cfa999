"""Rows to Arrow: a dictionary array for each column, made without hashing a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.samples.gaming.columns import Sampler, place_type
from workbench.samples.gaming.dirt import BLANKED, SENT_EMPTY, nothing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.samples.gaming.columns import Column, Rows
    from workbench.samples.gaming.dirt import Dirt

__all__ = ["Encoder"]

_LARGE = 5_000  # values: of a larger dictionary only what is used is written


class Encoder:
    """Makes the cells of one column.

    Args:
        column: What the column holds.
        dirty: Whether some cells are written wrongly.
    """

    def __init__(self, column: Column, *, dirty: bool) -> None:
        self.name = column.name
        self._sampler = Sampler(column)
        texts = self._sampler.texts
        self._size = len(texts)
        self._blanked = dirty and column.name in BLANKED
        self._unfilled = dirty and column.share >= SENT_EMPTY and column.when is None
        parts = [texts]
        if self._blanked:
            parts.append(pc.binary_join_element_wise(texts, "", " "))
        self._words = sum(map(len, parts))
        if self._unfilled:
            parts.append(pa.array(nothing(numeric=column.values.numeric), pa.string()))
        self._dictionary = pa.concat_arrays(parts)
        self._type = place_type(len(self._dictionary))

    def encode(self, rows: Rows, dirt: Dirt) -> pa.DictionaryArray:
        """Return the column's cells of some rows."""
        places = self._sampler.places(rows).astype(self._type, copy=False)
        if self._blanked:
            filled = dirt.blank[places[dirt.blank] >= 0]
            places[filled] += self._type(self._size)
        if self._unfilled:
            empty = places[dirt.unfilled] < 0
            places[dirt.unfilled[empty]] = self._words + dirt.word[empty]
        if self._size > _LARGE:
            return _dictionary_array(*_compacted(places, self._dictionary))
        return _dictionary_array(places, self._dictionary)


def _compacted(places: NDArray[Any], dictionary: pa.StringArray) -> tuple[NDArray[Any], pa.StringArray]:
    """Return the same cells with a dictionary of the values that occur."""
    occurs = np.zeros(len(dictionary) + 1, dtype=bool)
    occurs[places] = True  # -1 marks the last, which is no value
    used = np.flatnonzero(occurs[:-1])
    moved = np.full(len(occurs), -1, dtype=np.int32)
    moved[used] = np.arange(len(used))
    return moved[places], dictionary.take(pa.array(used))


def _dictionary_array(places: NDArray[Any], dictionary: pa.StringArray) -> pa.DictionaryArray:
    """Return an array of the values at ``places``, null at -1, without checking or copying them."""
    valid = places >= 0
    nulls = len(places) - int(np.count_nonzero(valid))
    bitmap = pa.py_buffer(np.packbits(valid, bitorder="little")) if nulls else None
    kind = pa.from_numpy_dtype(places.dtype)
    indices = pa.Array.from_buffers(kind, len(places), [bitmap, pa.py_buffer(places)], null_count=nulls)
    return pa.DictionaryArray.from_arrays(indices, dictionary, safe=False)
