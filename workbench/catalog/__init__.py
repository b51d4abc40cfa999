"""The catalog: what a generation of a workspace holds, from its manifest and partials alone."""

from __future__ import annotations

from workbench.catalog.catalog import Catalog
from workbench.catalog.world import World

__all__ = ["Catalog", "World"]
