"""Ingest: sources to published segments with their partials, exactly once."""

from __future__ import annotations

from workbench.ingest.pipeline import Ingest
from workbench.ingest.report import IngestReport

__all__ = ["Ingest", "IngestReport"]
