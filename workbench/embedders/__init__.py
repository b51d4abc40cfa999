"""Embedders: one file each, from texts to vectors."""

from __future__ import annotations

from workbench.embedders.base import Embedder
from workbench.registry import Registry

__all__ = ["Embedder", "embedders"]

embedders: Registry[Embedder] = Registry("embedder", "workbench.embedders", Embedder)
