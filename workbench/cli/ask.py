"""Questions in plain words, and the plans that answer them."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.options import (
    JsonOption,
    OutputOption,
    WorkspaceOption,
    open_workspace,
    standard_input,
)
from workbench.cli.screen import SHOWN_ROWS, print_json, print_note, print_table, print_text, write_file
from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.engine import Engine
    from workbench.plans.answer import Answer

__all__ = ["ask", "plan", "plan_schema"]

_FAILED = 1


def complete_planners() -> list[str]:
    """Return the names of the planners, and of both together."""
    from workbench.plans.planners import planners  # noqa: PLC0415  (kept out of start-up)

    return [*planners.names(), "both"]


def ask(  # noqa: PLR0913  (the options of one command)
    question: Annotated[
        str, typer.Argument(metavar="QUESTION", help="In plain words; - reads standard input.")
    ],
    *,
    workspace: WorkspaceOption = None,
    session: Annotated[
        str | None, typer.Option(metavar="NAME", help="The conversation that it belongs to: 'and in April?'")
    ] = None,
    planner: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Who makes the plan: grammar, model or both. Default: the setting.",
            autocompletion=complete_planners,
        ),
    ] = None,
    provider: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose language model the planner asks.")
    ] = None,
    plan_only: Annotated[
        bool,
        typer.Option("--plan-only", help="Print the plan as JSON, with what is wrong with it; run nothing."),
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the plan's steps too, with their rows and times.")
    ] = False,
    rows: Annotated[
        int, typer.Option("--rows", min=0, metavar="N", help="The most rows that a table shows.")
    ] = SHOWN_ROWS,
    as_json: JsonOption = False,
) -> None:
    """Answer a question from what the workspace holds, or say why not.

    The answer says how the question was read; --json gives text, plan and all rows of every table.
    """
    text = standard_input() if question == "-" else question
    with open_workspace(workspace) as engine:
        if plan_only:
            _print_proposals(engine, text, session, planner, provider)
            return
        answer = engine.ask(text, session=session, planner=planner, provider=provider)
        _print_answer(answer, as_json=as_json, explain=explain, rows=rows)


def plan(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A plan as JSON, as --plan-only prints it.")],
    *,
    workspace: WorkspaceOption = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the plan's steps too, with their rows and times.")
    ] = False,
    rows: Annotated[
        int, typer.Option("--rows", min=0, metavar="N", help="The most rows that a table shows.")
    ] = SHOWN_ROWS,
    as_json: JsonOption = False,
) -> None:
    """Run a plan, such as one that was edited, and print its answer."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"it is not readable as JSON: {error}.", where=str(file)) from error
    if isinstance(data, dict) and isinstance(data.get("plan"), dict):
        data = data["plan"]  # a whole answer, or what --plan-only says
    if not isinstance(data, dict):
        raise UsageError("it is not a plan.", where=str(file), fix="workbench plan-schema says what one is.")
    with open_workspace(workspace) as engine:
        _print_answer(engine.execute(data), as_json=as_json, explain=explain, rows=rows)


def plan_schema(output: OutputOption = None) -> None:
    """Print the JSON Schema of plans."""
    from workbench.plans import plan_json_schema  # noqa: PLC0415  (kept out of start-up)

    if output is None:
        print_json(plan_json_schema())
    else:
        write_file(output, json.dumps(plan_json_schema(), indent=2) + "\n")


def _print_proposals(
    engine: Engine, question: str, session: str | None, planner: str | None, provider: str | None
) -> None:
    """Print what each planner makes of a question, and what the validator says of it."""
    from workbench.plans.ask import propose  # noqa: PLC0415  (kept out of start-up)
    from workbench.plans.planners import Conversation  # noqa: PLC0415
    from workbench.plans.sessions import Sessions  # noqa: PLC0415
    from workbench.plans.validate import validate  # noqa: PLC0415

    before = Conversation() if session is None else Sessions(engine.path).load(session)
    found = [
        {
            "planner": one.planner,
            "status": one.status,
            "confidence": one.confidence,
            "reading": one.reading,
            "text": one.text,
            "plan": one.plan.to_json() if one.plan else None,
            "findings": [str(f) for f in validate(one.plan, engine)] if one.plan else [],
            "suggestions": list(one.suggestions),
        }
        for one in propose(question, engine, before, planner=planner, provider=provider)
    ]
    print_json(found[0] if len(found) == 1 else found)


def _print_answer(answer: Answer, *, as_json: bool, explain: bool, rows: int) -> None:
    if as_json:
        print_json(answer.to_json())
    else:
        _print_screen(answer, explain=explain, rows=rows)
    if answer.status == "failed":
        raise typer.Exit(_FAILED)


def _print_screen(answer: Answer, *, explain: bool, rows: int) -> None:
    words: dict[str, Any] = {"ask_back": "Asked back: ", "declined": "Declined: ", "failed": "Failed: "}
    print_text(words.get(answer.status, "") + answer.text)
    for name, table in answer.tables.items():
        print_text()
        print_table(table, answer.timezone, title=answer.results[name].title or name, rows=rows)
    if answer.suggestions:
        print_text()
        print_text("You can ask:")
        for suggestion in answer.suggestions:
            print_text(f"  {suggestion}")
    for other in answer.alternatives:
        print_text()
        print_text(f"Another reading, by {other.planner!r}: {other.text}")
    if explain and answer.plan is not None:
        print_text()
        print_text(answer.explain())
    elif answer.plan is not None and answer.status == "answered":
        print_note("--explain shows the plan.")
