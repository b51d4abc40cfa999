"""``workbench report``: notebooks run as templates, kept as one page each."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import Annotated

import typer

from workbench.cli.errors import DAMAGED
from workbench.cli.options import QuietOption, WorkspaceOption, open_workspace
from workbench.cli.progress import watching
from workbench.cli.screen import print_note, write_file
from workbench.errors import ReportFailedError, UsageError

__all__ = ["app", "run"]

app = typer.Typer(help="Make reports: run.")


@app.callback(invoke_without_command=True)
def report(context: typer.Context) -> None:
    """Show the help where no command is named."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(  # noqa: PLR0913  (the options of one command)
    template: Annotated[Path, typer.Argument(metavar="TEMPLATE", help="A notebook.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The page to write.")],
    workspace: WorkspaceOption = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter; repeatable."),
    ] = None,
    code: Annotated[bool, typer.Option("--code", help="Show the cells' code, too.")] = False,
    cell_seconds: Annotated[
        int, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long one cell may run.")
    ] = 600,
    quiet: QuietOption = False,
) -> None:
    """Run a notebook on the workspace as it is now and write it as one offline, interactive page.

    Its cell with the tag 'parameters' sets the defaults of the parameters, 'workspace' among them. The
    workspace holds still for it while others write. If a cell fails the exit code is 1 and nothing is
    written.
    """
    from workbench.reports.template import run_template  # noqa: PLC0415  (kept out of start-up)

    given: dict[str, str] = {}
    for pair in parameter or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"{pair!r} has no value.", fix="Write it name=value.")
        if name in given:
            raise UsageError(f"{name!r} is given twice.")
        given[name] = value
    try:
        with open_workspace(workspace) as engine, watching(quiet=quiet) as progress:
            made = run_template(
                template, engine, given, code=code, cell_seconds=cell_seconds, progress=progress
            )
    except ReportFailedError as error:
        print_note(f"workbench: {error}")
        raise typer.Exit(DAMAGED) from None
    write_file(output, made.html)
