"""What segments sum up to, from their partials: all of them on top of each other, grouped at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.graph.ranges import Ties, edges_of
from workbench.graph.sums import NEVER, NOT_YET, VALUES, Counted, Sum, find, recoded
from workbench.partials.shapes import EDGES, ENTITIES, PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["coded", "moments", "sum_of"]


def sum_of(parts: Iterable[tuple[str, Mapping[str, pa.Table]]], *, include_test: bool = False) -> Sum:
    """Return what segments sum up to; it depends on the set of parts, not on their order.

    Args:
        parts: A segment's name with its ``entities``, ``edges`` and ``properties`` partials (the schemas
            of :mod:`workbench.partials.shapes`). They are taken one by one, and not kept as they are.
        include_test: Also sum the rows of test accounts.

    Raises:
        UsageError: If there are more entities than an edge key can hold (about 700 million).
    """
    found, ties, values = [], [], []
    for segment, part in parts:
        found.append(_Entities.of(segment, part["entities"], include_test=include_test))
        ties.append(_ties(part["edges"]))
        values.append(_values(part["properties"]))
    types, type_codes = _numbered([one.types for one in found])
    kinds, kind_codes = _numbered([one.kinds for one in ties])
    names, name_codes = _numbered([one.names for one in values])
    nodes = _Nodes.of(found, type_codes)
    segments = [one.segment for one in found]
    return Sum(
        types=types,
        kinds=kinds,
        names=names,
        type=nodes.type,
        key=nodes.key,
        nodes=nodes.counted(found),
        segments=nodes.segments(segments),
        **_summed(ties, nodes, kind_codes, len(kinds)),
        values=_merged_values(values, nodes.places, name_codes),
        places=dict(zip(segments, nodes.places, strict=True)),
    )


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    return table.select(schema.names).cast(schema)


def _numbered(parts: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], list[NDArray[np.int32]]]:
    """Return all names, sorted, and for each part where its names stand among them."""
    names = tuple(sorted(set().union(*parts)))
    places = {name: place for place, name in enumerate(names)}
    return names, [np.array([places[name] for name in part], np.int32) for part in parts]


def coded(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Return a column of names as positions in the sorted list of its names, and that list."""
    array = column.unify_dictionaries().combine_chunks()
    found = array.dictionary.to_pylist()
    names = sorted(found)
    ranks = np.array([names.index(name) for name in found], dtype=np.int32)
    codes = ranks[array.indices.to_numpy(zero_copy_only=False)] if found else np.empty(0, np.int32)
    return codes, tuple(names)


def moments(column: pa.ChunkedArray, nothing: int) -> NDArray[np.int64]:
    """Return times in microseconds since 1970, and ``nothing`` where there is none."""
    numbers = column.cast(pa.int64())
    found: NDArray[np.int64] = (numbers.fill_null(nothing) if column.null_count else numbers).to_numpy()
    return found


@dataclass(frozen=True, eq=False)
class _Entities:
    """The entities of a segment; ``counts`` says which rows do."""

    segment: str
    types: tuple[str, ...]
    type: NDArray[np.int32]
    key: pa.ChunkedArray
    counts: NDArray[np.bool_]
    nodes: Counted

    @classmethod
    def of(cls, segment: str, table: pa.Table, *, include_test: bool) -> _Entities:
        table = _conform(table, ENTITIES)
        codes, types = coded(table["type"])
        test = table["is_test"].to_numpy()
        return cls(
            segment,
            types,
            codes,
            table["key"],
            np.ones(len(test), bool) if include_test else ~test,
            Counted(
                table["sightings"].to_numpy(),
                moments(table["first_seen"], NEVER),
                moments(table["last_seen"], NOT_YET),
            ),
        )


