"""``workbench triage``: marks on anomalies, notes on entities, and what they say of the signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.options import JsonOption, WorkspaceOption, open_workspace
from workbench.cli.screen import Rows, print_json, print_table, print_text

if TYPE_CHECKING:
    import polars as pl

__all__ = ["app", "list_", "mark", "note", "precision"]

app = typer.Typer(help="Marks and notes of analysts: mark, note, list, precision.")

AuthorOption = Annotated[
    str, typer.Option("--author", metavar="NAME", help="Who says so. By default the user of this process.")
]


@app.callback(invoke_without_command=True)
def triage(context: typer.Context) -> None:
    """Show the help where no command is named."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def mark(  # noqa: PLR0913  (the options of one command)
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="Whose anomaly, type:key.")],
    what: Annotated[str, typer.Argument(metavar="MARK", help="confirmed, benign or ignored.")],
    *,
    workspace: WorkspaceOption = None,
    note_: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why.")] = "",
    author: AuthorOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say what an anomaly is: it is kept with author and time, and shown to all."""
    with open_workspace(workspace) as engine:
        kept = engine.anomalies.mark(entity, what, note=note_, author=author)
    if as_json:
        print_json(kept)
    else:
        print_text(f"{kept['entity']} is marked as {kept['mark']} by {kept['author']}")


def note(
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="About whom or what, type:key.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is to be kept.")],
    *,
    workspace: WorkspaceOption = None,
    author: AuthorOption = "",
    as_json: JsonOption = False,
) -> None:
    """Keep a note on any entity."""
    with open_workspace(workspace) as engine:
        kept = engine.triage.note(entity, text, author=author)
    if as_json:
        print_json(kept)
    else:
        print_text(f"a note on {kept['entity']} by {kept['author']} is kept")


def list_(
    entity: Annotated[
        str | None, typer.Argument(metavar="[ENTITY]", help="Whose marks and notes. By default all.")
    ] = None,
    *,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List marks and notes, the oldest first."""
    with open_workspace(workspace) as engine:
        _print(engine.triage.log(entity), engine.timezone, as_json=as_json)


def precision(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Show how often anomalies, and each signal that spoke, were right by the marks."""
    with open_workspace(workspace) as engine:
        _print(engine.triage.precision(), engine.timezone, as_json=as_json)


def _print(frame: pl.DataFrame, timezone: str, *, as_json: bool) -> None:
    table = frame.to_arrow()
    if as_json:
        print_json({**Rows(table, timezone).to_json(), "timezone": timezone})
    else:
        print_table(table, timezone, rows=max(table.num_rows, 1))
