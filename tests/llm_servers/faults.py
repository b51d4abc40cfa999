"""What goes wrong with servers, on purpose."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Fault", "Kind", "Log", "dribble", "hang"]

Kind = Literal[
    "",
    "unauthorized",  # 401, with the key in the message
    "rate limit",  # 429
    "failing",  # 500
    "hanging",  # takes the request and says nothing
    "dribbling",  # a byte now and then, for ever
    "rubbish",  # 200 and a page that is not the API's
    "rubbish json",  # the API's form, with an answer that is no JSON
    "cut",  # the connection ends within the answer
    "endless",  # text without an end
    "redirect",  # 307 to somewhere else
    "error within",  # an error in the middle of an answer that began well
    "picky",  # 400 for a parameter that it does not take, in OpenAI's words
    "saying",  # no fault: what was written beforehand, one text a request, the last one again and again
]


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        kind: Which.
        times: For how many requests; 0 for all of them.
        retry_after: Of a rate limit, what the header says.
        elsewhere: Of a redirect, where to.
        texts: What is said.
    """

    kind: Kind = ""
    times: int = 0
    retry_after: str = ""
    elsewhere: str = ""
    texts: tuple[str, ...] = ()


@dataclass
class Log:
    """What a server saw: the requests' headers and bodies, and how many ended before they were answered."""

    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[dict[str, object]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    abandoned: int = 0


async def hang(log: Log) -> AsyncIterator[bytes]:
    """Say nothing until the other side gives up."""
    try:
        await asyncio.sleep(60)
    finally:
        log.abandoned += 1
    yield b""


async def dribble(log: Log) -> AsyncIterator[bytes]:
    """Send a byte now and then: each in time, the whole never."""
    try:
        while True:
            yield b" "
            await asyncio.sleep(0.05)
    finally:
        log.abandoned += 1
