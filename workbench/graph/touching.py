"""The edges that touch one node, heaviest first; of a hub, names are made for those alone that are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.graph.names import EntityIndex
    from workbench.graph.traversal import Adjacency
    from workbench.graph.window import Window

__all__ = ["Touching", "heaviest_first"]

_KEY_BITS = 62  # of a whole number, less its sign and a direction


@dataclass(frozen=True)
class Touching:
    """The edges that touch a node, heaviest first, then by type and other end.

    Attributes:
        window: The window graph.
        index: The names of its entities.
        rows: The edges' rows.
        far: The node at the other end of each.
        out: Whether each leads away.
    """

    window: Window
    index: EntityIndex
    rows: NDArray[np.int32]
    far: NDArray[np.int32]
    out: NDArray[np.bool_]

    @classmethod
    def of(cls, window: Window, index: EntityIndex, adjacency: Adjacency, node: int) -> Touching:
        """Return the edges of a node; one that leads to itself stands once, as leading away."""
        parts = []
        for side in (adjacency.out, adjacency.into):
            entries = slice(int(side.indptr[node]), int(side.indptr[node + 1]))
            parts.append((side.rows[entries], side.far[entries]))
        rows, far = (np.concatenate(ends) for ends in zip(*parts, strict=True))
        out = np.arange(len(rows)) < len(parts[0][0])
        keep = out | (far != node)
        rows, far, out = rows[keep], far[keep], out[keep]
        weight = window.edges["weight"].to_numpy()[rows]
        order = heaviest_first(weight, window.edge_codes[rows], far, ~out)
        return cls(window, index, rows[order], far[order], out[order])

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.rows)

    @cached_property
    def entities(self) -> int:
        """Return how many entities are at the other ends."""
        met = np.zeros(self.window.entities.num_rows, dtype=bool)
        met[self.far] = True
        return int(np.count_nonzero(met))

    def heaviest(self, limit: int) -> pa.Table:
        """Return the first of them.

        Returns:
            ``entity`` (the other end), ``edge``, ``direction``, ``weight``, ``first_seen``, ``last_seen``.
        """
        return self._table(np.arange(min(limit, len(self))))

    def by_type(self, limit: int) -> pa.Table:
        """Return the first of each type and direction.

        Returns:
            The columns of :meth:`heaviest`, ``edges`` (how many there are of that type and direction) and
            ``total`` (their weight).
        """
        codes = self.window.edge_codes[self.rows] * 2 + ~self.out
        # numpy sorts 16 bits by radix
        order = np.argsort(
            codes.astype(np.int16 if codes.max(initial=0) < 2**15 else np.int32), kind="stable"
        )
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        counts = np.diff(starts, append=len(order))
        place = np.arange(len(order)) - np.repeat(starts, counts)
        kept = np.sort(order[place < limit])
        weight = self.window.edges["weight"].to_numpy()[self.rows]
        group = np.searchsorted(codes[order][starts], codes[kept])
        totals = np.add.reduceat(weight[order], starts) if len(starts) else weight
        table = self._table(kept).append_column("edges", pa.array(counts[group]))
        return table.append_column("total", pa.array(totals[group]))

    def _table(self, places: NDArray[np.int64]) -> pa.Table:
        edges = self.window.edges.take(pa.array(self.rows[places]))
        ways = pa.DictionaryArray.from_arrays(pa.array(~self.out[places], pa.int8()), ["out", "in"])
        return pa.table(
            {
                "entity": self.index.entities(self.far[places]),
                "edge": edges["type"].cast(pa.string()),
                "direction": ways.cast(pa.string()),
                **{name: edges[name] for name in ("weight", "first_seen", "last_seen")},
            }
        )


def heaviest_first(
    weight: NDArray[np.number], kind: NDArray[np.int32], far: NDArray[np.int32], into: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """Return the order by weight, then by type, other end and direction."""
    bits = [int(numbers.max(initial=0)).bit_length() for numbers in (weight, kind, far)]
    if weight.dtype.kind != "i" or sum(bits) > _KEY_BITS:
        return np.lexsort((into, far, kind, -weight))
    # one number is sorted in a fifth of the time that four are
    key = weight.max(initial=0) - weight.astype(np.int64)
    for numbers, width in ((kind, bits[1]), (far, bits[2]), (into, 1)):
        key = (key << width) | numbers
    return np.argsort(key)
