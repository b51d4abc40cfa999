"""What servers of models reply where something is wrong, as errors: of language models and of embedders."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from workbench.errors import (
    ProviderAuthError,
    ProviderConnectionError,
    ProviderContextError,
    ProviderError,
    ProviderModelError,
    ProviderRateLimitError,
    ProviderReplyError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Asked", "is_this_machine", "kinds", "plain", "retry_after"]

_TRANSIENT = frozenset({408, 409, 425, 500, 502, 503, 504, 529})


@dataclass(frozen=True)
class Asked:
    """Who was asked for what, and what to do where that fails, for messages.

    Attributes:
        where: The server.
        address: Its address.
        model: The model.
        what: What is sent to it: "a text".
        is_long: Returns whether a status and what was said mean that this was too long.
        fixes: What to do where the key, model, length, status, address or format is wrong, by that word.
    """

    where: str
    address: str
    model: str
    what: str
    is_long: Callable[[int, str], bool]
    fixes: Mapping[str, str]

    def failure(
        self, status: int, said: str, after: float | None = None, *, told: bool = False
    ) -> ProviderError:
        """Return the error that an HTTP status means.

        Args:
            status: The status.
            said: What the server says, as :func:`plain` gives it, without a key.
            after: Seconds after which it wants to be asked again.
            told: Whether the message tells them.
        """
        where = self.where
        if status in (401, 403):
            return ProviderAuthError(
                f"it refuses the key ({status}): {said}.", where=where, fix=self._fix("key")
            )
        if status == 404 and "model" in said.casefold():
            return ProviderModelError(
                f'it has no model "{self.model}": {said}.', where=where, fix=self._fix("model")
            )
        if self.is_long(status, said):
            return ProviderContextError(
                f"{self.what} is too long for {self.model}: {said}.", where=where, fix=self._fix("length")
            )
        if status == 429:
            again = f"; it asks to wait {after:g} s" if told and after is not None else ""
            return ProviderRateLimitError(
                f"it has had too many requests{again}: {said}.",
                where=where,
                transient=True,
                retry_after=after,
            )
        again_soon = status in _TRANSIENT
        return ProviderError(
            f"it failed ({status}): {said}.",
            where=where,
            fix="" if again_soon else self._fix("status"),
            transient=again_soon,
            retry_after=after,
        )

    def nobody(self, said: str) -> ProviderConnectionError:
        """Return the error where no connection is made; ``said`` is why, as :func:`plain` gives it."""
        return ProviderConnectionError(
            f"nobody answers at {self.address}: {said or 'no connection'}.",
            where=self.where,
            fix=self._fix("address"),
            transient=True,
        )

    def garbled(self, said: str) -> ProviderReplyError:
        """Return the error for an answer that the API's library cannot read."""
        return ProviderReplyError(
            f"what it sends is not the API's: {said}.", where=self.where, fix=self._fix("format")
        )

    def _fix(self, wrong: str) -> str:
        return self.fixes.get(wrong, "")


def kinds(error: Exception) -> tuple[Exception, set[str]]:
    """Return what an HTTP library's exception comes from, and what both are called with their bases.

    The libraries' exceptions have the same names in httpx and in httpx2.
    """
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    return cause, {kind.__name__ for kind in (*type(cause).__mro__, *type(error).__mro__)}


def plain(text: str, most: int, cut: str = "…") -> str:
    r"""Return a stranger's text as one short line of printable characters, without a full stop.

    >>> plain("wrong\n  key.", 300)
    'wrong key'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split()).rstrip(".")
    return line if len(line) <= most else f"{line[:most]}{cut}"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of ``Retry-After``, also where it is a date; None where there is none."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())


def is_this_machine(address: str) -> bool:
    """Return whether an address is of this machine.

    >>> is_this_machine("http://127.0.0.1:11434"), is_this_machine("http://127.example.org")
    (True, False)
    """
    name = urlsplit(address).hostname or ""
    return name in {"localhost", "::1"} or re.fullmatch(r"127(\.\d{1,3}){3}", name) is not None
