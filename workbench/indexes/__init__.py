"""Vector indexes: one file each, nearest neighbours by cosine among those that are allowed."""

from __future__ import annotations

from workbench.indexes.base import EXACT_BELOW, Index
from workbench.registry import Registry

__all__ = ["EXACT_BELOW", "Index", "indexes"]

indexes: Registry[Index] = Registry("index", "workbench.indexes", Index)
