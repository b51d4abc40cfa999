"""``workbench run``: a workspace that takes in what comes and keeps its knowledge current."""

from __future__ import annotations

import threading
from dataclasses import asdict
from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.options import JsonOption, WorkspaceOption, open_workspace
from workbench.cli.screen import print_json, print_note, print_text
from workbench.cli.watch import stopping

if TYPE_CHECKING:
    from workbench.engine import Engine
    from workbench.ingest.watch import Told
    from workbench.scheduler import JobStatus

__all__ = ["background_line", "run"]

_AWAKE_SECONDS = 0.5
UPKEEP = ("window", "history", "thinning", "rules")  # told of where they fail


def run(
    *,
    workspace: WorkspaceOption = None,
    watch: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Ingest what lies and comes there; repeatable."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="N",
            help="Serve it to this machine on this port, 0 for any: pages, and events by POST "
            "/api/ingest/TYPE.",
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Run every job that is due, one after the other, and end.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take in what comes and keep all knowledge current, until it is stopped; a line for each thing done.

    Ctrl-C or SIGTERM ends it: nothing new begins, what runs comes to its end, and the workspace is whole.
    'workbench status' tells meanwhile how old each result is and what fails.
    """
    lines = threading.Lock()

    def say(document: dict[str, Any], text: str) -> None:
        with lines:
            print_json(document) if as_json else print_text(text)

    def finished(job: JobStatus) -> None:
        if job.error or job.name not in UPKEEP:
            say({"job": job.name, "seconds": job.last_seconds, "error": job.error}, _finished(job))

    def told(event: Told) -> None:
        say(asdict(event), event.text)

    with open_workspace(workspace) as engine, stopping() as stop:
        engine.store.require_writable()
        engine.scheduler.on_finish(finished)
        if once:
            if watch:
                engine.watch(*watch, say=told, once=True, stop=stop)
            _once(engine, stop)
            return
        engine.scheduler.start()
        watching = _start_watching(engine, watch or [], told, stop)
        try:
            if port is None:
                # a wait without an end is not interrupted: polars has interrupts restart system calls
                while not stop.wait(_AWAKE_SECONDS):
                    pass
            else:
                _serve(engine, port)
        finally:
            stop.set()
            print_note("ending: what runs comes to its end")
            if watching is not None:
                watching.join()


def _finished(job: JobStatus) -> str:
    if job.error:
        return f"{job.name}: failed, {job.why or 'tried again later'}: {job.error}"
    return f"{job.name}: {job.last_seconds:.1f} s"


def _once(engine: Engine, stop: threading.Event) -> None:
    while not stop.is_set():
        engine.scheduler.wake()
        if not engine.scheduler.turn():
            return
        engine.scheduler.join()


def _start_watching(
    engine: Engine, directories: list[Path], told: Any, stop: threading.Event
) -> threading.Thread | None:
    if not directories:
        return None
    beside = engine.beside()

    def watch() -> None:
        with beside:
            beside.watch(*directories, say=told, stop=stop)

    thread = threading.Thread(target=watch, name="workbench-watch")
    thread.start()
    return thread


def _serve(engine: Engine, port: int) -> None:
    from workbench.server import resolve_access  # noqa: PLC0415  (kept out of start-up)
    from workbench.server import serve as start  # noqa: PLC0415  (kept out of start-up)

    access = resolve_access("127.0.0.1", port)
    start(engine, access, ready=lambda url: print_note(f"{url} takes events and shows {engine.store.name}"))


def background_line(background: dict[str, Any] | None) -> str:
    """Return in a line what a scheduler does, or did last."""
    if background is None:
        return "none: 'workbench run' keeps knowledge current"
    counts: dict[str, int] = {}
    for job in background["jobs"]:
        counts[job["state"]] = counts.get(job["state"], 0) + 1
    states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    alive = "running" if background["alive"] else f"stopped, last seen {background['written'][:19]}Z"
    return f"{alive}; ingest {background['level']}, {background['backlog']:,} overdue; jobs: {states}"
