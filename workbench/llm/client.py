"""One way to ask any provider: a time limit on the whole, retries, accounts, and who answers instead."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workbench.errors import ProviderBudgetError, ProviderError, ProviderTimeoutError, UsageError
from workbench.llm._attempts import Attempts
from workbench.llm.accounts import Accounts
from workbench.llm.base import Completion, Endpoint, Message, Provider, Request, Usage
from workbench.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

__all__ = ["Client", "Link"]

_log = get_logger("llm")

_POLL = 0.05  # seconds between two looks at whether to cancel


@dataclass(frozen=True)
class Link:
    """One provider of a chain, with what a million tokens cost there."""

    name: str
    provider: Provider
    endpoint: Endpoint
    input_price: float = 0.0
    output_price: float = 0.0

    @property
    def where(self) -> str:
        """Return who it is, for messages."""
        return f"{self.name} at {self.endpoint.host}" if self.endpoint.host else self.name

    @property
    def on_this_machine(self) -> bool:
        """Return whether nothing that is sent there leaves this machine."""
        return not self.provider.protocol or self.endpoint.on_this_machine

    def cost(self, usage: Usage) -> float:
        """Return what a request costs."""
        return (usage.sent * self.input_price + usage.received * self.output_price) / 1_000_000


class Client:
    """Providers in order of preference, asked through one interface.

    The first that answers counts; the next is asked where one failed for good, within the same time limit.

    Args:
        links: The chain; at least one.
        timeout: Seconds that an answer may take, with connecting, waiting, retries and the next providers.
        retries: How often a request that may succeed in a moment is sent again to one provider.
        accounts: Where tokens are booked and capped.
        session: Whose tokens they are.
        waiting: Entered while :meth:`complete` and :meth:`turn` wait: what the asking thread holds can be
            lent to others.

    Raises:
        UsageError: If the chain is empty.
    """

    def __init__(  # noqa: PLR0913  (each has a default)
        self,
        links: Sequence[Link],
        *,
        timeout: float = 120.0,
        retries: int = 2,
        accounts: Accounts | None = None,
        session: str = "",
        waiting: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        if not links:
            raise UsageError("a client needs a provider.", fix="Set llm_provider.")
        self.links = tuple(links)
        self.timeout = timeout
        self.retries = retries
        self.accounts = accounts or Accounts(None)
        self.session = session
        self._waiting = waiting
        self._turn = threading.Lock()

    @property
    def on_this_machine(self) -> bool:
        """Return whether nothing that is sent leaves this machine."""
        return all(link.on_this_machine for link in self.links)

    def complete(
        self,
        messages: Sequence[Message] | str,
        *,
        cancel: threading.Event | None = None,
        on_text: Callable[[str], None] | None = None,
        timeout: float | None = None,
        session: str | None = None,
        **options: Any,
    ) -> Completion:
        """Return the answer to messages; :meth:`acomplete` from code that is not asynchronous.

        Args:
            messages: The turns, or one question.
            cancel: Ends the request, within a moment, once it is set.
            on_text: Given each piece of text as it comes, from another thread.
            timeout: Seconds for the whole; by default the client's.
            session: Whose tokens they are; by default the client's.
            options: ``schema``, ``max_tokens``, ``temperature``, ``seed`` of a
                :class:`~workbench.llm.Request`.

        Raises:
            ProviderError: If nobody answered; the first provider's error, with the others' noted.
        """
        from anyio.from_thread import start_blocking_portal  # noqa: PLC0415  (only where a model is asked)

        async def ask() -> Completion:
            return await self.acomplete(
                messages, on_text=on_text, timeout=timeout, session=session, **options
            )

        with self._waiting(), start_blocking_portal() as portal:
            future = portal.start_task_soon(ask)
            while not concurrent.futures.wait([future], _POLL).done:
                if cancel is not None and cancel.is_set():
                    future.cancel()
                    break
            else:
                return future.result()
        raise ProviderError("the request was cancelled.", where=self.links[0].where)

    async def acomplete(  # noqa: PLR0913  (one interface for all providers)
        self,
        messages: Sequence[Message] | str,
        *,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int = 1024,
        temperature: float = 0.0,
        seed: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109  (it holds over several attempts and providers)
        session: str | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """Return the answer to messages, parsed where a ``schema`` is given.

        Raises:
            ProviderError: If nobody answered.
        """
        turns = (Message("user", messages),) if isinstance(messages, str) else tuple(messages)
        request = Request(turns, schema, max_tokens, temperature, seed)
        whose = self.session if session is None else session
        started = time.monotonic()
        deadline = started + (self.timeout if timeout is None else timeout)
        failures: list[ProviderError] = []
        for link in self.links:
            attempts = Attempts(link, request, whose, self.accounts, deadline, self.retries, on_text)
            found = await attempts.run()
            if isinstance(found, Completion):
                passed = tuple(str(f) for f in failures)
                return replace(found, seconds=time.monotonic() - started, passed_over=passed)
            failures.append(found)
            over = time.monotonic() >= deadline
            if over or attempts.shown or isinstance(found, ProviderBudgetError):
                break
            _log.info("the next provider is asked", failed=link.name, reason=type(found).__name__)
        raise _joined(failures)

    async def astream(self, messages: Sequence[Message] | str, **options: Any) -> AsyncGenerator[str]:
        """Yield the answer's text as it comes; ending the iteration ends the request.

        Args:
            messages: The turns, or one question.
            options: As for :meth:`acomplete`.

        Raises:
            ProviderError: If nobody answered, or the answer broke off.
        """
        queue: asyncio.Queue[str | None] = asyncio.Queue()

        async def ask() -> None:
            try:
                await self.acomplete(messages, on_text=queue.put_nowait, **options)
            finally:
                queue.put_nowait(None)

        task = asyncio.create_task(ask())
        try:
            while (text := await queue.get()) is not None:
                yield text
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def models(self) -> dict[str, tuple[str, ...]]:
        """Return the models that each provider of the chain has.

        Raises:
            ProviderError: If one does not say within the connection's time limit.
        """
        from anyio.from_thread import start_blocking_portal  # noqa: PLC0415

        async def ask() -> dict[str, tuple[str, ...]]:
            return {link.name: tuple(await link.provider.models(link.endpoint)) for link in self.links}

        with start_blocking_portal() as portal:
            return portal.call(ask)

    @contextmanager
    def turn(self, seconds: float | None = None) -> Iterator[None]:
        """Hold a context in which no other plan is being generated with this client.

        Raises:
            ProviderTimeoutError: On entering, if another one has not ended within the time limit.
        """
        limit = self.timeout if seconds is None else seconds
        with self._waiting():
            mine = self._turn.acquire(timeout=limit)
        if not mine:
            raise ProviderTimeoutError(
                f"another plan has been in the making for more than {limit:g} s.",
                where=self.links[0].where,
                fix="Try again later.",
            )
        try:
            yield
        finally:
            self._turn.release()

    def __repr__(self) -> str:
        """Return the chain."""
        chain = ", ".join(f"{link.where} ({link.endpoint.model})" for link in self.links)
        return f"<Client {chain}>"


def _joined(failures: Sequence[ProviderError]) -> ProviderError:
    """Return the first provider's error, with what became of the others."""
    first, *others = failures
    for other in others:
        first.message += f" Then {other.where}: {other.message}"
    return first
