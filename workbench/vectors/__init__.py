"""Vectors: search by meaning over the window's texts, and entities that are alike."""

from __future__ import annotations

from workbench.vectors.cache import VectorCache, Waiting
from workbench.vectors.connect import can_run, connect
from workbench.vectors.files import texts_of, without_vectors
from workbench.vectors.hits import Hits
from workbench.vectors.queue import Indexed, IndexKind
from workbench.vectors.vectors import Vectors
from workbench.vectors.world import World

__all__ = [
    "Hits",
    "IndexKind",
    "Indexed",
    "VectorCache",
    "Vectors",
    "Waiting",
    "World",
    "can_run",
    "connect",
    "texts_of",
    "without_vectors",
]
