"""How each API looks: its paths, its requests, its frames, its errors."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from llm_servers.model import MODEL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llm_servers.model import Part

__all__ = ["DIALECTS", "Dialect"]


class Dialect(ABC):
    """One API."""

    prefix: ClassVar[str] = ""
    chat: ClassVar[str]
    embed: ClassVar[str] = ""
    models: ClassVar[str]
    media: ClassVar[str] = "text/event-stream"

    @abstractmethod
    def key(self, headers: dict[str, str]) -> str:
        """Return the key that a request carries."""

    @abstractmethod
    def understand(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return a request in the form of OpenAI's API."""

    @abstractmethod
    def frames(self, body: dict[str, Any], parts: AsyncIterator[Part]) -> AsyncIterator[bytes]:
        """Yield an answer as this API streams it."""

    @abstractmethod
    def error(self, status: int, message: str) -> dict[str, Any]:
        """Return the body of an error."""

    @abstractmethod
    def listing(self) -> dict[str, Any]:
        """Return the models that there are."""

    def embedded(self, vectors: list[list[float]]) -> dict[str, Any]:
        """Return the answer to a request for embeddings."""
        raise NotImplementedError

    def frame_of(self, error: dict[str, Any]) -> bytes:
        """Return an error as a frame of a stream."""
        return _sse(error, "error")

    def unknown(self, model: str) -> str:
        """Return what is said of a model that is not there."""
        return f"The model `{model}` does not exist or you do not have access to it."

    def too_long(self, message: str) -> str:
        """Return what is said of a prompt that is too long."""
        return message


def _sse(data: dict[str, Any], event: str = "") -> bytes:
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


class OpenAI(Dialect):
    """OpenAI's chat completions."""

    prefix = "/v1"
    chat = "/v1/chat/completions"
    embed = "/v1/embeddings"
    models = "/v1/models"

    def key(self, headers: dict[str, str]) -> str:
        return headers.get("authorization", "").removeprefix("Bearer ")

    def understand(self, body: dict[str, Any]) -> dict[str, Any]:
        taken = ("messages", "max_tokens", "temperature", "seed", "response_format")
        return {name: body[name] for name in taken if name in body}

    async def frames(self, body: dict[str, Any], parts: AsyncIterator[Part]) -> AsyncIterator[bytes]:
        head = {"id": "c1", "object": "chat.completion.chunk", "created": 0, "model": body["model"]}
        async for part in parts:
            delta = {"index": 0, "delta": {"content": part.text}, "finish_reason": part.ended or None}
            yield _sse({**head, "choices": [delta]})
            if part.ended:
                usage = {"prompt_tokens": part.sent, "completion_tokens": part.received, "total_tokens": 0}
                yield _sse({**head, "choices": [], "usage": usage})
        yield b"data: [DONE]\n\n"

    def error(self, status: int, message: str) -> dict[str, Any]:
        return {"error": {"message": message, "type": "error", "param": None, "code": None}}

    def embedded(self, vectors: list[list[float]]) -> dict[str, Any]:
        rows = [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        # the API does not promise an order, it numbers them
        return {"object": "list", "data": rows[::-1], "model": MODEL, "usage": usage}

    def frame_of(self, error: dict[str, Any]) -> bytes:
        return _sse(error)

    def listing(self) -> dict[str, Any]:
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "tests"}
        return {"object": "list", "data": [model]}


