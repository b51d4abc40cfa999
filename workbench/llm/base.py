"""What a provider is: it speaks one API. Limits, retries and accounts are the client's, for all alike."""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit

from workbench.errors import (
    ProviderAuthError,
    ProviderConnectionError,
    ProviderContextError,
    ProviderError,
    ProviderModelError,
    ProviderRateLimitError,
    ProviderReplyError,
    ProviderTimeoutError,
)
from workbench.llm.secret import Secret
from workbench.registry import Driver

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
_OVERLOADED = frozenset({408, 409, 425, 500, 502, 503, 504, 529})


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
        name = urlsplit(self.base_url).hostname or ""
        return name in {"localhost", "::1"} or re.fullmatch(r"127(\.\d{1,3}){3}", name) is not None


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


def failure(  # noqa: PLR0911  (one for each kind of error)
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
    where = f"{name} at {endpoint.host}" if endpoint.host else name
    after = _retry_after(headers or {})
    if status in (401, 403):
        fix = f"Check the key in {endpoint.key.reference}." if endpoint.key else "Give a key in llm_api_key."
        return ProviderAuthError(f"it refuses the key ({status}): {said}.", where=where, fix=fix)
    if status == 404 and "model" in said.casefold():
        return ProviderModelError(f'it has no model "{endpoint.model}": {said}.', where=where)
    if status == 404:
        return ProviderError(
            f"there is no such API at {endpoint.base_url}: {said}.", where=where, fix="Check llm_base_url."
        )
    if status == 413 or (status < 500 and _TOO_LONG.search(said)):
        return ProviderContextError(
            f"what was sent is too long for {endpoint.model}: {said}.",
            where=where,
            fix="Ask more narrowly, or take a model with a longer context.",
        )
    if status == 429:
        again = f"; it asks to wait {after:g} s" if after is not None else ""
        return ProviderRateLimitError(
            f"it has had too many requests{again}: {said}.", where=where, transient=True, retry_after=after
        )
    if status in (408, 504):
        return ProviderTimeoutError(f"it took too long ({status}): {said}.", where=where, transient=True)
    return ProviderError(
        f"it failed ({status}): {said}.", where=where, transient=status in _OVERLOADED, retry_after=after
    )


def interrupted(name: str, endpoint: Endpoint, error: Exception) -> ProviderError:
    """Return the error that an HTTP library's exception means: nobody there, too slow, or broken off.

    The libraries' exceptions have the same names in httpx and in httpx2.
    """
    cause = error.__cause__ or error
    kinds = {kind.__name__ for kind in (*type(cause).__mro__, *type(error).__mro__)}
    where = f"{name} at {endpoint.host}"
    if kinds & {"ConnectError", "ConnectTimeout", "UnsupportedProtocol", "InvalidURL", "ConnectionError"}:
        said = plain(endpoint.key.scrub(str(cause))) or "no connection"
        return ProviderConnectionError(
            f"nobody answers at {endpoint.base_url}: {said}.",
            where=where,
            fix="Check llm_base_url and whether the server runs.",
            transient=True,
        )
    if "TimeoutException" in kinds:
        return ProviderTimeoutError("it does not answer in time.", where=where, transient=True)
    return ProviderReplyError("the answer broke off in the middle.", where=where, transient=True)


def garbled(name: str, endpoint: Endpoint, error: Exception) -> ProviderError:
    """Return the error for an answer that the API's library cannot read."""
    said = plain(endpoint.key.scrub(str(error)))
    return ProviderReplyError(f"what it sends is not the API's: {said}.", where=f"{name} at {endpoint.host}")


def plain(text: str) -> str:
    r"""Return a stranger's text as one short line of printable characters, without a full stop.

    >>> plain("wrong\n  key.")
    'wrong key'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split()).rstrip(".")
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of ``Retry-After``, also where it is a date; None where there is none."""
    from datetime import UTC, datetime  # noqa: PLC0415
    from email.utils import parsedate_to_datetime  # noqa: PLC0415

    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())