@dataclass(frozen=True, eq=False)
class _Nodes:
    """The entities of all segments, each once, sorted by type and key.

    ``places`` are the node of each row of each segment's entities; -1 for what does not count.
    """

    type: NDArray[np.int32]
    key: pl.Series
    places: list[NDArray[np.int32]]

    @classmethod
    def of(cls, parts: Sequence[_Entities], codes: Sequence[NDArray[np.int32]]) -> _Nodes:
        texts, ranks = _ranked([part.key for part in parts])
        numbers = [
            code[part.type].astype(np.int64) * len(texts) + rank
            for part, code, rank in zip(parts, codes, ranks, strict=True)
        ]
        counting = (n[part.counts] for part, n in zip(parts, numbers, strict=True))
        known = np.sort(np.concatenate([np.empty(0, np.int64), *counting]))
        known = known[np.diff(known, prepend=-1) > 0]
        places = []
        for part, wanted in zip(parts, numbers, strict=True):
            rows, _ = find(known, wanted)
            places.append(np.where(part.counts, rows, -1).astype(np.int32))
        type_, text = np.divmod(known, max(len(texts), 1))
        return cls(type_.astype(np.int32), texts.gather(text), places)

    def __len__(self) -> int:
        return len(self.type)

    def counted(self, parts: Sequence[_Entities]) -> Counted:
        whole = Counted(np.zeros(len(self), np.int64), np.full(len(self), NEVER), np.full(len(self), NOT_YET))
        for part, places in zip(parts, self.places, strict=True):
            nodes, seen = places[part.counts], part.nodes.at(part.counts)
            # an entity stands twice in a segment if test accounts count
            np.add.at(whole.count, nodes, seen.count)
            np.minimum.at(whole.first, nodes, seen.first)
            np.maximum.at(whole.last, nodes, seen.last)
        return whole

    def segments(self, names: Sequence[str]) -> NDArray[np.int32]:
        """Return in how many segments each node was seen."""
        seen = np.zeros(len(self), np.int32)
        for name in sorted(set(names)):
            here = np.zeros(len(self) + 1, bool)  # what does not count is in the last place
            for other, places in zip(names, self.places, strict=True):
                if other == name:
                    here[places] = True
            seen += here[:-1]
        return seen


def _ranked(parts: Sequence[pa.ChunkedArray]) -> tuple[pl.Series, list[NDArray[np.int64]]]:
    """Return all texts, each once and sorted, and for each part the place of each of its texts."""
    chunks = [chunk for part in parts for chunk in part.chunks]
    encoded = pa.chunked_array(chunks, pa.string()).dictionary_encode()
    if not encoded.num_chunks:
        return pl.Series(dtype=pl.String()), [np.empty(0, np.int64) for _ in parts]
    texts = pl.Series(encoded.chunk(encoded.num_chunks - 1).dictionary)  # one for all
    order = texts.arg_sort().to_numpy()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    ranks = np.concatenate([rank[chunk.indices.to_numpy()] for chunk in encoded.chunks])
    return texts.gather(order), np.split(ranks, np.cumsum([len(part) for part in parts])[:-1])


@dataclass(frozen=True, eq=False)
class _Ties:
    kinds: tuple[str, ...]
    rows: Ties


def _ties(table: pa.Table) -> _Ties:
    """Return the edges of a segment between rows of its entities, in as few bytes as they need."""
    table = _conform(table, EDGES)
    kind, kinds = coded(table["type"])
    weight = table["weight"].to_numpy()
    small = len(weight) and weight.max() <= np.iinfo(np.int32).max
    return _Ties(
        kinds,
        Ties(
            table["source"].to_numpy(),
            table["target"].to_numpy(),
            kind.astype(np.min_scalar_type(len(kinds))),
            weight.astype(np.int32) if small else weight,
            moments(table["first_seen"], NEVER),
            moments(table["last_seen"], NOT_YET),
        ),
    )


def _summed(
    ties: list[_Ties], nodes: _Nodes, codes: Sequence[NDArray[np.int32]], kinds: int
) -> dict[str, Any]:
    """Return the edges of a sum; what they are made of is let go."""
    placed = []
    for places, code in zip(reversed(nodes.places), reversed(codes), strict=True):
        rows = ties.pop().rows
        source, target = places[rows.source], places[rows.target]
        kind = code.astype(np.min_scalar_type(kinds))[rows.kind]
        rows = Ties(source, target, kind, rows.weight, rows.first, rows.last)
        counts = (source >= 0) & (target >= 0)
        placed.append(rows if counts.all() else rows.at(counts))
    edges = edges_of(placed, len(nodes), kinds)
    return {"source": edges.source, "target": edges.target, "kind": edges.kind, "edges": edges.counted}


@dataclass(frozen=True, eq=False)
class _Values:
    names: tuple[str, ...]
    rows: pl.DataFrame


def _values(table: pa.Table) -> _Values:
    table = _conform(table, PROPERTIES)
    codes, names = coded(table["name"])
    at = pl.col("last_seen").to_physical().alias("at")
    return _Values(
        names,
        pl.DataFrame(table.drop_columns(["name"])).select(
            "node", pl.Series("name", codes), "value", "sightings", at
        ),
    )


def _merged_values(
    parts: Sequence[_Values], places: Sequence[NDArray[np.int32]], codes: Sequence[NDArray[np.int32]]
) -> pl.DataFrame:
    placed = [recoded(part.rows, p, code) for part, p, code in zip(parts, places, codes, strict=True)]
    return (
        pl.concat([pl.DataFrame(schema=VALUES), *placed])
        .filter(pl.col("node") >= 0)
        .group_by("node", "name", "value")
        .agg(pl.col("sightings").sum(), pl.col("at").max())
        .sort("node", "name", "value")
        .select(*VALUES)
        .cast(VALUES)
    )
