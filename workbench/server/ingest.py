"""Events over HTTP: one, many a line, or an Arrow stream; answered when they are durable."""

from __future__ import annotations

import contextlib
import math
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse

from workbench.errors import BackPressureError, DiskFullError, StorageError, UsageError
from workbench.ingest.stream_events import Given, given, one_document
from workbench.server.errors import error_document, refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from workbench.ingest.stream import Acknowledgement, Stream

__all__ = ["Intake", "ingest_routes"]

_ARROW = "application/vnd.apache.arrow.stream"
_LINES = ("application/x-ndjson", "application/jsonl", "application/ndjson")
_CHARSETS = {"utf-8", "utf8", "us-ascii"}
_AT_ONCE = 16  # threads of their own: those of all others may wait for an answer that takes long
_KINDS = f"application/json, {_LINES[0]} or {_ARROW}"


class Streaming(Protocol):
    """A workspace that events can be streamed into."""

    def stream(self) -> Stream:
        """Open a stream."""


class Intake:
    """The stream of a server: opened by the first events, again after a failed write, closed with the server.

    Args:
        world: The workspace.

    Attributes:
        ending: Set once the server ends: what takes long is to be given up then.
    """

    def __init__(self, world: Streaming) -> None:
        self.ending = threading.Event()
        self._world = world
        self._lock = threading.Lock()
        self._stream: Stream | None = None

    def append(self, event_type: str, events: Given, **options: Any) -> Acknowledgement:
        """Make events durable.

        Raises:
            WorkbenchError: As :meth:`workbench.ingest.stream.Stream.append`, or if no stream can be opened.
        """
        return self._opened().append(event_type, events, **options)

    def close(self) -> None:
        """Publish what waits."""
        with self._lock:
            stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    @contextlib.asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Close with the application."""
        yield
        self.ending.set()
        await to_thread.run_sync(self.close, limiter=CapacityLimiter(1))

    def _opened(self) -> Stream:
        with self._lock:
            if self._stream is not None and not self._stream.status()["open"]:
                stream, self._stream = self._stream, None
                with contextlib.suppress(StorageError):  # what it could not publish is in the log
                    stream.close()
            if self._stream is None:
                self._stream = self._world.stream()
            return self._stream


def ingest_routes(intake: Intake) -> APIRouter:
    """Return the route by which events come, to be mounted under ``/api``."""
    router = APIRouter(tags=["ingest"])
    threads = CapacityLimiter(_AT_ONCE)

    @router.post("/ingest/{event_type}")
    async def ingest(
        request: Request,
        event_type: str,
        source: Annotated[str, Query(description="Who sends them; keys are a source's own.")] = "",
        key: Annotated[
            list[str] | None, Query(description="Field whose value is the event's key; repeatable.")
        ] = None,
        idempotency_key: Annotated[
            str | None, Header(description="Key of the request: its nth event is the same again.")
        ] = None,
    ) -> JSONResponse:
        """Store events: one as JSON, one a line as NDJSON, or an Arrow stream; they are durable then."""
        kind, unread = _kind(request)
        if unread is not None:
            return unread
        body = await request.body()

        def store() -> Acknowledgement:
            events = _events(kind, body)
            keys = None
            if idempotency_key is not None:
                keys = [f"{idempotency_key}/{number}" for number in range(events.number)]
            return intake.append(event_type, events, source=source, keys=keys, key=key)

        try:
            acknowledged = await to_thread.run_sync(store, limiter=threads)
        except BackPressureError as error:
            wait = {"retry-after": str(math.ceil(error.retry_after))}
            return JSONResponse(error_document(error), 429, wait)
        except DiskFullError as error:
            return JSONResponse(error_document(error), 507)
        return JSONResponse(asdict(acknowledged))

    return router


def _kind(request: Request) -> tuple[str, JSONResponse | None]:
    """Return what the body is, and why it is not read, if it is not."""
    kind, *parameters = (part.strip().lower() for part in request.headers.get("content-type", "").split(";"))
    if kind not in {"application/json", _ARROW, *_LINES}:
        return kind, _not_read(kind or "no type", "content-type", f"Send {_KINDS}.")
    charset = next((p.partition("=")[2].strip('"') for p in parameters if p.startswith("charset=")), "utf-8")
    if charset not in _CHARSETS:
        return kind, _not_read(charset, "content-type", "Send UTF-8.")
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding not in {"", "identity"}:
        return kind, _not_read(coding, "content-encoding", "Send it as it is, not compressed.")
    return kind, None


def _not_read(what: str, where: str, fix: str) -> JSONResponse:
    return JSONResponse(refused(f"{what!r} is not read.", where, fix), 415)


def _events(kind: str, body: bytes) -> Given:
    if not body.strip():
        raise UsageError("there is no event in the request.", fix="Send at least one.")
    if kind == _ARROW:
        import pyarrow as pa  # noqa: PLC0415  (kept out of start-up)

        try:
            return given(pa.ipc.open_stream(body).read_all())
        except (pa.ArrowException, OSError) as error:
            raise UsageError(
                f"the body is no Arrow stream: {error}.", fix="Send one whole stream."
            ) from error
    return one_document(body) if kind == "application/json" else given(body)