class Ollama(Dialect):
    """Ollama's own API: JSON lines."""

    chat = "/api/chat"
    embed = "/api/embed"
    models = "/api/tags"
    media = "application/x-ndjson"

    def key(self, headers: dict[str, str]) -> str:
        return headers.get("authorization", "").removeprefix("Bearer ")

    def understand(self, body: dict[str, Any]) -> dict[str, Any]:
        options = body.get("options") or {}
        request = {
            "messages": body["messages"],
            "max_tokens": options.get("num_predict", 128),
            "temperature": options.get("temperature", 0.8),
            "seed": options.get("seed", 0),
        }
        if body.get("format"):
            schema = {"name": "format", "schema": body["format"]}
            request["response_format"] = {"type": "json_schema", "json_schema": schema}
        return request

    async def frames(self, body: dict[str, Any], parts: AsyncIterator[Part]) -> AsyncIterator[bytes]:
        head = {"model": body["model"], "created_at": "2025-06-12T10:00:00Z"}
        async for part in parts:
            line: dict[str, Any] = {**head, "message": {"role": "assistant", "content": part.text}}
            line["done"] = bool(part.ended)
            if part.ended:
                line |= {
                    "done_reason": part.ended,
                    "prompt_eval_count": part.sent,
                    "eval_count": part.received,
                }
            yield json.dumps(line).encode() + b"\n"

    def error(self, status: int, message: str) -> dict[str, Any]:
        return {"error": message}

    def embedded(self, vectors: list[list[float]]) -> dict[str, Any]:
        return {"model": MODEL, "embeddings": vectors, "total_duration": 1, "prompt_eval_count": 1}

    def listing(self) -> dict[str, Any]:
        return {"models": [{"model": MODEL, "name": MODEL, "size": 98_362_432, "digest": "0"}]}

    def frame_of(self, error: dict[str, Any]) -> bytes:
        return json.dumps(error).encode() + b"\n"

    def unknown(self, model: str) -> str:
        return f"model '{model}' not found"

    def too_long(self, message: str) -> str:
        return "the input length exceeds the context length"


class Anthropic(Dialect):
    """The Messages API; with a tool that has to be used, its input follows the tool's schema."""

    chat = "/v1/messages"
    models = "/v1/models"
    _types: ClassVar[dict[int, str]] = {
        401: "authentication_error",
        404: "not_found_error",
        429: "rate_limit_error",
        500: "api_error",
    }

    def key(self, headers: dict[str, str]) -> str:
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        return headers.get("x-api-key", bearer)

    def understand(self, body: dict[str, Any]) -> dict[str, Any]:
        system = [{"role": "system", "content": body["system"]}] if body.get("system") else []
        request = {
            "messages": [*system, *body["messages"]],
            "max_tokens": body["max_tokens"],
            "temperature": 0,
        }
        if tool := _forced(body):
            schema = {"name": "input", "schema": tool["input_schema"]}
            request["response_format"] = {"type": "json_schema", "json_schema": schema}
        return request

    async def frames(self, body: dict[str, Any], parts: AsyncIterator[Part]) -> AsyncIterator[bytes]:
        tool = _forced(body)
        usage = {"input_tokens": 0, "output_tokens": 0}
        message = {
            "id": "m1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        yield _sse({"type": "message_start", "message": message}, "message_start")
        block: dict[str, Any] = {"type": "text", "text": ""}
        if tool:
            block = {"type": "tool_use", "id": "t1", "name": tool["name"], "input": {}}
        start = {"type": "content_block_start", "index": 0, "content_block": block}
        yield _sse(start, "content_block_start")
        async for part in parts:
            delta = {"type": "text_delta", "text": part.text}
            if tool:
                delta = {"type": "input_json_delta", "partial_json": part.text}
            yield _sse({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")
            if part.ended:
                yield _sse({"type": "content_block_stop", "index": 0}, "content_block_stop")
                reason = "max_tokens" if part.ended == "length" else "tool_use" if tool else "end_turn"
                usage = {"input_tokens": part.sent, "output_tokens": part.received}
                end = {"stop_reason": reason, "stop_sequence": None}
                yield _sse({"type": "message_delta", "delta": end, "usage": usage}, "message_delta")
        yield _sse({"type": "message_stop"}, "message_stop")

    def error(self, status: int, message: str) -> dict[str, Any]:
        kind = self._types.get(status, "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": message}}

    def listing(self) -> dict[str, Any]:
        model = {"type": "model", "id": MODEL, "display_name": MODEL, "created_at": "2025-06-12T10:00:00Z"}
        return {"data": [model], "has_more": False, "first_id": MODEL, "last_id": MODEL}

    def unknown(self, model: str) -> str:
        return f"model: {model}"

    def too_long(self, message: str) -> str:
        return "prompt is too long: 9031 tokens > 4096 maximum"


def _forced(body: dict[str, Any]) -> dict[str, Any] | None:
    choice = body.get("tool_choice") or {}
    if choice.get("type") != "tool":
        return None
    return next(tool for tool in body["tools"] if tool["name"] == choice["name"])


DIALECTS: dict[str, type[Dialect]] = {"openai": OpenAI, "ollama": Ollama, "anthropic": Anthropic}
