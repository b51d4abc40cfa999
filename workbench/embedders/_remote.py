"""What embedders behind a server share: retries, checks of what comes back, errors."""

from __future__ import annotations

import os
import re
import time
from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

import numpy as np

from workbench.embedders.base import Embedder
from workbench.errors import (
    ConfigError,
    ProviderAuthError,
    ProviderError,
    ProviderReplyError,
    ProviderTimeoutError,
)
from workbench.replies import Asked, is_this_machine, kinds, plain, retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["CONNECT_SECONDS", "Remote"]

CONNECT_SECONDS = 5.0
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_LONGEST_MESSAGE = 200
_ADDRESS = re.compile(r"https?://[^\s/?#@]+(/[^\s?#@]*)?")
_TOO_LONG = re.compile(r"context|too long|maximum", re.IGNORECASE)
_FIXES = {
    "key": "Check the key that embedder_api_key points to.",
    "model": "Name another in the setting embedder, or load it there.",
    "status": "Check embedder_base_url.",
    "address": "Check embedder_base_url and whether the server runs.",
    "format": "Check embedder_base_url.",
}


class Remote(Embedder):
    """An embedder behind a server's API.

    A driver writes :meth:`request`: one request, its library's exceptions translated by :meth:`failure`,
    :meth:`interrupted` and :meth:`garbled`. A request that may succeed in a moment is sent again.

    Attributes:
        address: The server where none is given.
        default_model: The model where none is given.
        key_variable: The environment variable that customarily holds the key.

    Args:
        model: Its name at the server.
        base_url: The server's address.
        key: Returns the key when a request is made.
        timeout: Seconds after which a silent request is given up.
        retries: How often a request is sent again.
        pause: Waits some seconds.

    Raises:
        ConfigError: If the address is none.
    """

    batch: ClassVar[int] = 64
    takes_model: ClassVar[bool] = True
    address: ClassVar[str]
    default_model: ClassVar[str]
    key_variable: ClassVar[str] = ""

    def __init__(  # noqa: PLR0913  (each has a default)
        self,
        model: str = "",
        *,
        base_url: str = "",
        key: Callable[[], str] | None = None,
        timeout: float = 60.0,
        retries: int = 3,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = model or self.default_model
        self.model = f"{self.protocol}:{self.name}"
        self.licence = f"as {self.name} says"
        self.base_url = base_url or self.address
        if not _ADDRESS.fullmatch(self.base_url):
            raise ConfigError(
                "the address must be http(s)://host[:port][/path], without a name or a key in it.",
                where="embedder_base_url",
            )
        self.host = urlsplit(self.base_url).netloc
        self.leaves_machine = not is_this_machine(self.base_url)
        self.timeout, self.retries = timeout, retries
        self._key, self._pause = key, pause

    @property
    def key(self) -> str:
        """Return the key, or an empty string where none is needed."""
        return self._key() if self._key is not None else os.environ.get(self.key_variable, "")

    @cached_property
    def dimension(self) -> int:
        """Return how many numbers a vector has: the server is asked once."""
        return int(self._sent(["dimension"]).shape[1])

    @abstractmethod
    def request(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return what the server answers to one request.

        Raises:
            ProviderError: One of its subclasses wherever it fits.
        """

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the server's vectors."""
        vectors = self._sent(texts)
        if vectors.shape[1] != self.dimension:
            raise ProviderReplyError(
                f"its vectors have {vectors.shape[1]} numbers now, they had {self.dimension}.",
                where=self._where,
                fix="Check whether its model was changed.",
            )
        return vectors

    def _sent(self, texts: Sequence[str]) -> NDArray[np.float32]:
        wait = _FIRST_WAIT
        for attempt in range(self.retries + 1):
            try:
                return self._checked(texts, self.request(texts))
            except ProviderError as error:
                wanted = max(wait, error.retry_after or 0.0)
                if not error.transient or attempt == self.retries or wanted > _LONGEST_WAIT:
                    raise
            self._pause(wanted)
            wait *= 2
        raise AssertionError  # pragma: no cover  (the last attempt returns or raises)

    def _checked(self, texts: Sequence[str], answer: Sequence[Sequence[float]]) -> NDArray[np.float32]:
        try:
            vectors = np.asarray(answer, np.float32)
        except (TypeError, ValueError) as error:
            raise self.garbled(error) from None
        if vectors.ndim != 2 or len(vectors) != len(texts) or not vectors.shape[1]:
            raise ProviderReplyError(
                f"it was sent {len(texts)} texts and answers {vectors.shape}.", where=self._where
            )
        if not np.isfinite(vectors).all():
            raise ProviderReplyError("its vectors hold values that are no numbers.", where=self._where)
        return vectors

    # what is made of a library's exceptions

    @property
    def _where(self) -> str:
        return f"{self.protocol} at {self.host}"

    @property
    def _asked(self) -> Asked:
        return Asked(self._where, self.base_url, self.name, "a text", _is_long, _FIXES)

    def failure(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> ProviderError:
        """Return the error that an HTTP status and a server's message mean; the key is taken out."""
        after = retry_after(headers or {}) if status == 429 else None
        return self._asked.failure(status, self._plain(message), after)

    def interrupted(self, error: Exception) -> ProviderError:
        """Return the error that an HTTP library's exception means: nobody there, or too slow."""
        cause, names = kinds(error)
        if "TimeoutException" in names and "ConnectTimeout" not in names:
            return ProviderTimeoutError("it does not answer in time.", where=self._where, transient=True)
        return self._asked.nobody(self._plain(str(cause)))

    def garbled(self, error: Exception) -> ProviderError:
        """Return the error for an answer that the API's library cannot read."""
        return self._asked.garbled(self._plain(str(error)))

    def _plain(self, text: str) -> str:
        """Return a stranger's text as one short line without the key."""
        try:
            key = self.key
        except (ConfigError, ProviderAuthError):
            key = ""
        return plain(text.replace(key, "[key]") if key else text, _LONGEST_MESSAGE, cut="")


def _is_long(status: int, said: str) -> bool:
    return status in (400, 413) and _TOO_LONG.search(said) is not None
