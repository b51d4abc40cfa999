"""What makes knowledge, and what shows it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from workbench.cli.options import (
    AsofOption,
    JsonOption,
    QuietOption,
    WorkspaceOption,
    complete_tasks,
    open_workspace,
    pairs,
)
from workbench.cli.progress import watching
from workbench.cli.screen import Rows, plain_json, print_facts, print_json, print_table, print_text
from workbench.errors import UsageError
from workbench.progress import Update

if TYPE_CHECKING:
    from workbench.knowledge import Knowledge, Run

__all__ = ["compute", "knowledge"]

_RUN_ROWS = 10
_KNOWLEDGE_ROWS = 20


def compute(  # noqa: PLR0913  (the options of one command)
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TASK…]", help="What to compute.", autocompletion=complete_tasks),
    ] = None,
    *,
    workspace: WorkspaceOption = None,
    asof: AsofOption = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="As of each day (UTC) from this one on, instead of one."),
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "gpu"] | None, typer.Option(help="Where to run. By default the setting.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of all randomness.")] = 0,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter of the task; repeatable."),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run tasks over the window and keep their results as knowledge; without a task: list them.

    What was computed before from the same data with the same parameters is not computed again.
    """
    if not names:
        _list_tasks(as_json=as_json)
        return
    parameters = pairs(parameter or ())
    if parameters and len(names) > 1:
        raise UsageError("parameters belong to one task.", fix="Compute the tasks one by one.")
    if asof is not None and since is not None:
        raise UsageError(
            "--asof and --since exclude each other.", fix="Give one day, or the first of several."
        )
    if taken := {"asof", "device", "seed", "task"} & set(parameters):
        raise UsageError(f"{taken.pop()!r} is no parameter of a task.", fix="See 'workbench compute --help'.")
    results = []
    with open_workspace(workspace) as engine, watching(quiet=quiet or as_json) as progress:
        for done, name in enumerate(names):
            progress(Update("compute", done, len(names), "tasks"))
            options = {"device": device, "seed": seed, **parameters}
            if since is not None:
                results += engine.compute_days(name, since, **options)
            else:
                results.append(engine.compute(name, asof=asof, **options))
        progress(Update("compute", len(names), len(names), "tasks"))
    if as_json:
        print_json({"results": [_document(result) for result in results]})
        return
    for result in results:
        _print_result(result, _RUN_ROWS)


def _list_tasks(*, as_json: bool) -> None:
    from workbench.analysis import tasks  # noqa: PLC0415  (kept out of start-up)

    infos = tasks.describe()
    defaults = {info.name: tasks.load(info.name).defaults for info in infos}
    if as_json:
        print_json({"tasks": [{**asdict(info), "parameters": defaults[info.name]} for info in infos]})
        return
    parameters = {
        name: " ".join(f"{parameter}={value}" for parameter, value in given.items()) or "no parameters"
        for name, given in defaults.items()
    }
    print_facts({info.name: info.reason or info.summary for info in infos}, notes=parameters)


def knowledge(  # noqa: PLR0913  (the options of one command)
    kind: Annotated[
        str | None, typer.Argument(metavar="[KIND]", help="Which knowledge.", autocompletion=complete_tasks)
    ] = None,
    *,
    workspace: WorkspaceOption = None,
    asof: AsofOption = None,
    runs: Annotated[bool, typer.Option("--runs", help="List the runs instead of a result's rows.")] = False,
    limit: Annotated[int | None, typer.Option(min=0, metavar="N", help="The most rows to give.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what was computed: the kinds, the runs, or the rows of one result."""
    with open_workspace(workspace) as engine:
        store = engine.knowledge
        timezone = engine.timezone
        result = None if kind is None or runs else store.read(kind, asof=asof)
        found = store.runs(kind) if result is None else []
    if result is not None:
        if as_json:
            print_json(_document(result, limit))
        else:
            _print_result(result, _KNOWLEDGE_ROWS if limit is None else limit)
        return
    if asof is not None:
        raise UsageError("--asof goes with the rows of one kind.", fix="Name a KIND and leave out --runs.")
    shown = found if runs else list({run.kind: run for run in found}.values())
    if limit is not None:
        shown = shown[max(len(shown) - limit, 0) :]
    if as_json:
        print_json({"runs": [plain_json(asdict(run), timezone) for run in shown], "total": len(found)})
    else:
        _print_runs(shown, len(found), timezone)


def _document(result: Knowledge, limit: int | None = None) -> dict[str, Any]:
    """Return a run and its rows as JSON data; ``total`` says how many rows there are."""
    table = result.to_arrow()
    rows = Rows(table if limit is None else table.slice(0, limit), result.timezone).to_json()
    run = plain_json(asdict(result.run), result.timezone)
    notes = {"notes": list(result.notes)} if result.notes else {}
    return {"run": run, **rows, "total": table.num_rows, "timezone": result.timezone, **notes}


def _print_result(result: Knowledge, rows: int) -> None:
    run = result.run
    head = f"{run.kind} as of {_local(run.asof, result.timezone)} ({result.timezone}) on {run.device}"
    metrics = ", ".join(f"{name} {value:.6g}" for name, value in run.metrics.items())
    print_text(f"{head}; {metrics}" if metrics else head)
    if run.fallback:
        print_text(f"  {run.fallback}")
    for note in result.notes:
        print_text(f"  {note}")
    print_table(result.to_arrow(), result.timezone, rows=rows)
    print_text()


def _print_runs(runs: list[Run], total: int, timezone: str) -> None:
    import pyarrow as pa  # noqa: PLC0415  (kept out of start-up)

    from workbench.catalog.words import memory  # noqa: PLC0415  (kept out of start-up)

    rows = [
        {
            "kind": run.kind,
            "as of": _local(run.asof, timezone),
            "segments": run.segments[2],
            "device": run.device,
            "seed": run.seed,
            "seconds": run.seconds,
            "memory": memory(run.memory),
            "created": _local(run.created, timezone),
            "run": run.id,
        }
        for run in runs
    ]
    if not rows:
        print_text("there is no knowledge yet: 'workbench compute' lists what can be computed")
        return
    print_table(pa.Table.from_pylist(rows), timezone, rows=len(rows))
    print_text(f"{total:,} runs in all; times in {timezone}")


def _local(instant: str, timezone: str) -> str:
    from datetime import datetime  # noqa: PLC0415
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    return datetime.fromisoformat(instant).astimezone(ZoneInfo(timezone)).strftime("%Y-%m-%d %H:%M:%S")
