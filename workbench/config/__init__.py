"""The YAML kinds: parsing and validation only."""

from __future__ import annotations

from workbench.config.entity_schema import EntitySchema, load_schema, shipped_schemas

__all__ = ["EntitySchema", "load_schema", "shipped_schemas"]
