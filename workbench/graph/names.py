"""Entities to window ids and back."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.errors import UnknownNameError, UsageError
from workbench.given import names
from workbench.graph.keys import format_entities, format_entity, parse_entity, parse_keys
from workbench.graph.window import single

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["EntityIndex"]

_CANDIDATES = 2_000
_FEW = 1_000


class EntityIndex:
    """Finds entities in the window's sorted table by binary search.

    Args:
        entities: The window's ``entities``: sorted by type and key.
        declared: Entity types that exist even where the window has no entity of them.
    """

    def __init__(self, entities: pa.Table, declared: Iterable[str] = ()) -> None:
        types = single(entities["type"])
        self.types: tuple[str, ...] = tuple(types.dictionary.to_pylist())
        self.type_codes: NDArray[np.int32] = types.indices.to_numpy(zero_copy_only=False)
        self._starts = np.searchsorted(self.type_codes, np.arange(len(self.types) + 1))
        self._types = types
        self.known_types = frozenset(self.types) | frozenset(declared)
        self._arrow_keys = single(entities["key"])

    @cached_property
    def _keys(self) -> pl.Series:
        return pl.Series("key", self._arrow_keys)

    def rows_of(self, type: str) -> tuple[int, int]:  # noqa: A002  (the word of the specification)
        """Return the first window id of ``type`` and the one after its last.

        Raises:
            UnknownNameError: If there is no such type.
        """
        if not isinstance(type, str) or type not in self.known_types:  # type: ignore[redundant-expr]
            raise UnknownNameError("entity type", type, self.known_types, where="graph")
        if type not in self.types:
            return 0, 0
        code = self.types.index(type)
        return int(self._starts[code]), int(self._starts[code + 1])

    def ids(self, entities: str | Sequence[str]) -> NDArray[np.int32]:
        """Return the window ids of the entities, in their order, each once.

        Raises:
            UnknownNameError: If the window has no such entity or type; suggests near misses.
            UsageError: If one is not written ``type:key``, or none is given.
        """
        asked = names(entities)
        if not asked:
            raise UsageError("no entity was given.", fix="Give at least one, written type:key.")
        if len(asked) == 1:
            return np.array([self._id(*parse_entity(asked[0]))], dtype=np.int32)
        pairs = pl.DataFrame(
            [parse_entity(entity) for entity in asked], schema=["type", "key"], orient="row"
        ).unique(maintain_order=True)
        found = np.empty(pairs.height, dtype=np.int32)
        for type_ in pairs["type"].unique(maintain_order=True):
            places = (pairs["type"] == type_).to_numpy()
            found[places] = self._ids_of_type(type_, pairs["key"].filter(pl.Series(places)))
        return found

    def _id(self, type: str, key: str) -> int:  # noqa: A002  (the word of the specification)
        first, end = self.rows_of(type)
        keys = self._arrow_keys
        place = first + bisect_left(range(first, end), key, key=lambda place: keys[place].as_py())
        if place == end or keys[place].as_py() != key:
            raise self._unknown(type, key, self._keys[first:end])
        return place

    def _ids_of_type(self, type: str, keys: pl.Series) -> NDArray[np.int64]:  # noqa: A002  (the word of the specification)
        first, end = self.rows_of(type)
        known = self._keys[first:end]
        places = known.search_sorted(keys).to_numpy().astype(np.int64)
        if first == end:
            raise self._unknown(type, keys[0], known)
        missing = known.gather(np.minimum(places, len(known) - 1)) != keys
        if missing.any():
            raise self._unknown(type, keys.filter(missing)[0], known)
        return places + first

    def find(self, entities: pl.Series) -> NDArray[np.int32]:
        """Return the window id of each entity as it is written; -1 where the window has none."""
        # hashing is several times faster here than polars' sort of so many strings
        encoded = entities.to_arrow().dictionary_encode()
        distinct = pl.Series(encoded.dictionary, dtype=pl.String)
        types, keys = distinct.str.splitn(":", 2).struct.field("field_0"), parse_keys(distinct)
        found = np.full(len(distinct) + 1, -1, dtype=np.int32)  # the last: what is null
        for type_ in set(types) & set(self.types):
            first, end = self.rows_of(type_)
            rows = np.flatnonzero(types == type_)
            wanted, known = keys.gather(rows), self._keys[first:end]
            near = known.search_sorted(wanted).to_numpy().astype(np.int64)
            same = (known.gather(np.minimum(near, len(known) - 1)) == wanted).to_numpy()
            found[rows[same]] = near[same] + first
        places = encoded.indices.fill_null(len(distinct)).to_numpy()
        return np.asarray(found[places])

    def _unknown(self, type: str, key: str, known: pl.Series) -> UnknownNameError:  # noqa: A002  (the word of the specification)
        # A single wrong character leaves one half of the key as it was.
        half = max(len(key) // 2, 1)
        folded, lower = known.str.to_lowercase(), key.lower()
        alike = folded.str.starts_with(lower[:half]) | folded.str.ends_with(lower[-half:])
        pool = {name.lower(): name for name in known.filter(alike).head(_CANDIDATES)} if key else {}
        near = [pool[name] for name in difflib.get_close_matches(lower, pool, n=3)]
        fix = f"The window has {len(known):,} of type {type!r}; graph.nodes({type!r}) lists them."
        if near:
            fix = f"Did you mean {' or '.join(repr(format_entity(type, name)) for name in near)}?"
        names = [format_entity(type, name) for name in near]
        return UnknownNameError("entity", format_entity(type, key), names, where="graph", fix=fix)

    def entities(self, ids: NDArray[np.integer]) -> pa.Array:
        """Return the entities of window ids as they are written."""
        codes = self.type_codes[ids]
        if len(ids) <= _FEW:  # where a query of polars costs more than a loop
            keys = self._arrow_keys.take(pa.array(ids)).to_pylist()
            pairs = zip(codes.tolist(), keys, strict=True)
            return pa.array([format_entity(self.types[code], key) for code, key in pairs], pa.string())
        types = pl.Series(np.array(self.types, dtype=object)[codes], dtype=pl.String)
        return _strings(format_entities(types, self._keys.gather(ids)))

    def all_entities(self) -> pa.Array:
        """Return every entity as it is written, by window id."""
        return _strings(format_entities(pl.Series(self._types.cast("string")), self._keys))

    def counted(self, ids: NDArray[np.integer]) -> dict[str, int]:
        """Return how many of window ids are of each type."""
        counts = np.bincount(self.type_codes[ids], minlength=len(self.types)).tolist()
        return {name: count for name, count in zip(self.types, counts, strict=True) if count}

    def has_type(self, types: Iterable[str]) -> NDArray[np.bool_]:
        """Return for each window id whether its type is one of ``types``; unknown ones match none."""
        wanted = np.isin(np.array(self.types, dtype=object), list(types))
        return wanted[self.type_codes]


def _strings(series: pl.Series) -> pa.Array:
    return series.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string())
