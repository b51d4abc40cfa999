"""What fills, measures and empties a workspace."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.errors import DAMAGED
from workbench.cli.options import (
    ConnectorOption,
    DryRunOption,
    JsonOption,
    QuietOption,
    ReadingOption,
    TypeOption,
    WorkspaceOption,
    complete_schemas,
    open_workspace,
    reading_options,
)
from workbench.cli.progress import watching
from workbench.cli.run import background_line
from workbench.cli.screen import print_facts, print_json, print_table, print_text, printable, size, span
from workbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workbench.engine import Engine
    from workbench.ingest import IngestReport

__all__ = ["evict", "ingest", "init", "status", "verify"]


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="An empty or a new directory.")],
    schema: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Entity schema to copy into the workspace: a shipped one or a YAML file.",
            autocompletion=complete_schemas,
        ),
    ] = None,
) -> None:
    """Make a new, empty workspace."""
    from workbench.engine import Engine  # noqa: PLC0415  (kept out of start-up)

    engine = Engine.create(directory, schema=schema)
    print_text(f"made an empty workspace in {directory}, schema {engine.schema.metadata.id}")


def ingest(  # noqa: PLR0913  (the options of one command)
    paths: Annotated[list[str], typer.Argument(metavar="PATH…", help="Files, directories or globs.")],
    *,
    workspace: WorkspaceOption = None,
    dry_run: DryRunOption = False,
    type_: TypeOption = None,
    connector: ConnectorOption = None,
    option: ReadingOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Bring files into the workspace, exactly once: what is there already is left out.

    It can be stopped at any moment and goes on where it was. Bad records go to quarantine; the exit
    code is 1 if nothing at all could be read.
    """
    options = reading_options(option, "ingest", "type", "connector", "dry_run", "progress")
    with open_workspace(workspace) as engine, watching(quiet=quiet or as_json) as progress:
        report = engine.ingest(
            *paths, type=type_, connector=connector, dry_run=dry_run, progress=progress, **options
        )
    if as_json:
        print_json(report.to_dict())
    else:
        print_text(str(report))
    if _nothing_read(report):
        raise typer.Exit(DAMAGED)


def _nothing_read(report: IngestReport) -> bool:
    """Return whether there were sources and none of them gave anything, now or earlier."""
    taken = sum(report.rows.values()) + sum(report.references.values()) + report.known + report.refused
    failed = len(report.skipped) + len(report.quarantined_files) + sum(report.quarantined.values())
    return not taken and (failed > 0 or not report.files)


def status(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Show the workspace's figures: segments, documents, size, clock, knowledge."""
    with open_workspace(workspace) as engine:
        figures = engine.status()
    if as_json:
        print_json(figures)
        return
    background = figures.pop("background")
    facts = {name.replace("_", " "): _figure(name, value) for name, value in figures.items()}
    print_facts({**facts, "background": background_line(background)})
    if background is not None:
        _print_jobs(background["jobs"], figures["timezone"])


def _print_jobs(jobs: Sequence[Mapping[str, Any]], timezone: str) -> None:
    """Print how each job is, those that fail marked, and in red where that can be seen."""
    import pyarrow as pa  # noqa: PLC0415  (kept out of start-up)

    rows = [
        {
            "task": job["name"],
            "priority": job["priority"],
            "state": job["state"],
            "stale": None if job["stale_seconds"] is None else span(job["stale_seconds"]),
            "runs": job["runs"],
            "failures": job["failures"],
            "median": span(job["seconds"][0]),
            "p95": span(job["seconds"][1]),
            "last run": job["last_run"][:19],
        }
        for job in jobs
    ]
    print_text()
    print_table(pa.Table.from_pylist(rows), timezone, rows=len(rows))
    for job in jobs:
        if job["error"]:
            typer.secho(printable(f"{job['name']} fails: {job['error']}"), fg="red")


def _figure(name: str, value: Any) -> str:
    if name == "bytes":
        return size(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_figure(key, item)}" for key, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def evict(  # noqa: PLR0913  (the options of one command)
    segments: Annotated[list[str] | None, typer.Argument(metavar="[SEGMENT…]", help="Days to drop.")] = None,
    *,
    workspace: WorkspaceOption = None,
    before: Annotated[
        str | None, typer.Option(metavar="DAY", help="Drop every segment before this day (UTC).")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Believe a newest day that lies far after the one before it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Drop segments with everything derived from them; knowledge keeps its runs.

    Without a day: what the window no longer holds, two days at most. Asks first on a terminal, and
    elsewhere wants --yes.
    """
    from workbench.knowledge import parse_asof  # noqa: PLC0415  (kept out of start-up)

    with open_workspace(workspace) as engine:
        day = None if before is None else parse_asof(before)
        if not yes and not _confirmed(engine, segments or (), day):
            print_text("nothing was dropped")
            return
        dropped = engine.evict(*(segments or ()), before=day, force=force)
    if as_json:
        print_json({"dropped": dropped, "generation": engine.snapshot.generation})
    else:
        print_text("dropped: " + (", ".join(dropped) or "there was nothing to drop"))


def _confirmed(engine: Engine, segments: Sequence[str], before: str | None) -> bool:
    """Ask whether to drop what is named.

    Raises:
        UsageError: If nobody can be asked, or the window holds everything and no day is given.
    """
    if not segments and before is None and engine.settings.window == "all":
        raise UsageError(
            "the window of this workspace holds everything.", fix="Name segments, or a day with --before."
        )
    if not sys.stdin.isatty():
        raise UsageError("evict asks before it drops anything.", fix="Give --yes where nobody can answer.")
    parts = [", ".join(segments)] if segments else []
    if before is not None:
        older = sum(segment < before for segment in engine.snapshot.segments)
        parts.append(f"the {older:,} segments before {before}")
    what = " and ".join(parts) or f"what lies outside the window of {engine.settings.window} days"
    return typer.confirm(f"Drop {what}, with everything derived?", err=True)


def verify(
    workspace: WorkspaceOption = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read every byte, also of files checked before.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check every live file against its hash; the exit code is 1 if one is damaged.

    With --json also the hash of every partial, by segment and kind: equal documents under an equal
    schema give equal hashes.
    """
    with open_workspace(workspace) as engine, watching(quiet=quiet or as_json) as progress:
        damaged = engine.verify(full=full, progress=progress)
    files = engine.snapshot.manifest.files
    if as_json:
        print_json(
            {
                "workspace": engine.store.name,
                "generation": engine.snapshot.generation,
                "files": len(files),
                "damaged": [{"path": path, "problem": problem} for path, problem in damaged],
                "partials": _partials(engine),
            }
        )
    else:
        for path, problem in damaged:
            print_text(f"{path}: {problem}")
        found = f"{len(damaged):,} damaged" if damaged else "all are as they were published"
        print_text(f"{len(files):,} files of generation {engine.snapshot.generation:,}: {found}")
    if damaged:
        raise typer.Exit(DAMAGED)


def _partials(engine: Engine) -> dict[str, dict[str, str]]:
    """Return the hash of every partial by segment and kind; those of references under no segment."""
    from workbench.partials.shapes import KINDS  # noqa: PLC0415  (kept out of start-up)

    hashes: dict[str, dict[str, str]] = {}
    for file in sorted(engine.snapshot.manifest.files, key=lambda f: (f.segment, f.kind)):
        if file.kind in KINDS:
            hashes.setdefault(file.segment, {})[file.kind] = file.hash
    return hashes
