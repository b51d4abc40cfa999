"""Nodes and edges to the graph libraries and files of the field."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

if TYPE_CHECKING:
    from pathlib import Path

    import igraph
    import networkx as nx
    import pyarrow as pa

__all__ = ["to_graphml", "to_igraph", "to_networkx"]

# Characters that XML 1.0 cannot hold, not even escaped (W3C XML 1.0, production 2).
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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

    ends = [
        pc.index_in(edges[end].cast("string"), nodes["entity"]).to_numpy() for end in ("source", "target")
    ]
    names = {"name" if column == "entity" else column: column for column in nodes.column_names}
    return igraph.Graph(
        n=nodes.num_rows,
        edges=np.column_stack(ends).tolist(),
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
    nx.write_graphml_xml(graph, path)


def _xml(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return _NOT_XML.sub("\ufffd", value) if isinstance(value, str) else value
