"""Embedder ``openai``: OpenAI, and every server that speaks its embeddings API."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from workbench.embedders._remote import CONNECT_SECONDS, Remote

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OpenAI"]


class OpenAI(Remote):
    """The models of OpenAI's API or of a compatible one, by ``/v1/embeddings``."""

    requires: ClassVar[tuple[str, ...]] = ("openai",)
    extra: ClassVar[str] = "llm"
    protocol: ClassVar[str] = "openai"
    address: ClassVar[str] = "https://api.openai.com/v1"
    default_model: ClassVar[str] = "text-embedding-3-small"
    key_variable: ClassVar[str] = "OPENAI_API_KEY"

    def request(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return what the server answers, in the order of the texts."""
        import httpx2  # noqa: PLC0415  (what the library sends its requests with)
        import openai  # noqa: PLC0415

        client = openai.OpenAI(
            api_key=self.key or "none",
            base_url=self.base_url,
            max_retries=0,
            timeout=httpx2.Timeout(self.timeout, connect=min(CONNECT_SECONDS, self.timeout)),
            # a redirect would take texts and key elsewhere; a proxy is not for this machine
            http_client=openai.DefaultHttpxClient(follow_redirects=False, trust_env=self.leaves_machine),
        )
        try:
            with client:
                answer = client.embeddings.create(model=self.name, input=list(texts), encoding_format="float")
                return [row.embedding for row in sorted(answer.data, key=lambda row: row.index)]
        except openai.APIStatusError as error:
            body = error.body if isinstance(error.body, dict) else {}
            message = body.get("message") or error.response.reason_phrase
            problem = self.failure(error.status_code, str(message), error.response.headers)
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            problem = self.interrupted(error)
        except (openai.OpenAIError, ValueError, AttributeError, TypeError) as error:
            problem = self.garbled(error)
        raise problem
