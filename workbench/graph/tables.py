"""Window ids and edge rows to the Arrow tables that results are made of."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from workbench.graph.names import EntityIndex
    from workbench.graph.window import Window

__all__ = ["GraphTables"]

_NODE_COLUMNS = ["type", "key", "label", "sightings", "first_seen", "last_seen"]
_EDGE_COLUMNS = ["type", "weight", "first_seen", "last_seen"]


class GraphTables:
    """Makes result tables of a window; internal ids never appear in them.

    Args:
        window: The window graph.
        index: The names of its entities.
        labels: For each entity type the property that names an entity for people.
    """

    def __init__(self, window: Window, index: EntityIndex, labels: Mapping[str, str]) -> None:
        self._window = window
        self._index = index
        self._label_properties = labels

    def nodes(self, ids: NDArray[Any], **extra: NDArray[Any]) -> pa.Table:
        """Return ``entity``, ``type``, ``key``, ``label``, ``sightings``, times and extra columns."""
        written = self._index.entities(ids)
        rows = (
            self._window.entities.append_column("label", self._labels)
            .select(_NODE_COLUMNS)
            .take(pa.array(ids))
        )
        table = rows.add_column(0, "entity", written)
        for name, values in extra.items():
            table = table.append_column(name, pa.array(values))
        return table

    def edges(self, rows: NDArray[Any], ids: NDArray[Any], written: pa.ChunkedArray) -> pa.Table:
        """Return edges by row, between entities ``ids`` that are written ``written``."""
        picked = self._window.edges.take(pa.array(rows))
        names = written.combine_chunks()
        # of those that are no ends, nothing is written or read
        places = np.empty(len(self._index.type_codes), dtype=np.int32)
        places[ids] = np.arange(len(ids), dtype=np.int32)
        ends = {end: places[picked[end].to_numpy()] for end in ("source", "target")}
        return self._named(picked, ends, names)

    @cached_property
    def all_edges(self) -> pa.Table:
        """Return every edge of the window."""
        edges = self._window.edges
        ends = {end: edges[end].to_numpy() for end in ("source", "target")}
        return self._named(edges, ends, self._index.all_entities())

    @staticmethod
    def _named(edges: pa.Table, ends: dict[str, NDArray[Any]], names: pa.Array) -> pa.Table:
        columns = {
            end: pa.DictionaryArray.from_arrays(pa.array(positions.astype(np.int32, copy=False)), names)
            for end, positions in ends.items()
        }
        more = [name for name in (*_EDGE_COLUMNS, "computed") if name in edges.column_names]
        return pa.table({**columns, **{name: edges[name] for name in more}})

    def node(self, node: int) -> dict[str, Any]:
        """Return one entity's row with ``segments`` and its properties by name."""
        owners = self._window.properties["node"].to_numpy()
        first, end = np.searchsorted(owners, [node, node + 1])
        rows = self._window.properties.slice(first, end - first).drop_columns(["node"]).to_pylist()
        found: dict[str, Any] = self.nodes(np.array([node])).to_pylist()[0]
        found["segments"] = self._window.entities["segments"][node].as_py()
        found["properties"] = {row.pop("name"): row for row in rows}
        return found

    def counts(self, kind: Literal["entities", "edges"]) -> dict[str, int]:
        """Return the number of entities or edges by type."""
        table: pa.Table = getattr(self._window, kind)
        counted = pc.value_counts(table["type"].combine_chunks()).to_pylist()
        return {row["values"]: row["counts"] for row in sorted(counted, key=lambda row: str(row["values"]))}

    @cached_property
    def _labels(self) -> pa.ChunkedArray:
        """The label of each entity, null where there is none."""
        properties = self._window.properties
        owners = properties["node"].to_numpy()
        names = properties["name"].combine_chunks()
        known = names.dictionary.to_pylist()
        # The property that labels a type, as a code for each of the index's types; -1 for none.
        wanted = [self._label_properties.get(type_, "") for type_ in self._index.types]
        codes = np.array([known.index(name) if name in known else -1 for name in wanted], dtype=np.int32)
        labels = np.flatnonzero(
            names.indices.to_numpy(zero_copy_only=False) == codes[self._index.type_codes[owners]]
        )
        places = np.full(self._window.entities.num_rows, -1, dtype=np.int64)
        places[owners[labels]] = labels
        return properties["value"].take(pa.array(places, mask=places < 0))
