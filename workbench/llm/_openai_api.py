"""The chat completions of OpenAI's API, which many servers speak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.llm.base import CONNECT_SECONDS, Piece, Usage, failure, garbled, interrupted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from openai import AsyncOpenAI

    from workbench.errors import ProviderError
    from workbench.llm.base import Endpoint, Request

__all__ = ["list_models", "stream_chat"]

_OWN = "api.openai.com"  # newer models there know only the longer name of the limit
_OPTIONAL = ("temperature", "seed")


async def stream_chat(name: str, request: Request, endpoint: Endpoint) -> AsyncIterator[Piece]:
    """Send a request and yield the answer.

    Args:
        name: Of the provider, for messages.
        request: What is asked.
        endpoint: Where.

    Raises:
        ProviderError: One of its subclasses.
    """
    import httpx2  # noqa: PLC0415  (what the library sends its requests with)
    import openai  # noqa: PLC0415

    arguments = _arguments(request, endpoint)
    ended, usage = "", None
    try:
        async with _client(endpoint) as client:
            try:
                stream = await client.chat.completions.create(**arguments)
            except openai.BadRequestError as error:
                if not _forgo(arguments, error):
                    raise
                stream = await client.chat.completions.create(**arguments)
            async with stream:
                async for chunk in stream:
                    if chunk.usage is not None:
                        usage = Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
                    for choice in chunk.choices[:1]:
                        ended = choice.finish_reason or ended
                        yield Piece(choice.delta.content or "")
    except (openai.OpenAIError, httpx2.HTTPError, ValueError, AttributeError, TypeError) as error:
        problem = _translated(name, endpoint, error)
    else:
        if ended:
            yield Piece(usage=usage, ended="length" if ended == "length" else "stop")
        return
    raise problem


async def list_models(name: str, endpoint: Endpoint) -> list[str]:
    """Return the names of the server's models.

    Raises:
        ProviderError: If it does not say.
    """
    import httpx2  # noqa: PLC0415
    import openai  # noqa: PLC0415

    try:
        async with _client(endpoint) as client:
            return sorted([model.id async for model in client.models.list()])
    except (openai.OpenAIError, httpx2.HTTPError, ValueError, AttributeError, TypeError) as error:
        problem = _translated(name, endpoint, error)
    raise problem


def _client(endpoint: Endpoint) -> AsyncOpenAI:
    import httpx2  # noqa: PLC0415
    import openai  # noqa: PLC0415

    return openai.AsyncOpenAI(
        api_key=endpoint.key.reveal() or "none",
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=httpx2.Timeout(endpoint.timeout, connect=min(CONNECT_SECONDS, endpoint.timeout)),
        # a redirect would take the key elsewhere; a proxy is not for this machine
        http_client=openai.DefaultAsyncHttpxClient(
            follow_redirects=False, trust_env=not endpoint.on_this_machine
        ),
    )


def _arguments(request: Request, endpoint: Endpoint) -> dict[str, Any]:
    limit = "max_completion_tokens" if endpoint.host == _OWN else "max_tokens"
    arguments: dict[str, Any] = {
        "model": endpoint.model,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        limit: request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.schema is not None:
        schema = {"name": "answer", "strict": True, "schema": dict(request.schema)}
        arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
    return arguments


def _forgo(arguments: dict[str, Any], error: Any) -> bool:
    """Take out what the model says that it does not take; return whether that was it."""
    named = getattr(error, "param", None)
    if named == "max_tokens" and named in arguments:
        arguments["max_completion_tokens"] = arguments.pop("max_tokens")
        return True
    if named in _OPTIONAL and named in arguments:
        for option in _OPTIONAL:
            arguments.pop(option, None)
        return True
    return False


def _translated(name: str, endpoint: Endpoint, error: Exception) -> ProviderError:
    import httpx2  # noqa: PLC0415
    import openai  # noqa: PLC0415

    if isinstance(error, openai.APIStatusError):
        body = error.body if isinstance(error.body, dict) else {}
        message = body.get("message") or error.response.reason_phrase
        return failure(name, endpoint, error.status_code, str(message), error.response.headers)
    if isinstance(error, openai.APIConnectionError | httpx2.HTTPError):
        return interrupted(name, endpoint, error)
    if isinstance(error, openai.APIError):  # an error that the server reports within its stream
        return failure(name, endpoint, 500, str(error.message))
    return garbled(name, endpoint, error)
