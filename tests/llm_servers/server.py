"""Real HTTP servers of each API, in a thread of their own, on a free port of the loopback."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse

from llm_servers.dialects import DIALECTS
from llm_servers.faults import Fault, Log, dribble, hang
from llm_servers.model import KEY, MODEL, ModelError, Part
from workbench.embedders import embedders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fastapi import Response

    from llm_servers.faults import Kind
    from llm_servers.model import SmallModel
    from workbench.embedders import Embedder

__all__ = ["LlmServer", "Servers"]


@cache
def _model_of_words() -> Embedder:
    return embedders.create("static")


class LlmServer:
    """One API over the small model, with or without a fault.

    Attributes:
        app: The API.
        base_url: What a user would give as the address.
        log: What it saw.
    """

    def __init__(self, model: SmallModel | None, protocol: str, fault: Fault, root: str) -> None:
        self.log = Log()
        self._model = model
        self._dialect = DIALECTS[protocol]()
        self._fault = fault
        self.app = FastAPI()
        self.app.post(self._dialect.chat)(self._chat)
        if self._dialect.embed:
            self.app.post(self._dialect.embed)(self._embed)
        self.app.get(self._dialect.models)(self._models)
        self.base_url = f"{root}{self._dialect.prefix}"

    async def _models(self, request: Request) -> Response:
        if self._dialect.key(dict(request.headers)) != KEY:
            return self._error(401, "wrong key")
        return JSONResponse(self._dialect.listing())

    async def _refused(self, request: Request) -> tuple[Response | None, dict[str, Any]]:
        """Note a request; return the fault's answer or a refusal, and what was sent."""
        headers, body = dict(request.headers), await request.json()
        self.log.headers.append(headers)
        self.log.bodies.append(body)
        self.log.times.append(time.monotonic())
        if self._fault.kind and (not self._fault.times or len(self.log.bodies) <= self._fault.times):
            return self._faulty(headers, body), body
        if self._dialect.key(headers) != KEY:
            return self._error(401, f"Incorrect API key provided: {self._dialect.key(headers)}"), body
        if body["model"] != MODEL:
            return self._error(404, self._dialect.unknown(body["model"])), body
        return None, body

    async def _embed(self, request: Request) -> Response:
        refused, body = await self._refused(request)
        if refused is not None:
            return refused
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        vectors = _model_of_words().embed(texts)
        return JSONResponse(self._dialect.embedded(vectors.astype(float).tolist()))

    async def _chat(self, request: Request) -> Response:
        refused, body = await self._refused(request)
        if refused is not None:
            return refused
        assert self._model is not None, "a server without a model has to have something to say"
        parts = self._model.answer(self._dialect.understand(body))
        try:
            first = await anext(parts)
        except ModelError as error:
            return self._error(error.status, self._dialect.too_long(str(error)))
        return self._stream(self._dialect.frames(body, self._counted(first, parts)))

    async def _counted(self, first: Part, parts: AsyncIterator[Part]) -> AsyncIterator[Part]:
        """Yield all parts, and note if the other side leaves before the end."""
        ended = False
        try:
            yield first
            async for part in parts:
                ended = bool(part.ended)
                yield part
        finally:
            self.log.abandoned += not ended

    def _faulty(self, headers: dict[str, str], body: dict[str, Any]) -> Response:  # noqa: C901, PLR0911, PLR0912
        fault, dialect = self._fault, self._dialect
        match fault.kind:
            case "unauthorized":
                return self._error(401, f"Incorrect API key provided: {dialect.key(headers)}")
            case "rate limit":
                extra = {"retry-after": fault.retry_after} if fault.retry_after else {}
                return self._error(429, "Rate limit reached, slow down.", extra)
            case "failing":
                return self._error(500, f"Internal error; the key was {dialect.key(headers)}")
            case "hanging":
                return self._stream(hang(self.log))
            case "dribbling":
                return self._stream(dribble(self.log))
            case "rubbish":
                return PlainTextResponse("<html>It works!</html>", media_type="text/html")
            case "rubbish json":
                return self._stream(dialect.frames(body, _said('Sure! Here it is: {"a": ', "the end")))
            case "cut":
                return self._stream(_cut(dialect.frames(body, _said("a", "b", "c"))))
            case "error within":
                frame = dialect.frame_of(
                    dialect.error(529, f"Overloaded; the key was {dialect.key(headers)}")
                )
                return self._stream(_cut(dialect.frames(body, _said("a", "b", "c")), frame))
            case "picky" if "temperature" in body:
                error = {"message": "Unsupported value.", "param": "temperature", "code": "unsupported_value"}
                return JSONResponse({"error": error}, 400)
            case "picky":
                return self._stream(dialect.frames(body, _said("Fine.")))
            case "saying":
                text = fault.texts[min(len(self.log.bodies), len(fault.texts)) - 1]
                return self._stream(dialect.frames(body, _said(text)))
            case "endless":
                return self._stream(dialect.frames(body, _without_end(self.log)))
            case _:
                return RedirectResponse(fault.elsewhere)

    def _stream(self, frames: AsyncIterator[bytes]) -> Response:
        return StreamingResponse(frames, media_type=self._dialect.media)

    def _error(self, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
        return JSONResponse(self._dialect.error(status, message), status, headers)


async def _said(*texts: str) -> AsyncIterator[Part]:
    for text in texts:
        yield Part(text)
    yield Part("", 7, len(texts), "stop")


async def _without_end(log: Log) -> AsyncIterator[Part]:
    try:
        while True:
            yield Part("on and on " * 50)
            await asyncio.sleep(0)
    finally:
        log.abandoned += 1


async def _cut(frames: AsyncIterator[bytes], last: bytes = b"") -> AsyncIterator[bytes]:
    """Yield the first frames, then the last one, or break the connection."""
    number = 0
    async for frame in frames:
        yield frame
        number += 1
        if number == 3 and last:
            yield last
            return
        if number == 3:
            raise ConnectionAbortedError


class Servers:
    """The servers of some tests, over one model or none: one port, a path for each server."""

    key = KEY
    model = MODEL

    def __init__(self, small: SmallModel | None = None) -> None:
        self._small = small
        self._app = FastAPI()
        config = uvicorn.Config(
            self._app, host="127.0.0.1", port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self._port = self._server.servers[0].sockets[0].getsockname()[1]
        self._numbers = itertools.count()

    @property
    def direct(self) -> str:
        """Return the address of llama.cpp's own server, which speaks OpenAI's API."""
        assert self._small is not None
        return self._small.address

    @contextmanager
    def serve(self, protocol: str, kind: Kind = "", **how: Any) -> Iterator[LlmServer]:
        """Yield a server of an API, with a fault or without."""
        path = f"/{next(self._numbers)}"
        root = f"http://127.0.0.1:{self._port}{path}"
        server = LlmServer(self._small, protocol, Fault(kind, **how), root)
        self._app.mount(path, server.app)
        yield server

    def close(self) -> None:
        """End them all."""
        self._server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()
