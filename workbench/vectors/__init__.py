"""Vectors: search by meaning over the window's texts, and entities that are alike."""

from __future__ import annotations

from workbench.vectors.cache import VectorCache, Waiting
from workbench.vectors.connect import connect
from workbench.vectors.vectors import Hits, Vectors

__all__ = ["Hits", "VectorCache", "Vectors", "Waiting", "connect"]
