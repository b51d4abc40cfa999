"""The segment store: immutable Parquet files, published atomically, with manifests as the only authority.

A *kind* is an opaque name and an Arrow table; what the tables mean is decided above.
"""

from __future__ import annotations

from workbench.storage.manifest import FileEntry, LedgerEntry, Manifest
from workbench.storage.snapshot import Segment, Snapshot
from workbench.storage.store import SegmentStore
from workbench.storage.writer import Transaction, Writer

__all__ = [
    "FileEntry",
    "LedgerEntry",
    "Manifest",
    "Segment",
    "SegmentStore",
    "Snapshot",
    "Transaction",
    "Writer",
]
