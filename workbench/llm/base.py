"""What a provider is: it speaks one API. Limits, retries and accounts are the client's, for all alike."""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit

from workbench import replies
from workbench.errors import ProviderContextError, ProviderError, ProviderReplyError, ProviderTimeoutError
from workbench.llm.secret import Secret
from workbench.registry import Driver
from workbench.replies import is_this_machine, kinds, retry_after

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

__all__ = [
    "CONNECT_SECONDS",
    "Completion",
    "Endpoint",
    "Message",
    "Piece",
    "Provider",
    "Request",
    "Usage",
    "failure",
]

CONNECT_SECONDS = 10.0
_LONGEST_MESSAGE = 300
_TOO_LONG = re.compile(
    r"context.{0,24}(size|length|window)|(size|length|window).{0,24}context|prompt is too long",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Message:
    """One turn of what a model is given."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Endpoint:
    """Which model of which server.

    Attributes:
        model: Its name there; of the provider in this process, a file.
        base_url: The server's address; empty: the provider's own.
        key: Where the key stands.
        timeout: Seconds after which a silent connection is given up.
    """

    model: str = ""
    base_url: str = ""
    key: Secret = field(default=Secret(""))
    timeout: float = 120.0

    @property
    def host(self) -> str:
        """Return the host and port of the address."""
        return urlsplit(self.base_url).netloc

    @property
    def on_this_machine(self) -> bool:
        """Return whether the address is of this machine.

        >>> Endpoint(base_url="http://127.0.0.1:11434").on_this_machine
        True
        """
        return is_this_machine(self.base_url)


@dataclass(frozen=True)
class Request:
    """What a model is asked.

    Attributes:
        messages: The turns, oldest first; a system message is the first.
        schema: JSON Schema of an object that the answer has to be; None for text.
        max_tokens: The most tokens of the answer.
        temperature: 0 for the likeliest answer, where the provider takes one.
        seed: Seed of the sampling, likewise.
    """

    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 1024
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Usage:
    """Tokens of what was sent and of what came back; ``estimated`` where the provider did not count."""

    sent: int = 0
    received: int = 0
    estimated: bool = False

    @property
    def total(self) -> int:
        """Return the tokens of both."""
        return self.sent + self.received


@dataclass(frozen=True)
class Piece:
    """A part of an answer: some text, and with the last one the count and why the answer ended."""

    text: str = ""
    usage: Usage | None = None
    ended: Literal["", "stop", "length"] = ""


@dataclass(frozen=True)
class Completion:
    """An answer.

    Attributes:
        text: As it came; JSON text where a schema was given.
        data: The parsed object where a schema was given.
        usage: Tokens sent and received.
        provider: Who answered.
        model: With which model.
        seconds: From the first attempt to the last token.
        ended: Why it ended: ``length`` where it was cut at ``max_tokens``.
        attempts: Requests that were sent to this provider.
        passed_over: Providers of the chain that failed before, each with its reason.
    """

    text: str
    data: Any
    usage: Usage
    provider: str
    model: str
    seconds: float
    ended: str = "stop"
    attempts: int = 1
    passed_over: tuple[str, ...] = ()


class Provider(Driver):
    """Speaks one API.

    It sends one request, yields the answer as it comes, and translates its library's exceptions into
    :class:`~workbench.errors.ProviderError` by :func:`failure`. It neither retries nor measures time:
    its stream is ended by closing it, and that ends the request.

    Attributes:
        protocol: Which API it speaks ("openai", "ollama", "anthropic"); empty for a model in this process.
            The conformance suite has a server of each.
        address: The address where none is given.
        default_model: The model where none is given; empty: one has to be named.
        key_variable: The environment variable that customarily holds the key; empty: no key is needed.
    """

    protocol: ClassVar[str] = ""
    address: ClassVar[str] = ""
    default_model: ClassVar[str] = ""
    key_variable: ClassVar[str] = ""

    @abstractmethod
    def stream(self, request: Request, endpoint: Endpoint) -> AsyncIterator[Piece]:
        """Send a request and yield the answer; the last piece says why it ended.

        Raises:
            ProviderError: One of its subclasses wherever it fits.
        """

    @abstractmethod
    async def models(self, endpoint: Endpoint) -> Sequence[str]:
        """Return the names of the models that the server has.

        Raises:
            ProviderError: If the server does not say.
        """


def failure(
    name: str,
    endpoint: Endpoint,
    status: int,
    message: str,
    headers: Mapping[str, str] | None = None,
) -> ProviderError:
    """Return the error that an HTTP status and a server's message mean.

    The server's words are a stranger's: they are shortened to one line, and the key is taken out.

    >>> failure("openai", Endpoint("m", "http://host:1/v1"), 404, "The model `m` does not exist")
    ProviderModelError('it has no model "m": The model `m` does not exist.')
    """
    said = plain(endpoint.key.scrub(message))
    asked = _asked(name, endpoint)
    if status == 404 and "model" not in said.casefold():
        return ProviderError(
            f"there is no such API at {endpoint.base_url}: {said}.",
            where=asked.where,
            fix="Check llm_base_url.",
        )
    found = asked.failure(status, said, retry_after(headers or {}), told=True)
    if status in (408, 504) and not isinstance(found, ProviderContextError):
        return ProviderTimeoutError(
            f"it took too long ({status}): {said}.", where=asked.where, transient=True
        )
    return found


def interrupted(name: str, endpoint: Endpoint, error: Exception) -> ProviderError:
    """Return the error that an HTTP library's exception means: nobody there, too slow, or broken off."""
    cause, names = kinds(error)
    asked = _asked(name, endpoint)
    if names & {"ConnectError", "ConnectTimeout", "UnsupportedProtocol", "InvalidURL", "ConnectionError"}:
        return asked.nobody(plain(endpoint.key.scrub(str(cause))))
    if "TimeoutException" in names:
        return ProviderTimeoutError("it does not answer in time.", where=asked.where, transient=True)
    return ProviderReplyError("the answer broke off in the middle.", where=asked.where, transient=True)


def garbled(name: str, endpoint: Endpoint, error: Exception) -> ProviderError:
    """Return the error for an answer that the API's library cannot read."""
    return _asked(name, endpoint).garbled(plain(endpoint.key.scrub(str(error))))


def plain(text: str) -> str:
    r"""Return a stranger's text as one short line of printable characters, without a full stop.

    >>> plain("wrong\n  key.")
    'wrong key'
    """
    return replies.plain(text, _LONGEST_MESSAGE)


def _asked(name: str, endpoint: Endpoint) -> replies.Asked:
    key = endpoint.key
    return replies.Asked(
        where=f"{name} at {endpoint.host}" if endpoint.host else name,
        address=endpoint.base_url,
        model=endpoint.model,
        what="what was sent",
        is_long=lambda status, said: status == 413 or (status < 500 and _TOO_LONG.search(said) is not None),
        fixes={
            "key": f"Check the key in {key.reference}." if key else "Give a key in llm_api_key.",
            "length": "Ask more narrowly, or take a model with a longer context.",
            "address": "Check llm_base_url and whether the server runs.",
        },
    )
