"""Provider ``anthropic``: the Messages API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from workbench.llm.base import CONNECT_SECONDS, Piece, Provider, Usage, failure, garbled, interrupted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from anthropic import AsyncAnthropic

    from workbench.errors import ProviderError
    from workbench.llm.base import Endpoint, Request

__all__ = ["Anthropic"]

_TOOL = "answer"
_STATUS = {  # of errors that come within a stream, which has begun with 200
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}


class Anthropic(Provider):
    """The Messages API; a schema goes as the input of the one tool that has to be used."""

    requires = ("anthropic",)
    extra = "llm"
    protocol: ClassVar[str] = "anthropic"
    address: ClassVar[str] = "https://api.anthropic.com"
    key_variable: ClassVar[str] = "ANTHROPIC_API_KEY"

    async def stream(self, request: Request, endpoint: Endpoint) -> AsyncIterator[Piece]:
        """Send a request and yield the answer as it comes; with a schema, the tool's input as JSON text."""
        import anthropic  # noqa: PLC0415
        import httpx2  # noqa: PLC0415  (what the library sends its requests with)

        sent = received = 0
        ended = ""
        try:
            async with _client(endpoint) as client:
                stream = await client.messages.create(**_arguments(request, endpoint))
                async with stream:
                    async for event in stream:
                        if event.type == "message_start":
                            sent, received = _tokens(event.message.usage)
                        elif event.type == "content_block_delta":
                            yield Piece(_text(event.delta))
                        elif event.type == "message_delta":
                            ended = event.delta.stop_reason or ended
                            counted, received = _tokens(event.usage)
                            sent = counted or sent
        except (anthropic.AnthropicError, httpx2.HTTPError, ValueError, AttributeError, TypeError) as error:
            problem = _translated(endpoint, error)
        else:
            if ended:
                cut = ended in ("max_tokens", "model_context_window_exceeded")
                yield Piece(usage=Usage(sent, received), ended="length" if cut else "stop")
            return
        raise problem

    async def models(self, endpoint: Endpoint) -> Sequence[str]:
        """Return the names of the server's models."""
        import anthropic  # noqa: PLC0415
        import httpx2  # noqa: PLC0415

        try:
            async with _client(endpoint) as client:
                return sorted([model.id async for model in client.models.list()])
        except (anthropic.AnthropicError, httpx2.HTTPError, ValueError, AttributeError, TypeError) as error:
            problem = _translated(endpoint, error)
        raise problem


def _client(endpoint: Endpoint) -> AsyncAnthropic:
    import anthropic  # noqa: PLC0415
    import httpx2  # noqa: PLC0415

    return anthropic.AsyncAnthropic(
        api_key=endpoint.key.reveal() or "none",
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=httpx2.Timeout(endpoint.timeout, connect=min(CONNECT_SECONDS, endpoint.timeout)),
        # a redirect would take the key elsewhere; a proxy is not for this machine
        http_client=anthropic.DefaultAsyncHttpxClient(
            follow_redirects=False, trust_env=not endpoint.on_this_machine
        ),
    )


def _arguments(request: Request, endpoint: Endpoint) -> dict[str, Any]:
    turns = [m for m in request.messages if m.role != "system"]
    system = "\n\n".join(m.content for m in request.messages if m.role == "system")
    arguments: dict[str, Any] = {
        "model": endpoint.model,
        "messages": [{"role": m.role, "content": m.content} for m in turns],
        "max_tokens": request.max_tokens,
        "stream": True,  # the API takes neither a temperature nor a seed
    }
    if system:
        arguments["system"] = system
    if request.schema is not None:
        tool = {"name": _TOOL, "description": "Give the answer.", "input_schema": dict(request.schema)}
        arguments |= {"tools": [tool], "tool_choice": {"type": "tool", "name": _TOOL}}
    return arguments


def _text(delta: Any) -> str:
    """Return the text of a delta: of text, or of a tool's input."""
    text: str = getattr(delta, "text", "") or getattr(delta, "partial_json", "")
    return text


def _tokens(usage: Any) -> tuple[int, int]:
    cached = sum(getattr(usage, f"cache_{kind}_input_tokens", 0) or 0 for kind in ("creation", "read"))
    return (usage.input_tokens or 0) + cached, usage.output_tokens or 0


def _translated(endpoint: Endpoint, error: Exception) -> ProviderError:
    import anthropic  # noqa: PLC0415
    import httpx2  # noqa: PLC0415

    if isinstance(error, anthropic.APIStatusError):
        body = error.body.get("error") if isinstance(error.body, dict) else None
        said = body if isinstance(body, dict) else {}
        status = error.status_code if error.status_code >= 400 else _STATUS.get(str(said.get("type")), 500)
        message = said.get("message") or error.response.reason_phrase
        return failure("anthropic", endpoint, status, str(message), error.response.headers)
    if isinstance(error, anthropic.APIConnectionError | httpx2.HTTPError):
        return interrupted("anthropic", endpoint, error)
    return garbled("anthropic", endpoint, error)
