"""Vectors: search by meaning over the window's texts, and entities that are alike."""

from __future__ import annotations

from workbench.vectors.cache import VectorCache, Waiting
from workbench.vectors.connect import connect
from workbench.vectors.files import without_vectors
from workbench.vectors.hits import Hits
from workbench.vectors.queue import Indexed, IndexKind
from workbench.vectors.vectors import Vectors

__all__ = ["Hits", "IndexKind", "Indexed", "VectorCache", "Vectors", "Waiting", "connect", "without_vectors"]
