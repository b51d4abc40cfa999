"""How an analyst begins: a workspace, data files as they lie there, or the demo."""

from __future__ import annotations

import tempfile
import weakref
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.config.workspace import SCHEMA_FILE, schema_in
from workbench.engine import Engine
from workbench.errors import ReadOnlyError, UnknownNameError, UsageError, WorkbenchError, WorkspaceError
from workbench.progress import Update, silent
from workbench.settings import load_settings
from workbench.storage import SegmentStore
from workbench.storage.manifest import is_mirror
from workbench.storage.places import s3_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.ingest.repair_report import RepairReport
    from workbench.progress import Progress

__all__ = ["DEMO_TASKS", "demo", "open", "repair"]

DEMO_TASKS = ("components", "pagerank", "communities", "clusters", "trends", "anomalies")


def open(source: str | Path, *, schema: str | Path | None = None, **settings: Any) -> Engine:  # noqa: A001
    r"""Open a workspace; a mirror of one, to read; or data files, ingested into a temporary workspace.

    Args:
        source: A workspace directory; ``s3://bucket/prefix``; or files: a path, a directory or a glob.
        schema: The entity schema for data files.
        settings: Values that win over every other layer of the settings.

    Raises:
        WorkspaceError: If there is neither a workspace nor a mirror nor a file.
        RemoteError: If a mirror does not answer.
        UsageError: If ``schema`` is given for a workspace.

    >>> import tempfile, pathlib, workbench as wb
    >>> log = pathlib.Path(tempfile.mkdtemp()) / "clicks.csv"
    >>> _ = log.write_text("time,page\n2025-06-12T10:00:00Z,home\n")
    >>> wb.open(log).sql("select page from clicks").rows
    [('home',)]
    """
    path = Path(source).expanduser()
    address = s3_url(source)
    if address is not None or SegmentStore.is_workspace(path) or (path / "manifests").is_dir():
        if schema is not None:
            where = address or str(path)
            raise UsageError(
                "a workspace has its own entity schema.", where=where, fix=f"Edit {where}/{SCHEMA_FILE}."
            )
        return Engine(address or path, **settings)
    if not path.exists() and not any(c in str(source) for c in "*?["):
        raise WorkspaceError(
            "there is no workspace and no file.",
            where=str(source),
            fix=f"Make one with 'workbench init {source}'.",
        )
    folder = tempfile.TemporaryDirectory(prefix="workbench-adhoc-")
    engine = Engine.create(folder.name, schema=schema, **settings)
    weakref.finalize(engine, folder.cleanup)
    report = engine.ingest(source)
    if not report.rows:
        raise WorkspaceError(f"nothing could be read:\n{report}", where=str(source))
    return engine


def demo(name: str = "flights", *, path: str | Path | None = None, progress: Progress = silent) -> Engine:
    """Open the demo workspace, making it on the first call: New York's flights of 2013.

    Args:
        name: Which sample.
        path: Where it lies; by default ``workbench-demo`` in the working directory.
        progress: Told as it is made.

    Raises:
        UnknownNameError: If there is no such sample.
        DriverUnavailableError: If the package with the data is not installed.
    """
    from workbench.samples import samples  # noqa: PLC0415

    if name not in samples:
        raise UnknownNameError("sample", name, samples)
    folder = Path(path or "workbench-demo").expanduser()
    sources = samples[name].write(folder / f"{name}-logs", progress=progress)
    workspace = folder / name
    engine = (
        Engine(workspace) if SegmentStore.is_workspace(workspace) else Engine.create(workspace, schema=name)
    )
    engine.ingest(sources, progress=progress)
    for number, task in enumerate(DEMO_TASKS):
        progress(Update("compute", number, len(DEMO_TASKS), "tasks"))
        engine.compute(task)
    progress(Update("compute", len(DEMO_TASKS), len(DEMO_TASKS), "tasks"))
    return engine


def repair(
    path: str | Path,
    *,
    apply: bool = False,
    sources: Iterable[str | Path] = (),
    progress: Progress = silent,
    **settings: Any,
) -> RepairReport:
    """Repair a workspace, also one that does not open, as :meth:`Engine.repair` does.

    A damaged FORMAT or CURRENT is written anew; where a manifest is damaged, the workspace goes on from the
    newest whole one. What is damaged is kept.

    Args:
        path: The workspace.
        apply: Do it; by default nothing is changed.
        sources: A copy of the workspace, or files and directories in which sources lie now.
        progress: Told as files are checked.
        settings: Values that win over every other layer of the settings.

    Raises:
        WorkspaceError: If there is no workspace, or one of a newer format.
        CorruptFileError: If no manifest is whole.
        ReadOnlyError: If it is a mirror.
        WriterLockedError: If it is to be done and another process writes to the workspace.
    """
    from workbench.ingest.repair import Repair  # noqa: PLC0415
    from workbench.storage.repair import examine, mend  # noqa: PLC0415

    root = Path(path).expanduser().absolute()
    address = s3_url(path)
    if address is not None or _is_mirror(root):
        where = address or str(root)
        raise ReadOnlyError(
            "this is a mirror, which is not repaired.",
            where=where,
            fix=f"Copy again what is damaged, from its workspace: 'workbench mirror --full {where}'.",
        )
    head = examine(root)
    if head.damages and not apply:
        schema, found = schema_in(root), load_settings(root, **settings)
        return Repair(root, schema, found, places=sources, progress=progress).run()
    mend(root, head)
    with Engine(root, **settings) as engine:
        return replace(engine.repair(apply=apply, sources=sources, progress=progress), head=head.damages)


def _is_mirror(root: Path) -> bool:
    # what says so may be what is damaged
    with suppress(WorkbenchError):
        return is_mirror(root)
    return False
