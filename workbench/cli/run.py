"""``workbench run``: a workspace that takes in what comes and keeps its knowledge current."""

from __future__ import annotations

import errno
import threading
from dataclasses import asdict
from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.errors import DAMAGED
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
    'workbench status' tells meanwhile how old each result is and what fails. With --once the exit code is
    1 if a job failed.
    """
    from workbench.ingest.watch import require_directories  # noqa: PLC0415  (kept out of start-up)

    lines = threading.Lock()

    def say(document: dict[str, Any], text: str) -> None:
        with lines:
            _print(document if as_json else text, stop)

    def finished(job: JobStatus) -> None:
        if job.error or job.name not in UPKEEP:
            say({"job": job.name, "seconds": job.last_seconds, "error": job.error}, _finished(job))

    def told(event: Told) -> None:
        say(asdict(event), event.text)

    with open_workspace(workspace) as engine, stopping() as stop:
        engine.store.require_writable()
        require_directories(watch or ())
        engine.scheduler.on_finish(finished)
        if once:
            if watch:
                engine.watch(*watch, say=told, once=True, stop=stop)
            if _once(engine, stop):
                raise typer.Exit(DAMAGED)
            return
        _go_on(engine, watch, port, told, stop)


def _print(said: dict[str, Any] | str, stop: threading.Event) -> None:
    """Print a line; a full disk takes none, and what is done goes on, but nobody reads a closed pipe."""
    try:
        print_text(said) if isinstance(said, str) else print_json(said)
    except OSError as error:
        if error.errno == errno.EPIPE:
            stop.set()


def _finished(job: JobStatus) -> str:
    if job.error:
        return f"{job.name}: failed, {job.why or 'tried again later'}: {job.error}"
    return f"{job.name}: {job.last_seconds:.1f} s"


def _once(engine: Engine, stop: threading.Event) -> bool:
    """Run what is due until nothing is, and return whether a job failed."""
    while not stop.is_set():
        engine.scheduler.wake()
        if not engine.scheduler.turn():
            break
        engine.scheduler.join()
    return bool(engine.scheduler.status().red)


def _go_on(
    engine: Engine, watch: list[Path] | None, port: int | None, told: Any, stop: threading.Event
) -> None:
    """Run what is due, take in what comes, until it is stopped or the watch fails."""
    engine.scheduler.start()
    watching = _Watching(engine, watch, told, stop) if watch else None
    try:
        if port is None:
            # a wait without an end is not interrupted: polars has interrupts restart system calls
            while not stop.wait(_AWAKE_SECONDS):
                pass
        else:
            _serve(engine, port, stop)
    finally:
        stop.set()
        print_note("ending: what runs comes to its end")
        if watching is not None:
            watching.join()


class _Watching(threading.Thread):
    """A watch beside everything else. Where it fails all of it ends: nothing would come in any more."""

    def __init__(self, engine: Engine, directories: list[Path], told: Any, stop: threading.Event) -> None:
        super().__init__(name="workbench-watch")
        self._engine, self._directories, self._told, self._stopped = engine.beside(), directories, told, stop
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            with self._engine as engine:
                engine.watch(*self._directories, say=self._told, stop=self._stopped)
        except Exception as error:  # noqa: BLE001  (raised again where it is joined)
            self._error = error
            self._stopped.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, and raise what it failed with."""
        super().join(timeout)
        if self._error is not None:
            raise self._error


def _serve(engine: Engine, port: int, stop: threading.Event) -> None:
    from workbench.server import resolve_access  # noqa: PLC0415  (kept out of start-up)
    from workbench.server import serve as start  # noqa: PLC0415  (kept out of start-up)

    def ready(url: str) -> None:
        print_note(f"{url} takes events and shows {engine.store.name}")

    start(engine, resolve_access("127.0.0.1", port), ready=ready, stop=stop)


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
