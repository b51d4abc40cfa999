"""``workbench quarantine``: what could not be read, listed, shown and tried again."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.errors import DAMAGED
from workbench.cli.options import (
    DryRunOption,
    JsonOption,
    QuietOption,
    ReadingOption,
    WorkspaceOption,
    complete_connectors,
    open_workspace,
    reading_options,
)
from workbench.cli.progress import watching
from workbench.cli.screen import Rows, print_json, print_note, print_table, print_text
from workbench.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["app", "list_", "retry", "show"]

app = typer.Typer(help="What could not be read: list, show, retry.")

_SHOWN = 20


@app.callback(invoke_without_command=True)
def quarantine(context: typer.Context) -> None:
    """Show the help where no command is named."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def list_(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Count what is in quarantine by source and reason, the most frequent first.

    A kind says what it is: a record of a file, a streamed event, a source as a whole, or a column's name.
    """
    from workbench.ingest import quarantine as store  # noqa: PLC0415  (kept out of start-up)

    with open_workspace(workspace) as engine:
        table, timezone = store.summary(engine.quarantine), engine.timezone
    if as_json:
        print_json({**Rows(table, timezone).to_json(), "timezone": timezone})
        return
    order = ["records", "kind", "name", "reason", "first_id", "source"]
    print_table(table.select(order), timezone)


def show(
    wanted: Annotated[
        list[str], typer.Argument(metavar="ID|SOURCE…", help="Identifiers; sources, or globs of them.")
    ],
    *,
    workspace: WorkspaceOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the original bytes there, a line end after each."),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="The most records that are shown.")] = _SHOWN,
    as_json: JsonOption = False,
) -> None:
    """Show records of quarantine: number in their source, reason, and original bytes.

    What is no text is escaped; JSON has the bytes in hexadecimal digits. With --out the bytes of all
    of them, as they came, go to a new file.
    """
    from workbench.ingest import quarantine as store  # noqa: PLC0415  (kept out of start-up)

    with open_workspace(workspace) as engine:
        table, timezone = store.choose(engine.quarantine, wanted), engine.timezone
    if out is not None:
        _write(out, table)
    if as_json:
        print_json({**Rows(table, timezone).to_json(), "timezone": timezone})
    elif out is None:
        _print(table, limit)


def _print(table: pa.Table, limit: int) -> None:
    for row in table.slice(0, limit).to_pylist():
        place = {None: "", -1: ", as a whole"}.get(row["offset"], f", record {row['offset'] or 0:,}")
        print_text(f"{row['id']}  {row['source']}{place}: {row['name']}\n  {row['reason']}")
        if row["original"]:
            print_text("  " + row["original"].decode("utf-8", "backslashreplace").replace("\n", "\\n"))
    if table.num_rows > limit:
        print_text(f"{table.num_rows:,} in all, the first {limit:,} shown; --json or --out gives everything")


def _write(out: Path, table: pa.Table) -> None:
    """Write bytes to a new file.

    Raises:
        UsageError: If it is there already, or cannot be written.
    """
    try:
        with out.open("xb") as file:
            for original in table["original"].to_pylist():
                if original:
                    file.write(original + b"\n")
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}.", where=str(out)) from error
    print_note(f"written: {out}")


def retry(  # noqa: PLR0913  (the options of one command)
    wanted: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID|SOURCE…]", help="Identifiers; sources, or globs of them."),
    ] = None,
    *,
    workspace: WorkspaceOption = None,
    dry_run: DryRunOption = False,
    connector: Annotated[
        str | None,
        typer.Option(
            metavar="C",
            help="What reads whole sources. By default what read them before.",
            autocompletion=complete_connectors,
        ),
    ] = None,
    option: ReadingOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Read what is in quarantine again, by the schema and the settings of today; by default all of it.

    What becomes documents leaves quarantine with the generation that they come in; what cannot be read
    stays, with its new reason. The exit code is 1 if something was tried and nothing could be read.
    """
    own = ("wanted", "connector", "dry_run", "progress", "clock")
    options = reading_options(option, "quarantine retry", *own)
    with open_workspace(workspace) as engine, watching(quiet=quiet or as_json) as progress:
        report = engine.retry(
            *(wanted or ()), dry_run=dry_run, connector=connector, progress=progress, **options
        )
    if as_json:
        print_json(report.to_dict())
    else:
        print_text(str(report))
    stayed = report.quarantined.total() + len(report.quarantined_files)
    if stayed and not report.rows.total() + report.references.total():
        raise typer.Exit(DAMAGED)
