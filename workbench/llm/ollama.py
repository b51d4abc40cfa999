"""Provider ``ollama``: a model server on this machine or in the house."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from workbench.llm.base import CONNECT_SECONDS, Piece, Provider, Usage, failure, garbled, interrupted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from ollama import AsyncClient

    from workbench.errors import ProviderError
    from workbench.llm.base import Endpoint, Request

__all__ = ["Ollama"]

_CONTEXT_STEP = 2048


class Ollama(Provider):
    """Ollama's own API; a schema goes as ``format``, and the context is made as long as the request needs."""

    requires = ("ollama",)
    extra = "llm"
    protocol: ClassVar[str] = "ollama"
    address: ClassVar[str] = "http://127.0.0.1:11434"

    async def stream(self, request: Request, endpoint: Endpoint) -> AsyncIterator[Piece]:
        """Send a request and yield the answer as it comes."""
        import httpx  # noqa: PLC0415  (what the library sends its requests with)
        import ollama  # noqa: PLC0415

        last: Any = None
        try:
            async with _client(endpoint) as client:
                stream = await client.chat(
                    model=endpoint.model,
                    messages=[{"role": m.role, "content": m.content} for m in request.messages],
                    stream=True,
                    format=dict(request.schema) if request.schema is not None else None,
                    options=_options(request),
                )
                async for part in stream:
                    last = part if part.done else last
                    yield Piece(part.message.content or "")
        except (
            ollama.ResponseError, httpx.HTTPError, ConnectionError, ValueError, AttributeError, TypeError
        ) as error:  # fmt: skip
            problem = _translated(endpoint, error)
        else:
            if last is not None:
                usage = Usage(last.prompt_eval_count or 0, last.eval_count or 0)
                yield Piece(usage=usage, ended="length" if last.done_reason == "length" else "stop")
            return
        raise problem

    async def models(self, endpoint: Endpoint) -> Sequence[str]:
        """Return the names of the server's models."""
        import httpx  # noqa: PLC0415
        import ollama  # noqa: PLC0415

        try:
            async with _client(endpoint) as client:
                return sorted(str(model.model) for model in (await client.list()).models)
        except (
            ollama.ResponseError, httpx.HTTPError, ConnectionError, ValueError, AttributeError, TypeError
        ) as error:  # fmt: skip
            problem = _translated(endpoint, error)
        raise problem


def _client(endpoint: Endpoint) -> AsyncClient:
    import httpx  # noqa: PLC0415
    import ollama  # noqa: PLC0415

    key = endpoint.key.reveal()
    return ollama.AsyncClient(
        endpoint.base_url,
        headers={"authorization": f"Bearer {key}"} if key else None,
        timeout=httpx.Timeout(endpoint.timeout, connect=min(CONNECT_SECONDS, endpoint.timeout)),
        # a redirect would take the key elsewhere; a proxy is not for this machine
        follow_redirects=False,
        trust_env=not endpoint.on_this_machine,
    )


def _options(request: Request) -> dict[str, Any]:
    # where a prompt is longer than the context, Ollama cuts its beginning off without a word
    needed = sum(len(m.content) for m in request.messages) // 2 + request.max_tokens
    return {
        "temperature": request.temperature,
        "seed": request.seed,
        "num_predict": request.max_tokens,
        "num_ctx": -(-needed // _CONTEXT_STEP) * _CONTEXT_STEP,
    }


def _translated(endpoint: Endpoint, error: Exception) -> ProviderError:
    import httpx  # noqa: PLC0415
    import ollama  # noqa: PLC0415

    if isinstance(error, ollama.ResponseError):
        # an error within the stream has no status of its own
        status = error.status_code if error.status_code >= 400 else 500
        response = getattr(error.__context__, "response", None)
        headers = response.headers if response is not None else None
        return failure("ollama", endpoint, status, str(error.error), headers)
    if isinstance(error, ConnectionError | httpx.HTTPError):
        return interrupted("ollama", endpoint, error)
    return garbled("ollama", endpoint, error)
