"""Provider ``openai``: OpenAI, and every server that speaks its chat completions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from workbench.llm._openai_api import list_models, stream_chat
from workbench.llm.base import Provider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from workbench.llm.base import Endpoint, Piece, Request

__all__ = ["OpenAI"]


class OpenAI(Provider):
    """OpenAI's API or a compatible one; a schema goes as ``response_format``."""

    requires = ("openai",)
    extra = "llm"
    protocol: ClassVar[str] = "openai"
    address: ClassVar[str] = "https://api.openai.com/v1"
    key_variable: ClassVar[str] = "OPENAI_API_KEY"

    def stream(self, request: Request, endpoint: Endpoint) -> AsyncIterator[Piece]:
        """Send a request and yield the answer as it comes."""
        return stream_chat("openai", request, endpoint)

    async def models(self, endpoint: Endpoint) -> Sequence[str]:
        """Return the names of the server's models."""
        return await list_models("openai", endpoint)
