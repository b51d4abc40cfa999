"""Repair: what is derived is derived again, documents are read again from sources, the rest is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.ingest.derive import add_partials, add_reference_partials, stale_segments
from workbench.ingest.publish import read_references
from workbench.ingest.repair_plan import make_plan
from workbench.ingest.repair_report import RepairReport
from workbench.ingest.stream_checkpoint import log_position
from workbench.logs import get_logger
from workbench.partials.names import RESERVED
from workbench.partials.shapes import KINDS
from workbench.partials.stored import to_arrow
from workbench.progress import silent
from workbench.storage import SegmentStore, Snapshot
from workbench.storage.disk import LOCAL
from workbench.storage.files import Verifier
from workbench.storage.missing import missing_state
from workbench.storage.repair import close_chain, examine, keep, mend
from workbench.storage.wal_repair import examine_log, mend_log
from workbench.storage.writer import refused
from workbench.vectors.files import KINDS as VECTORS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from workbench.config.entity_schema import EntitySchema
    from workbench.ingest.repair_plan import Plan
    from workbench.progress import Progress
    from workbench.settings import Settings
    from workbench.storage import FileEntry, Transaction, Writer
    from workbench.storage.disk import Disk

__all__ = ["Repair"]


class Repair:
    """Repairs a workspace, which need not open.

    Args:
        root: The workspace.
        schema: Its entity schema.
        settings: Its settings.
        places: A copy of the workspace, or files and directories in which sources lie now.
        disk: What writes.
        progress: Told as files are checked.
    """

    def __init__(  # noqa: PLR0913  (what it works with)
        self,
        root: Path,
        schema: EntitySchema,
        settings: Settings,
        *,
        places: Iterable[str | Path] = (),
        disk: Disk = LOCAL,
        progress: Progress = silent,
    ) -> None:
        self.root = root
        self.schema = schema
        self.settings = settings
        self.disk = disk
        self._places = [Path(place).expanduser() for place in places]
        self._progress = progress

    def run(self, *, apply: bool = False) -> RepairReport:
        """Return what is damaged and what can be done about it, and do it if ``apply`` says so.

        Raises:
            WorkspaceError: If there is no workspace, or one of a newer format.
            CorruptFileError: If no manifest is whole.
            WriterLockedError: If it is to be done and another process writes to the workspace.
            StorageError: If the disk refuses; what was not reached is done by the next repair.
        """
        head = examine(self.root)
        report = RepairReport(apply, head=head.damages)
        if not apply:
            base = Snapshot(self.root, head.manifest, Verifier())
            self._look(base, report)
            report.generation = base.generation
            return report
        mend(self.root, head, self.disk)
        store = SegmentStore(
            self.root,
            disk=self.disk,
            reserve=self.settings.reserve_bytes,
            force_network=self.settings.force_network,
        )
        with store.writer() as writer:
            base = writer.snapshot()
            plan = self._look(base, report)
            if plan.is_needed:
                self._apply(plan, writer)
            if report.log:
                mend_log(self.root, self.root / "wal", log_position(base)[0], self.disk)
            close_chain(writer)
            report.generation = writer.snapshot().generation
        get_logger("ingest").info("repaired", findings=len(report.findings), missing=len(report.missing))
        return report

    def _look(self, base: Snapshot, report: RepairReport) -> Plan:
        """Find out what is to be done in a generation, and say it in the report."""
        plan = make_plan(base, self.schema, self.settings, self._places, self._progress)
        report.log = examine_log(self.root / "wal", log_position(base)[0])
        report.files = len(base.manifest.files)
        report.findings = list(plan.findings())
        report.missing = plan.missing
        by_path = {finding.path: finding for finding in report.findings}
        lost = [e for e, _ in plan.damaged if e.kind == "knowledge" and e.path not in plan.copies]
        report.runs = [(by_path[e.path], e.meta) for e in lost]
        return plan

    def _apply(self, plan: Plan, writer: Writer) -> None:
        """Publish what came back, without what is damaged, as one generation."""
        transaction = writer.begin()
        damaged = [entry for entry, _ in plan.damaged]
        for entry in damaged:
            if entry.path not in plan.copies and entry.kind not in (*KINDS, *VECTORS):
                self._keep(entry)
        transaction.remove(damaged)
        _add_what_came_back(transaction, plan)
        self._derive(transaction, {entry.segment for entry in plan.entries} - {""})
        if any(not e.segment and e.kind in ("reference", *KINDS) for e in plan.entries):
            _derive_references(transaction, self.schema)
        transaction.set_state(**missing_state(plan.missing))
        transaction.commit()

    def _keep(self, entry: FileEntry) -> None:
        try:
            keep(self.root, entry.path, self.disk)
        except OSError as error:
            raise refused(error, self.root) from error

    def _derive(self, transaction: Transaction, segments: set[str]) -> None:
        """Derive the partials of segments whose documents or partials are not what they were."""
        base = transaction.preview()
        fields = base.manifest.state.get("fields", {})
        # without its documents nothing of a segment is left: what is sent again is not there already
        gone = segments - set(base.segments)
        transaction.remove(f for f in transaction.base.manifest.files if f.segment in gone)
        for segment in sorted(segments & set(stale_segments(base, self.schema, fields))):
            threads = self.settings.worker_threads
            add_partials(transaction, base, [segment], self.schema, fields, threads=threads)


def _add_what_came_back(transaction: Transaction, plan: Plan) -> None:
    for entry in plan.entries:
        if entry.path in plan.copies:
            transaction.add_copy(entry, memoryview(plan.copies[entry.path].read_bytes()))
    for name, by_day in plan.documents.items():
        for day, result in by_day.items():
            for entry, data in result.files:
                transaction.add_copy(entry, data)
            if result.frame is not None:
                _add(transaction, name, day, result.frame)
    for name, result in plan.tables.items():
        if result.table is not None:
            transaction.add("reference", result.table, name=name, folder="references")


def _add(transaction: Transaction, name: str, day: str, frame: pl.DataFrame) -> None:
    """Add documents that came back as a new part of their segment."""
    table = to_arrow(frame.sort("_id").drop("_segment"), name)
    times = frame["_ts"].to_physical().to_numpy()
    span = (int(times.min()), int(times.max()))
    fields = [c for c in table.column_names if c not in RESERVED]
    transaction.add("events", table, segment=day, name=name, times=span, meta={"fields": fields})


def _derive_references(transaction: Transaction, schema: EntitySchema) -> None:
    tables = read_references(transaction.preview())
    if tables:
        add_reference_partials(transaction, tables, schema)
    else:
        transaction.remove(f for kind in KINDS for f in transaction.base.files(kind, segments=[""]))
