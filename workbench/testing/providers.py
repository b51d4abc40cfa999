"""The behaviour that every language model provider has to show.

Subclass :class:`ProviderSuite` in a test module and give it servers of the APIs, by a fixture ``servers``
(see :class:`Servers`); pytest does the rest. Without ``parameters`` it runs against every registered
provider, those of installed distributions included. Which API a provider speaks stands in its own file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pytest

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
from workbench.llm import Client, Endpoint, Link, Message, Secret, providers
from workbench.testing._driver_suite import DriverSuite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from workbench.llm import Completion

__all__ = ["ProviderSuite", "Server", "Servers"]

VARIABLE = "WORKBENCH_TEST_PROVIDER_KEY"
COLOURS = ["red", "green", "blue"]
SCHEMA = {
    "type": "object",
    "properties": {
        "colour": {"type": "string", "enum": COLOURS},
        "number": {"type": "integer", "minimum": 1, "maximum": 9},
    },
    "required": ["colour", "number"],
    "additionalProperties": False,
}
PATIENCE = 20.0  # seconds: far below what a hanging server would take, far above a busy machine's delays


class Server(Protocol):
    """A server of one API.

    Attributes:
        base_url: Its address.
        log: What it saw: ``headers``, ``bodies`` and ``times`` of requests, and how many were ``abandoned``.
    """

    base_url: str
    log: Any


class Servers(Protocol):
    """Servers over a model.

    Attributes:
        key: The one key that they take.
        model: The one model that they have.
    """

    key: str
    model: str

    def serve(self, protocol: str, kind: Any = "", **how: Any) -> AbstractContextManager[Server]:
        """Run a server of an API, with a fault or without.

        Args:
            protocol: Which API.
            kind: The fault: "unauthorized", "rate limit", "failing", "hanging", "dribbling", "rubbish",
                "rubbish json", "cut", "error within", "endless" or "redirect".
            how: ``times``: for how many requests; ``retry_after``; ``elsewhere``: of a redirect.
        """


def _dead_address(like: str) -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return f"http://127.0.0.1:{port}/{like.partition('://')[2].partition('/')[2]}".rstrip("/")


class ProviderSuite(DriverSuite):
    """The conformance suite; see the module.

    Attributes:
        parameters: The names of the providers to run it against; all registered ones if empty.
        prepare: Python statements that make the providers findable in a fresh process, where being
            installed is not enough; by default none.
    """

    parameters: ClassVar[list[str]] = []
    registry = providers
    home = ("workbench.llm", "providers")
    heavy = frozenset({"anthropic", "httpx", "httpx2", "ollama", "openai", "xllamacpp"})

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for each provider; what a server does only for those that have one."""
        names = self.parameters or providers.names()
        if "remote" in metafunc.fixturenames:
            metafunc.parametrize("remote", [n for n in names if providers.load(n).protocol])
        elif "name" in metafunc.fixturenames:
            metafunc.parametrize("name", names)

    @pytest.fixture
    def _key(self, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(VARIABLE, servers.key)

    @pytest.fixture
    def client(self, name: str, servers: Servers, _key: None) -> Iterator[Client]:
        """Return a client of the provider, with a server that has no fault where it needs one."""
        reason = providers.load(name).can_run()
        if reason is not True:
            pytest.skip(f"provider {name!r} cannot run here: {reason}")
        protocol = providers.load(name).protocol
        if not protocol:
            yield _client(name, Endpoint(providers.load(name).default_model))
            return
        with servers.serve(protocol) as server:
            yield _client(name, _endpoint(server, servers))

    @pytest.fixture
    def faulty(
        self, remote: str, servers: Servers, _key: None
    ) -> Iterator[Callable[..., tuple[Client, Server]]]:
        """Return how to make a client whose server has a fault."""
        reason = providers.load(remote).can_run()
        if reason is not True:
            pytest.skip(f"provider {remote!r} cannot run here: {reason}")
        with contextlib.ExitStack() as stack:

            def make(
                kind: str, *, timeout: float = 30.0, retries: int = 2, **how: Any
            ) -> tuple[Client, Server]:
                server = stack.enter_context(servers.serve(providers.load(remote).protocol, kind, **how))
                return _client(remote, _endpoint(server, servers), timeout=timeout, retries=retries), server

            yield make

    # what it does

    def test_a_question_is_answered_and_counted(self, name: str, client: Client) -> None:
        """With the same seed twice alike, and with the tokens of both directions."""
        first, again = (client.complete("Name a colour.", max_tokens=12, seed=1) for _ in range(2))
        assert first.text.strip()
        assert first.text == again.text
        assert (first.provider, first.data, first.attempts) == (name, None, 1)
        assert first.usage.sent > 4
        assert 1 <= first.usage.received <= 12
        assert not first.usage.estimated
        assert client.accounts.session("").tokens == first.usage.total + again.usage.total

    def test_the_text_comes_in_pieces(self, client: Client) -> None:
        """They make up the whole, for callbacks and for asynchronous iteration."""
        pieces: list[str] = []
        whole = client.complete("Count to three.", max_tokens=12, on_text=pieces.append)
        assert len(pieces) > 1
        assert "".join(pieces) == whole.text

        async def iterate() -> list[str]:
            return [text async for text in client.astream("Count to three.", max_tokens=12)]

        assert "".join(asyncio.run(iterate())) == whole.text

    def test_an_answer_keeps_to_its_schema(self, client: Client) -> None:
        """Whatever the question says."""
        for question in ("Which colour is the sky?", "Write a long poem. No JSON please."):
            found = client.complete(question, schema=SCHEMA, max_tokens=60)
            assert set(found.data) == {"colour", "number"}
            assert found.data["colour"] in COLOURS
            assert found.data["number"] in range(1, 10)

    def test_an_answer_that_is_cut_says_so(self, client: Client) -> None:
        """Text is returned as far as it goes, half an object is an error."""
        assert client.complete("Count to one hundred.", max_tokens=3).ended == "length"
        with pytest.raises(ProviderReplyError, match="cut off at 3 tokens"):
            client.complete("Which colour?", schema=SCHEMA, max_tokens=3)

    def test_it_answers_within_a_running_loop(self, client: Client) -> None:
        """As in a notebook, whose kernel runs one."""

        async def cell() -> Completion:
            await asyncio.sleep(0)
            return client.complete("Name a colour.", max_tokens=4)

        assert asyncio.run(cell()).text

    def test_it_can_be_cancelled_while_it_answers(self, client: Client) -> None:
        """The request ends, and the provider answers the next one."""
        cancel = threading.Event()
        with pytest.raises(ProviderError, match="cancelled"):
            client.complete(
                "Count to one thousand.", max_tokens=800, cancel=cancel, on_text=lambda _: cancel.set()
            )
        assert client.complete("Name a colour.", max_tokens=4).text

    def test_a_prompt_that_is_too_long_is_refused(self, client: Client) -> None:
        """Not cut in silence."""
        with pytest.raises(ProviderContextError, match="too long"):
            client.complete("word " * 9000)

    def test_it_names_its_models(self, name: str, client: Client) -> None:
        """The client's own is among them."""
        assert client.links[0].endpoint.model in client.models()[name]

    def test_a_model_that_is_not_there_is_named(self, client: Client) -> None:
        """Without trying again."""
        link = client.links[0]
        wrong = Client([replace(link, endpoint=replace(link.endpoint, model="gpt-0"))])
        with pytest.raises(ProviderModelError, match="gpt-0"):
            wrong.complete("Hello.")

    # what its server does

    def test_the_key_goes_to_the_server_and_nowhere_else(
        self,
        faulty: Callable[..., tuple[Client, Server]],
        servers: Servers,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """Not into messages, tracebacks with locals, logs of any level, or the book of requests."""
        caplog.set_level(logging.DEBUG)
        seen = []
        for kind in ("unauthorized", "failing", "rubbish", "cut"):
            client, server = faulty(kind, retries=0)
            with pytest.raises(ProviderError) as caught:
                client.complete("Hello.")
            assert any(servers.key in value for value in server.log.headers[0].values())
            shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
            seen += ["".join(shown.format()), str(caught.value), repr(caught.value), repr(client)]
        out, err = capfd.readouterr()
        seen += [out, err, caplog.text, *(repr(record.__dict__) for record in caplog.records)]
        assert [text for text in seen if servers.key in text] == []

    def test_a_wrong_key_is_told(self, faulty: Callable[..., tuple[Client, Server]]) -> None:
        """With the place to look at, and without trying again."""
        client, server = faulty("unauthorized")
        with pytest.raises(ProviderAuthError, match=f"refuses the key .* Check the key in env:{VARIABLE}"):
            client.complete("Hello.")
        assert len(server.log.bodies) == 1

    def test_a_missing_key_is_told_before_anything_is_sent(
        self, faulty: Callable[..., tuple[Client, Server]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By the name of the variable."""
        client, server = faulty("")
        monkeypatch.delenv(VARIABLE)
        with pytest.raises(ProviderAuthError, match=f"{VARIABLE} is not set"):
            client.complete("Hello.")
        assert server.log.bodies == []

    def test_a_dead_host_is_told(self, remote: str, faulty: Callable[..., tuple[Client, Server]]) -> None:
        """With its address, after the retries."""
        client, server = faulty("", retries=1)
        link = client.links[0]
        dead = replace(link, endpoint=replace(link.endpoint, base_url=_dead_address(server.base_url)))
        with pytest.raises(ProviderConnectionError, match="nobody answers at http://127") as caught:
            Client([dead], timeout=PATIENCE, retries=1).complete("Hello.")
        assert caught.value.where.startswith(f"{remote} at 127.0.0.1:")

    @pytest.mark.parametrize("kind", ["hanging", "dribbling"])
    def test_the_time_limit_holds_whatever_the_server_does(
        self, faulty: Callable[..., tuple[Client, Server]], kind: str
    ) -> None:
        """Also where every single byte comes in time; and the server is left alone then."""
        client, server = faulty(kind, timeout=1.0)
        began = time.monotonic()
        with pytest.raises(ProviderTimeoutError, match="no whole answer within 1 s"):
            client.complete("Hello.")
        assert time.monotonic() - began < PATIENCE
        _eventually(lambda: server.log.abandoned == 1)

    def test_cancelling_reaches_the_server(self, faulty: Callable[..., tuple[Client, Server]]) -> None:
        """A request that nobody wants any more is not worked on."""
        client, server = faulty("hanging")
        cancel = threading.Event()

        def once_it_is_there() -> None:
            _eventually(lambda: bool(server.log.bodies))
            cancel.set()

        threading.Thread(target=once_it_is_there).start()
        with pytest.raises(ProviderError, match="cancelled"):
            client.complete("Hello.", cancel=cancel)
        _eventually(lambda: server.log.abandoned == 1)

    def test_leaving_a_stream_ends_the_request(self, faulty: Callable[..., tuple[Client, Server]]) -> None:
        """Whoever has read enough does not wait for the rest."""
        client, server = faulty("endless")

        async def first() -> str:
            async with contextlib.aclosing(client.astream("Hello.", max_tokens=1_000_000)) as texts:
                return await anext(texts)

        assert asyncio.run(first())
        _eventually(lambda: server.log.abandoned == 1)

    def test_a_rate_limit_is_waited_for(self, faulty: Callable[..., tuple[Client, Server]]) -> None:
        """As long as the server asks."""
        client, server = faulty("rate limit", times=1, retry_after="1")
        assert client.complete("Name a colour.", max_tokens=4).attempts == 2
        assert server.log.times[1] - server.log.times[0] >= 0.9

    def test_a_rate_limit_beyond_the_time_limit_is_told_at_once(
        self, faulty: Callable[..., tuple[Client, Server]]
    ) -> None:
        """With how long the server asks to wait."""
        client, server = faulty("rate limit", retry_after="3600")
        began = time.monotonic()
        with pytest.raises(ProviderRateLimitError, match="wait 3600 s"):
            client.complete("Hello.")
        assert time.monotonic() - began < PATIENCE
        assert len(server.log.bodies) == 1

    def test_a_passing_failure_is_not_noticed(self, faulty: Callable[..., tuple[Client, Server]]) -> None:
        """The request is sent again."""
        client, server = faulty("failing", times=1)
        assert client.complete("Name a colour.", max_tokens=4).attempts == 2
        assert len(server.log.bodies) == 2

    def test_a_lasting_failure_is_told(self, faulty: Callable[..., tuple[Client, Server]]) -> None:
        """After the retries, with the status."""
        client, server = faulty("failing", retries=1)
        with pytest.raises(ProviderError, match="it failed \\(500\\)"):
            client.complete("Hello.")
        assert len(server.log.bodies) == 2

    @pytest.mark.parametrize(
        ("kind", "reason"),
        [
            ("rubbish", "not the API's|broke off"),
            ("rubbish json", "not the JSON that was asked for"),
            ("cut", "broke off"),
            ("endless", "does not end"),
        ],
    )
    def test_an_answer_that_is_none_is_told(
        self, faulty: Callable[..., tuple[Client, Server]], kind: str, reason: str
    ) -> None:
        """Whatever comes instead."""
        client, _ = faulty(kind, retries=0)
        with pytest.raises(ProviderReplyError, match=reason):
            client.complete("Which colour?", schema=SCHEMA, max_tokens=60)

    def test_an_error_within_an_answer_is_told(
        self, faulty: Callable[..., tuple[Client, Server]], servers: Servers
    ) -> None:
        """In the server's words, without the key."""
        client, _ = faulty("error within", retries=0)
        with pytest.raises(ProviderError, match=r"Overloaded; the key was \[key\]") as caught:
            client.complete("Hello.")
        assert servers.key not in "".join(traceback.format_exception(caught.value))

    def test_a_redirect_does_not_take_the_key_elsewhere(
        self, remote: str, faulty: Callable[..., tuple[Client, Server]], servers: Servers
    ) -> None:
        """The request ends there."""
        with servers.serve(providers.load(remote).protocol) as other:
            client, _ = faulty("redirect", elsewhere=f"{other.base_url}/elsewhere", retries=0)
            with pytest.raises(ProviderError):
                client.complete("Hello.")
            assert other.log.headers == []

    def test_the_request_is_the_one_that_was_made(self, faulty: Callable[..., tuple[Client, Server]]) -> None:
        """Roles and texts arrive, and the schema by the API's own means."""
        client, server = faulty("")
        turns = [
            Message("system", "You are terse."),
            Message("user", "Ping?"),
            Message("assistant", "Pong."),
            Message("user", "Which colour?"),
        ]
        client.complete(turns, schema=SCHEMA, max_tokens=60)
        sent = str(server.log.bodies[0])
        assert [sent.count(turn.content) for turn in turns] == [1, 1, 1, 1]
        assert str(COLOURS) in sent

    # what it is

    def test_a_server_has_an_address(self, name: str) -> None:
        """A provider that speaks an API knows where it is spoken."""
        driver = providers.load(name)
        assert bool(driver.protocol) == driver.address.startswith("http")


def _endpoint(server: Server, servers: Servers) -> Endpoint:
    return Endpoint(servers.model, server.base_url, Secret(f"env:{VARIABLE}"))


def _client(name: str, endpoint: Endpoint, *, timeout: float = 60.0, retries: int = 2) -> Client:
    return Client([Link(name, providers.create(name), endpoint)], timeout=timeout, retries=retries)


def _eventually(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
