"""The backend ``workbench`` of networkx: ``nx.pagerank(g, backend="workbench")`` runs on our kernels.

networkx finds it by the entry points ``networkx.backends`` and ``networkx.backend_info``. This module is
loaded whenever networkx is imported, so it imports nothing.
"""

from __future__ import annotations

__all__ = ["get_info"]

_DOCS = {
    "connected_components": "Undirected graphs; scipy's search.",
    "dijkstra_path": "Weights above 0; scipy.",
    "dijkstra_path_length": "Weights above 0; scipy.",
    "has_path": "scipy's breadth-first search.",
    "is_connected": "Undirected graphs.",
    "leiden_communities": "Undirected graphs without loops, weights above 0; networkit's Leiden.",
    "node_connected_component": "Undirected graphs.",
    "number_connected_components": "Undirected graphs.",
    "pagerank": "Undirected graphs without loops, weights above 0; conjugate gradients on scipy's matrices.",
    "shortest_path": "From one node to one; weights above 0; scipy.",
    "shortest_path_length": "From one node to one; weights above 0; scipy.",
    "single_source_dijkstra_path_length": "Weights above 0; scipy.",
    "single_source_shortest_path_length": "scipy.",
}


def get_info() -> dict[str, object]:
    """Return what networkx shows of this backend, by the name of each function that it has.

    >>> sorted(get_info()["functions"])[0]
    'connected_components'
    """
    return {
        "backend_name": "workbench",
        "project": "workbench",
        "package": "workbench",
        "short_summary": "The compute kernels of workbench on Arrow and CSR arrays.",
        "functions": {name: {"additional_docs": text} for name, text in _DOCS.items()},
    }
