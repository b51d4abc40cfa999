"""``workbench rules``: what fires when, for whom, and who is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.errors import DAMAGED
from workbench.cli.options import JsonOption, QuietOption, WorkspaceOption, open_workspace
from workbench.cli.progress import watching
from workbench.cli.screen import Rows, print_json, print_note, print_table, print_text

if TYPE_CHECKING:
    from workbench.rules.firing import Firing

__all__ = ["add", "app", "backtest", "check", "disable", "enable", "evaluate", "list_", "log"]

app = typer.Typer(help="What fires when, and who is told: list, check, backtest, enable, evaluate, log.")

_SHOWN = ["at", "rule", "event", "subject", "text"]


def complete_examples() -> list[str]:
    """Return the names of the rules that come with workbench."""
    from workbench.config.anomaly_rule import example_rules  # noqa: PLC0415  (kept out of start-up)

    return list(example_rules())


RuleArgument = Annotated[str, typer.Argument(metavar="RULE", help="The rule's id.")]


@app.callback(invoke_without_command=True)
def rules(context: typer.Context) -> None:
    """Show the help where no command is named."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def list_(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the rules: whether they are enabled, when they were evaluated, for how many they triggered."""
    with open_workspace(workspace) as engine:
        table, timezone = engine.rules.to_arrow(), engine.timezone
        problems = [str(problem) for problem in engine.rules.problems()]
    if as_json:
        print_json({**Rows(table, timezone).to_json(), "problems": problems, "timezone": timezone})
        return
    print_table(table.drop(["file"]), timezone)
    for problem in problems:
        print_note(problem)


def check(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Say what is wrong with the rules: file, line, path, reason, suggestion. Exit code 1 if anything is."""
    with open_workspace(workspace) as engine:
        found = engine.rules.problems()
        number = len(engine.rules.list())
    if as_json:
        print_json({"rules": number, "problems": [vars(problem) for problem in found]})
    else:
        for problem in found:
            print_text(str(problem))
        print_text(f"{number:,} rules, {len(found):,} problems")
    if found:
        raise typer.Exit(DAMAGED)


def add(
    example: Annotated[
        str, typer.Argument(metavar="EXAMPLE", help="Which one.", autocompletion=complete_examples)
    ],
    workspace: WorkspaceOption = None,
) -> None:
    """Copy a rule that comes with workbench into the workspace's rules/, disabled: to be edited there."""
    with open_workspace(workspace) as engine:
        path = engine.rules.add(example)
    print_note(f"written: {path}")


def enable(rule: RuleArgument, workspace: WorkspaceOption = None) -> None:
    """Enable a rule: its file says so from then on."""
    with open_workspace(workspace) as engine:
        engine.rules.enable(rule)
    print_note(f"enabled: {rule}")


def disable(rule: RuleArgument, workspace: WorkspaceOption = None) -> None:
    """Disable a rule; what it triggered is resolved at the next evaluation, and nobody is told."""
    with open_workspace(workspace) as engine:
        engine.rules.disable(rule)
    print_note(f"disabled: {rule}")


def evaluate(
    only: Annotated[
        list[str] | None, typer.Argument(metavar="[RULE…]", help="These rules, due or not, enabled or not.")
    ] = None,
    *,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate the rules that are due, once: log what triggered and is resolved, and notify.

    For a scheduler: 'workbench run' does the same all the time. What failed is told at the end, with exit
    code 1; the other rules are evaluated all the same.
    """
    with open_workspace(workspace) as engine:
        fired = engine.rules.evaluate(only=only or ())
        problems = engine.rules.problems()
        timezone = engine.timezone
    if as_json:
        problem_texts = [str(problem) for problem in problems]
        print_json({"fired": [firing.to_dict() for firing in fired], "problems": problem_texts})
    else:
        _print(fired, timezone)
        for problem in problems:
            print_note(str(problem))
    if problems:
        raise typer.Exit(DAMAGED)


def _print(fired: list[Firing], timezone: str) -> None:
    del timezone
    for firing in fired:
        print_text(str(firing))
    triggered = sum(firing.event == "triggered" for firing in fired)
    print_text(f"{triggered:,} triggered, {len(fired) - triggered:,} resolved")


def backtest(  # noqa: PLR0913  (the options of one command)
    rule: Annotated[str, typer.Argument(metavar="RULE|FILE", help="A rule's id, or its file.")],
    *,
    workspace: WorkspaceOption = None,
    since: Annotated[str | None, typer.Option(metavar="T", help="From this day or time on.")] = None,
    until: Annotated[str | None, typer.Option(metavar="T", help="Until this day or time.")] = None,
    ticks: Annotated[int, typer.Option(min=1, metavar="N", help="The most ticks that are replayed.")] = 240,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Replay a rule over the window: when and for whom it would have fired. Nothing is kept or sent.

    Where its schedule has more ticks than --ticks, so many of them, evenly, are replayed, and it says so.
    """
    with open_workspace(workspace) as engine, watching(quiet=quiet or as_json) as progress:
        found = engine.rules.backtest(rule, since=since, until=until, most_ticks=ticks, progress=progress)
    if as_json:
        print_json({**found.summary(), **found.to_json(), "timezone": found.timezone})
        return
    table = found.to_arrow().select(["triggered", "resolved", "subject", "value", "limit", "reason"])
    print_table(table, found.timezone, title=found._title())  # noqa: SLF001  (the line above its table)


def log(
    rule: Annotated[str | None, typer.Argument(metavar="[RULE]", help="Only this rule's.")] = None,
    *,
    workspace: WorkspaceOption = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The most records.")] = 40,
    as_json: JsonOption = False,
) -> None:
    """Show what rules have done, the newest first: what triggered, what is resolved, who was told."""
    with open_workspace(workspace) as engine:
        found = engine.rules.log(rule, limit=None if as_json else limit)
    if as_json:
        print_json({**found.to_json(), "timezone": found.timezone})
    else:
        print_table(found.to_arrow().select(_SHOWN), found.timezone, rows=limit)
