"""The behaviour that every embedder has to show.

Subclass :class:`EmbedderSuite` in a test module; pytest does the rest::

    from workbench.testing.embedders import EmbedderSuite

    class TestEmbedders(EmbedderSuite):
        pass

Without ``parameters`` it runs against every registered embedder, those of installed distributions
included. One that cannot run here is skipped with its reason. One that speaks to a server is run against
one of its API by the module's fixture ``servers`` (see :class:`workbench.testing.providers.Servers`), whose
model has to be a real one; without the fixture it is skipped.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from workbench.embedders import embedders, named
from workbench.errors import (
    ConfigError,
    ProviderAuthError,
    ProviderConnectionError,
    ProviderError,
    ProviderModelError,
    ProviderRateLimitError,
    ProviderReplyError,
    ProviderTimeoutError,
)
from workbench.testing._audit import audited
from workbench.testing._driver_suite import DriverSuite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from workbench.embedders import Embedder
    from workbench.testing.providers import Server, Servers

__all__ = ["TEXTS", "EmbedderSuite"]

TOLERANCE = 1e-5
TEXTS = (
    "a user logged in from the web",
    "a user opened a page on the web",
    "the weather is sunny",
    "naïve 東京 🙂 café",
    "x",
    "error 500: connection refused by 10.0.0.1:8080",
    "word " * 3000,
)


@contextmanager
def _connections() -> Iterator[list[Any]]:
    """Note every address that this process looks up or connects to."""
    addresses: list[Any] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo"):
            addresses.append(arguments[1:] if event == "socket.connect" else arguments[:2])

    with audited(note):
        yield addresses


def _servers(request: pytest.FixtureRequest) -> Servers:
    try:
        servers: Servers = request.getfixturevalue("servers")
    except pytest.FixtureLookupError:
        pytest.skip("speaks to a server, and there is no fixture `servers`")
    return servers


def _connected(name: str, server: Server, servers: Servers, **options: Any) -> Embedder:
    options = {"model": servers.model, "base_url": server.base_url, "key": lambda: servers.key} | options
    return embedders.create(name, **options)


class Behind:
    """Servers with faults, and one embedder before them that notes how long it would have waited."""

    def __init__(self, name: str, servers: Servers) -> None:
        self.name, self.servers = name, servers
        self.waits: list[float] = []

    @contextmanager
    def fault(self, kind: str = "", **how: Any) -> Iterator[tuple[Server, Callable[..., Embedder]]]:
        """Yield the server and what makes the embedder."""
        serving: AbstractContextManager[Server] = self.servers.serve(
            embedders.load(self.name).protocol, kind, **how
        )
        with serving as server:
            yield (
                server,
                lambda **options: _connected(
                    self.name, server, self.servers, pause=self.waits.append, **options
                ),
            )


class EmbedderSuite(DriverSuite):
    """The conformance suite; see the module.

    Attributes:
        parameters: The names of the embedders to run it against; all registered ones if empty.
    """

    parameters: ClassVar[list[Any]] = []
    registry = embedders
    home = ("workbench.embedders", "embedders")
    _loaded: ClassVar[dict[str, Embedder]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for each embedder; what a server does only for those that have one."""
        names = self.parameters or embedders.names()
        if "remote" in metafunc.fixturenames:
            metafunc.parametrize("remote", [n for n in names if embedders.load(n).protocol], ids=str)
        elif "name" in metafunc.fixturenames:
            metafunc.parametrize("name", names, ids=str)

    @pytest.fixture
    def make(self, name: str, request: pytest.FixtureRequest) -> Iterator[Callable[[], Embedder]]:
        """Yield what makes the embedder, or skip with the reason why it cannot run here."""
        driver = embedders.load(name)
        reason = driver.can_run()
        if reason is not True:
            pytest.skip(f"embedder {name!r} cannot run here: {reason}")
        if not driver.protocol:
            yield lambda: embedders.create(name)
            return
        servers = _servers(request)
        with servers.serve(driver.protocol) as server:
            yield lambda: _connected(name, server, servers)

    @pytest.fixture
    def embedder(self, make: Callable[[], Embedder], name: str) -> Embedder:
        """Return the embedder; a model in this process is loaded once."""
        if embedders.load(name).protocol:
            return make()
        if name not in self._loaded:
            self._loaded[name] = make()
        return self._loaded[name]

    @pytest.fixture
    def behind(self, remote: str, request: pytest.FixtureRequest) -> Behind:
        """Return what gives a server with a fault, and the embedder before it."""
        reason = embedders.load(remote).can_run()
        if reason is not True:
            pytest.skip(f"embedder {remote!r} cannot run here: {reason}")
        return Behind(remote, _servers(request))

    def test_vectors_are_float32_of_length_1(self, embedder: Embedder) -> None:
        """One row a text, in the declared dimension, finite; also of odd and of very long texts."""
        vectors = embedder.embed(TEXTS)
        assert vectors.shape == (len(TEXTS), embedder.dimension)
        assert vectors.dtype == np.float32
        assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < TOLERANCE

    def test_no_texts_give_no_rows_and_no_words_give_zeros(self, embedder: Embedder) -> None:
        """A text without a word is like nothing at all; no NaN comes of it."""
        assert embedder.embed([]).shape == (0, embedder.dimension)
        vectors = embedder.embed(["", "a word"])
        assert np.linalg.norm(vectors, axis=1).round(4).tolist() == [0, 1]

    def test_a_vector_depends_on_its_text_alone(self, embedder: Embedder) -> None:
        """Neither on its neighbours, nor on the order, nor on where a batch ends."""
        alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
        many = [*TEXTS * (embedder.batch // len(TEXTS) + 2)]
        together = embedder.embed(many)
        for row, text in enumerate(many):
            assert np.abs(together[row] - alone[TEXTS.index(text)]).max() < TOLERANCE
        assert np.abs(embedder.embed(TEXTS[::-1])[::-1] - alone).max() < TOLERANCE

    def test_a_new_embedder_gives_the_same_vectors(self, make: Callable[[], Embedder]) -> None:
        """What is kept today can be compared with what is made tomorrow."""
        assert np.abs(make().embed(TEXTS) - make().embed(TEXTS)).max() < TOLERANCE

    def test_texts_that_share_words_are_nearer_than_texts_that_do_not(self, embedder: Embedder) -> None:
        """The least that one can ask of it."""
        first, near, far = embedder.embed(TEXTS[:3])
        assert first @ near > first @ far + 0.1

    def test_it_says_what_it_is(self, embedder: Embedder) -> None:
        """Model, licence, and whether texts leave the machine."""
        assert embedder.model
        assert embedder.licence
        assert isinstance(embedder.leaves_machine, bool)

    def test_nothing_leaves_the_machine_unless_it_says_so(
        self, make: Callable[[], Embedder], name: str
    ) -> None:
        """No address is looked up or connected to, the first use included, but the server's on loopback."""
        if make().leaves_machine:
            pytest.skip("sends texts elsewhere, and says so")
        with _connections() as addresses:
            make().embed(TEXTS)
        assert [address for address in addresses if "127.0.0.1" not in str(address)] == []
        assert bool(addresses) == bool(embedders.load(name).protocol)

    # what a server can do to it

    @pytest.mark.parametrize(
        ("kind", "error"),
        [
            ("unauthorized", ProviderAuthError),
            ("rate limit", ProviderRateLimitError),
            ("failing", ProviderError),
            ("rubbish", ProviderReplyError),
            ("redirect", ProviderError),
        ],
    )
    def test_a_failing_server_gives_an_error_that_says_where(
        self, behind: Behind, kind: str, error: type[ProviderError]
    ) -> None:
        """Of the right kind, with the address, without the key."""
        with behind.fault(kind, elsewhere="http://127.0.0.1:9/v1") as (server, make):
            with pytest.raises(error) as raised:
                make().embed(["a text"])
            assert server.base_url.partition("://")[2].partition("/")[0] in str(raised.value)
            assert behind.servers.key not in str(raised.value)

    @pytest.mark.parametrize("kind", ["rate limit", "failing"])
    def test_what_may_succeed_in_a_moment_is_sent_again_after_longer_and_longer_waits(
        self, behind: Behind, kind: str
    ) -> None:
        """As often as it says, and no oftener."""
        with behind.fault(kind, times=2) as (server, make):
            assert make(retries=2).embed(["a text"]).shape[0] == 1
            assert len(server.log.bodies) >= 3
            assert behind.waits[:2] == [0.5, 1.0]
        with behind.fault(kind) as (server, make):
            with pytest.raises(ProviderError) as raised:
                make(retries=2).embed(["a text"])
            assert raised.value.transient
            assert len(server.log.bodies) == 3

    def test_it_waits_as_long_as_it_is_asked_to_within_reason(self, behind: Behind) -> None:
        """A minute is no moment: then it is an error at once."""
        with behind.fault("rate limit", times=1, retry_after="7") as (_, make):
            make().embed(["a text"])
            assert behind.waits == [7.0]
        with behind.fault("rate limit", retry_after="60") as (server, make):
            with pytest.raises(ProviderRateLimitError):
                make().embed(["a text"])
            assert len(server.log.bodies) == 1

    @pytest.mark.parametrize("kind", ["unauthorized", "rubbish"])
    def test_what_will_not_succeed_is_sent_once(self, behind: Behind, kind: str) -> None:
        """A wrong key stays wrong."""
        with behind.fault(kind) as (server, make):
            with pytest.raises(ProviderError):
                make().embed(["a text"])
            assert len(server.log.bodies) == 1
        assert behind.waits == []

    def test_a_silent_server_is_given_up(self, behind: Behind) -> None:
        """After the time limit."""
        with behind.fault("hanging") as (_, make), pytest.raises(ProviderTimeoutError):
            make(timeout=0.3, retries=0).embed(["a text"])

    def test_nobody_there_is_told_with_the_address(self, behind: Behind) -> None:
        """And what to check."""
        with behind.fault() as (_, make), pytest.raises(ProviderConnectionError, match=r"127\.0\.0\.1:9"):
            make(base_url="http://127.0.0.1:9", retries=0).embed(["a text"])

    def test_a_model_that_is_not_there_is_named(self, behind: Behind) -> None:
        """With the setting to change."""
        with behind.fault() as (_, make), pytest.raises(ProviderModelError, match="no-such-model"):
            make(model="no-such-model").embed(["a text"])

    def test_texts_go_in_batches(self, behind: Behind) -> None:
        """At most so many in a request, each once."""
        with behind.fault() as (server, make):
            embedder = make()
            texts = [f"text {n}" for n in range(embedder.batch + 5)]
            assert embedder.embed(texts).shape[0] == len(texts)
            sent = [body["input"] for body in server.log.bodies if "dimension" not in body["input"]]
            assert sorted(len(part) for part in sent) == [5, embedder.batch]

    def test_the_address_decides_whether_texts_leave_the_machine(self, remote: str) -> None:
        """And it holds neither a name nor a key."""
        for address, leaves in (("http://localhost:1/v1", False), ("https://example.org/v1", True)):
            assert named(remote, base_url=address).leaves_machine is leaves
        with pytest.raises(ConfigError, match="address"):
            named(remote, base_url="https://me:secret@example.org")
