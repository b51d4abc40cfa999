"""A question's answer as server-sent events, while it comes about."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.logs import get_logger
from workbench.server.errors import error_document, internal_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from workbench.progress import Progress, Update
    from workbench.server.world import World

    _Event = tuple[str, Any]

__all__ = ["answer_events"]

_ALIVE_SECONDS = 15.0
_ALIVE = b": still at it\n\n"


async def answer_events(world: World, question: str, options: Mapping[str, Any]) -> AsyncIterator[bytes]:
    """Yield the events of an answer; the work is asked to stop where nobody reads them any more.

    Events: any number of ``progress`` (task, done, total, unit, rows), then ``plan`` where there is one,
    ``text``, and ``answer`` with all of it (as ``workbench ask --json`` prints it); or ``error``. A comment
    keeps the connection open while nothing happens.
    """
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[_Event | None] = asyncio.Queue()

    def tell(event: _Event | None) -> None:
        loop.call_soon_threadsafe(events.put_nowait, event)

    stop = threading.Event()

    def watch(update: Update) -> None:
        tell(("progress", asdict(update)))

    def work() -> None:
        try:
            for event in _answered(world, question, options, watch, stop):
                tell(event)
        finally:
            tell(None)

    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        while True:
            try:
                event = await asyncio.wait_for(events.get(), _ALIVE_SECONDS)
            except TimeoutError:
                yield _ALIVE
                continue
            if event is None:
                break
            name, data = event
            yield f"event: {name}\ndata: {json.dumps(data, allow_nan=False)}\n\n".encode()
        await task
    finally:
        stop.set()


def _answered(
    world: World, question: str, options: Mapping[str, Any], watch: Progress, stop: threading.Event
) -> Iterator[_Event]:
    """Yield what comes after the progress; nothing where nobody waits for it."""
    try:
        with world.lock:
            if stop.is_set():
                return
            world.refresh()
            document = world.ask(question, progress=watch, stop=stop, **options).to_json()
    except WorkbenchError as error:
        yield "error", error_document(error)["error"]
        return
    except Exception as error:  # noqa: BLE001  (the boundary: the reader waits for a last event)
        get_logger("server").error("ask failed", exc_info=error)
        yield "error", internal_error("")["error"]
        return
    if document["plan"] is not None:
        yield "plan", document["plan"]
    yield "text", {"status": document["status"], "text": document["text"]}
    yield "answer", document
