"""The property graph of the window: the merge of the live segments' partials, and walks over it."""

from __future__ import annotations

from workbench.graph.graph import Graph
from workbench.graph.kept import window_of
from workbench.graph.keys import format_entity, parse_entity
from workbench.graph.measures import GraphStats
from workbench.graph.subgraph import Neighbourhood, Path, Subgraph
from workbench.graph.window import Window, merge_window

__all__ = [
    "Graph",
    "GraphStats",
    "Neighbourhood",
    "Path",
    "Subgraph",
    "Window",
    "format_entity",
    "merge_window",
    "parse_entity",
    "window_of",
]
