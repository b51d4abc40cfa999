"""Nodes and edges to the graph libraries and files of the field."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.errors import DriverUnavailableError, UsageError

if TYPE_CHECKING:
    import cudf
    import cugraph
    import igraph
    import networkx as nx
    from numpy.typing import NDArray

__all__ = ["Exports", "to_cugraph", "to_graphml", "to_igraph", "to_networkx"]

# Characters that XML 1.0 cannot hold, not even escaped (W3C XML 1.0, production 2).
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Exports:
    """What a graph of nodes and edges can be turned into."""

    def _exported(self) -> tuple[pa.Table, pa.Table]:
        """Return the nodes and the edges."""
        raise NotImplementedError

    def to_networkx(self) -> nx.MultiDiGraph:
        """Return a networkx graph whose nodes are called ``type:key`` and whose edge keys are types."""
        return to_networkx(*self._exported())

    def to_igraph(self) -> igraph.Graph:
        """Return a directed igraph graph whose vertices have ``type:key`` as ``name``."""
        return to_igraph(*self._exported())

    def to_graphml(self, path: str | Path) -> None:
        """Write a GraphML file; see :func:`workbench.graph.export.to_graphml`."""
        to_graphml(*self._exported(), path)

    def to_cugraph(self) -> tuple[cugraph.Graph, cudf.Series]:
        """Return a directed cuGraph graph and the ``type:key`` of each of its vertices, which are numbers.

        Edges of several types between two entities are one edge with the sum of their weights.

        Raises:
            DriverUnavailableError: If RAPIDS is not installed; it needs a GPU.
        """
        return to_cugraph(*self._exported())


def to_networkx(nodes: pa.Table, edges: pa.Table) -> nx.MultiDiGraph:
    """Return a networkx graph with ``type:key`` as nodes and the other columns as attributes.

    The key of an edge is its type, so that parallel edges of several types stay apart.
    """
    import networkx as nx  # noqa: PLC0415  (kept out of start-up)

    graph = nx.MultiDiGraph()
    graph.add_nodes_from((row.pop("entity"), row) for row in nodes.to_pylist())
    graph.add_edges_from(
        (row.pop("source"), row.pop("target"), row["type"], row) for row in edges.to_pylist()
    )
    return graph


def to_igraph(nodes: pa.Table, edges: pa.Table) -> igraph.Graph:
    """Return a directed igraph graph with ``type:key`` as ``name`` and the other columns as attributes."""
    import igraph  # noqa: PLC0415  (kept out of start-up)

    names = {"name" if column == "entity" else column: column for column in nodes.column_names}
    return igraph.Graph(
        n=nodes.num_rows,
        edges=np.column_stack(_ends(nodes, edges)),
        directed=True,
        vertex_attrs={name: nodes[column].to_pylist() for name, column in names.items()},
        edge_attrs={
            column: edges[column].to_pylist()
            for column in edges.column_names
            if column not in ("source", "target")
        },
    )


def to_graphml(nodes: pa.Table, edges: pa.Table, path: str | Path) -> None:
    """Write a GraphML file that every XML parser reads.

    Times are written as ISO 8601, a missing value is left out, and a character that XML cannot hold
    becomes U+FFFD; the names of the nodes are percent-escaped and so never change.

    Raises:
        UsageError: If it cannot be written there.
    """
    import networkx as nx  # noqa: PLC0415  (kept out of start-up)

    graph = to_networkx(nodes, edges)
    for attributes in (
        *(data for _, data in graph.nodes(data=True)),
        *(data for _, _, data in graph.edges(data=True)),
    ):
        written = {name: _xml(value) for name, value in attributes.items() if value is not None}
        attributes.clear()
        attributes.update(written)
    target = Path(path).expanduser()
    try:
        nx.write_graphml_xml(graph, target)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}.", where=str(target)) from error


def to_cugraph(nodes: pa.Table, edges: pa.Table) -> tuple[cugraph.Graph, cudf.Series]:
    """Return a directed cuGraph graph, its vertices numbered in the order of nodes, and their names.

    Its calls are checked against the signatures in the libraries' wheels, as those of the GPU backend are.

    Raises:
        DriverUnavailableError: If RAPIDS is not installed.
    """
    try:
        import cudf  # noqa: PLC0415  (kept out of start-up)
        import cugraph  # noqa: PLC0415  (kept out of start-up)
    except ImportError as error:
        raise DriverUnavailableError(
            f"cuGraph does not load: {error}.", fix="Install the extra 'gpu' on a machine with a GPU."
        ) from error
    source, target = _ends(nodes, edges)
    weight = edges["weight"].cast("float64")
    table: pa.Table = pa.table({"source": source, "target": target, "weight": weight})
    # cuGraph would keep one of the parallel edges
    pairs = table.group_by(["source", "target"]).aggregate([("weight", "sum")])
    graph: cugraph.Graph = cugraph.Graph(directed=True)
    graph.from_cudf_edgelist(
        cudf.DataFrame.from_arrow(pairs),
        source="source",
        destination="target",
        weight="weight_sum",
        vertices=cudf.Series(np.arange(nodes.num_rows, dtype=np.int32)),
    )
    return graph, cudf.Series(nodes["entity"])


def _ends(nodes: pa.Table, edges: pa.Table) -> list[NDArray[np.int32]]:
    """Return the sources and the targets of edges as rows of nodes."""
    found = []
    for end in ("source", "target"):
        column = edges[end].combine_chunks() if edges[end].num_chunks != 1 else edges[end].chunk(0)
        # each name once, not once an edge
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        rows = pc.index_in(column.dictionary, nodes["entity"])
        found.append(rows.take(column.indices).to_numpy(zero_copy_only=False))
    return found


def _xml(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return _NOT_XML.sub("\ufffd", value) if isinstance(value, str) else value
