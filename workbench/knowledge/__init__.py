"""Knowledge: the results of compute, immutable, each with how it came about, read as of a time."""

from __future__ import annotations

from workbench.knowledge.daily import ENOUGH, of_days
from workbench.knowledge.store import Knowledge, KnowledgeStore, Run, add, notes_of, parse_asof

__all__ = ["ENOUGH", "Knowledge", "KnowledgeStore", "Run", "add", "notes_of", "of_days", "parse_asof"]
