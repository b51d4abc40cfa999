"""Embedder ``ollama``: a model server on this machine or in the house."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from workbench.embedders._remote import CONNECT_SECONDS, Remote

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Ollama"]


class Ollama(Remote):
    """The models that an Ollama server has, by ``/api/embed``."""

    requires: ClassVar[tuple[str, ...]] = ("ollama",)
    extra: ClassVar[str] = "llm"
    protocol: ClassVar[str] = "ollama"
    address: ClassVar[str] = "http://127.0.0.1:11434"
    default_model: ClassVar[str] = "nomic-embed-text"

    def request(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return what the server answers."""
        import httpx  # noqa: PLC0415  (what the library sends its requests with)
        import ollama  # noqa: PLC0415

        key = self.key
        client = ollama.Client(
            self.base_url,
            headers={"authorization": f"Bearer {key}"} if key else None,
            timeout=httpx.Timeout(self.timeout, connect=min(CONNECT_SECONDS, self.timeout)),
            # a redirect would take texts and key elsewhere; a proxy is not for this machine
            follow_redirects=False,
            trust_env=self.leaves_machine,
        )
        try:
            with client:
                return client.embed(model=self.name, input=list(texts)).embeddings
        except ollama.ResponseError as error:
            response = getattr(error.__context__, "response", None)
            headers = response.headers if response is not None else None
            problem = self.failure(error.status_code, str(error.error), headers)
        except (httpx.HTTPError, ConnectionError) as error:
            problem = self.interrupted(error)
        except (ValueError, AttributeError, TypeError) as error:
            problem = self.garbled(error)
        raise problem
