"""Connectors: one file each, from a source to Arrow chunks with a position."""

from __future__ import annotations

from workbench.connectors.base import Chunk, Connector, Reject, Source
from workbench.registry import Registry

__all__ = ["Chunk", "Connector", "Reject", "Source", "connectors"]

connectors: Registry[Connector] = Registry("connector", "workbench.connectors", Connector)
