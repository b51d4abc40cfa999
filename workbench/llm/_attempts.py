"""The attempts at one provider: each within what is left of the time, each booked."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from workbench.errors import ConfigError, ProviderError, ProviderReplyError, ProviderTimeoutError
from workbench.llm.accounts import Entry
from workbench.llm.base import Completion, Usage, plain
from workbench.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from workbench.llm.accounts import Accounts
    from workbench.llm.base import Piece, Request
    from workbench.llm.client import Link

__all__ = ["Attempts", "estimate"]

_log = get_logger("llm")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0  # seconds
_CHARACTERS_A_TOKEN = 3  # of schemas and prose, on the safe side
_MOST_CHARACTERS_A_TOKEN = 64  # more than any tokenizer's: such an answer has no end
_FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL)


def estimate(text: str) -> int:
    """Return about how many tokens a text has, rather too many.

    >>> estimate("departures by carrier")
    7
    """
    return -(-len(text) // _CHARACTERS_A_TOKEN)


@dataclass
class _Answer:
    """What has come so far."""

    parts: list[str] = field(default_factory=list)
    length: int = 0
    usage: Usage | None = None
    ended: Literal["", "stop", "length"] = ""

    def take(self, piece: Piece) -> None:
        if piece.text:
            self.parts.append(piece.text)
            self.length += len(piece.text)
        self.usage = piece.usage or self.usage
        self.ended = piece.ended or self.ended


@dataclass
class Attempts:
    """One request at one provider, sent again while that may help and there is time.

    Attributes:
        link: The provider.
        request: What is asked.
        session: Whose tokens it takes.
        accounts: Where they are booked.
        deadline: When all has to be over, on the monotonic clock.
        retries: How often it is sent again.
        on_text: Given each piece; from the first one on nothing is sent again, for it would come twice.
        shown: Whether it was given one.
    """

    link: Link
    request: Request
    session: str
    accounts: Accounts
    deadline: float
    retries: int
    on_text: Callable[[str], None] | None
    shown: bool = False

    def __post_init__(self) -> None:
        """Note the time, and about how much is sent."""
        self._started = time.monotonic()
        schema = json.dumps(self.request.schema) if self.request.schema else ""
        self._sent = estimate("".join(m.content for m in self.request.messages) + schema)

    async def run(self) -> Completion | ProviderError:
        """Return the answer, or the last attempt's error."""
        number = 0
        while True:
            number += 1
            found = await self._once(number)
            if isinstance(found, Completion):
                return found
            pause = max(min(_FIRST_PAUSE * 2 ** (number - 1), _LONGEST_PAUSE), found.retry_after or 0.0)
            late = time.monotonic() + pause >= self.deadline
            if not found.transient or number > self.retries or self.shown or late:
                return found
            _log.info("sent again", provider=self.link.name, seconds=pause, reason=type(found).__name__)
            await asyncio.sleep(pause)

    async def _once(self, number: int) -> Completion | ProviderError:
        try:
            self.accounts.admit(self.session, self._sent + self.request.max_tokens)
        except ProviderError as error:
            return self._placed(error)
        answer, outcome = _Answer(), "cancelled"
        try:
            found = await self._within_time(answer, number)
            outcome = "ok" if isinstance(found, Completion) else type(found).__name__
            return found
        finally:
            self._book(answer, outcome)

    async def _within_time(self, answer: _Answer, number: int) -> Completion | ProviderError:
        limit = self.deadline - self._started
        try:
            async with asyncio.timeout(max(0.0, self.deadline - time.monotonic())):
                await self._receive(answer)
            return self._completion(answer, number)
        except ProviderError as error:
            return self._placed(error)
        except ConfigError as error:
            return self._placed(ProviderError(error.message, fix=error.fix))
        except TimeoutError:
            got = f"{answer.length:,} characters had come" if answer.length else "nothing had come"
            return ProviderTimeoutError(
                f"there was no whole answer within {limit:.3g} s: {got}.",
                where=self.link.where,
                fix="Raise llm_timeout, or take a faster model.",
            )

    async def _receive(self, answer: _Answer) -> None:
        most = _MOST_CHARACTERS_A_TOKEN * self.request.max_tokens
        # close the stream whatever happens: that is what ends the request
        stream = cast("AsyncGenerator[Piece]", self.link.provider.stream(self.request, self.link.endpoint))
        async with aclosing(stream):
            async for piece in stream:
                answer.take(piece)
                if answer.length > most:
                    raise ProviderReplyError(f"the answer does not end: {answer.length:,} characters.")
                if piece.text and self.on_text is not None:
                    self.shown = True
                    self.on_text(piece.text)
        if not answer.ended:
            raise ProviderReplyError("the answer broke off in the middle.", transient=True)

    def _completion(self, answer: _Answer, number: int) -> Completion:
        text = "".join(answer.parts)
        data = None
        if self.request.schema is not None:
            if answer.ended == "length":
                raise ProviderReplyError(
                    f"the answer was cut off at {self.request.max_tokens:,} tokens: no whole JSON."
                )
            data = _parsed(text)
        link = self.link
        seconds = time.monotonic() - self._started
        return Completion(
            text, data, self._usage(answer), link.name, link.endpoint.model, seconds, answer.ended, number
        )

    def _usage(self, answer: _Answer) -> Usage:
        if answer.usage is not None:
            return answer.usage
        received = estimate("".join(answer.parts))
        return Usage(self._sent, received, estimated=True) if received else Usage(estimated=True)

    def _book(self, answer: _Answer, outcome: str) -> None:
        usage = self._usage(answer)
        endpoint = self.link.endpoint
        entry = Entry(
            session=self.session,
            provider=self.link.name,
            host=endpoint.host,
            model=endpoint.model,
            usage=usage,
            cost=self.link.cost(usage),
            outcome=outcome,
            messages=self.request.messages,
        )
        self.accounts.record(entry)

    def _placed(self, error: ProviderError) -> ProviderError:
        """Return an error that says where it happened and holds on to nothing of its library's."""
        error.where = error.where or self.link.where
        error.__cause__ = error.__context__ = None
        return error.with_traceback(None)


def _parsed(text: str) -> dict[str, Any]:
    """Return the object of a JSON text, also where a model has put it into a Markdown fence."""
    fenced = _FENCE.fullmatch(text)
    try:
        data = json.loads(fenced[1] if fenced else text)
    except ValueError as error:
        shown = plain(text)[:80]
        raise ProviderReplyError(
            f"the answer is not the JSON that was asked for ({error}); it begins {shown!r}.",
            fix="Ask again, or take a model that follows a schema.",
        ) from None
    if not isinstance(data, dict):
        raise ProviderReplyError(f"the answer is a JSON {type(data).__name__}, not an object.")
    return data
