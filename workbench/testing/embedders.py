"""The behaviour that every embedder has to show.

Subclass :class:`EmbedderSuite` in a test module; pytest does the rest::

    from workbench.testing.embedders import EmbedderSuite

    class TestEmbedders(EmbedderSuite):
        pass

Without ``parameters`` it runs against every registered embedder, those of installed distributions
included. One that cannot run here is skipped with its reason.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from workbench.embedders import embedders
from workbench.errors import DriverUnavailableError

if TYPE_CHECKING:
    from workbench.embedders import Embedder

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
PROBE = """
import sys
before = set(sys.modules)
from workbench.embedders import embedders
embedders.load({name!r})
print(" ".join(sorted({{module.partition(".")[0] for module in set(sys.modules) - before}})))
"""


class _Connections:
    """Notes every address that this process connects to while it is on; a hook cannot be taken away."""

    def __init__(self) -> None:
        self.addresses: list[Any] = []
        self.on = True
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event in ("socket.connect", "socket.getaddrinfo"):
            self.addresses.append(arguments[1:] if event == "socket.connect" else arguments[:2])


class EmbedderSuite:
    """The conformance suite; see the module.

    Attributes:
        parameters: The names of the embedders to run it against; all registered ones if empty.
    """

    parameters: ClassVar[list[Any]] = []

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for each embedder."""
        metafunc.parametrize("name", self.parameters or embedders.names(), ids=str)

    @pytest.fixture
    def embedder(self, name: str) -> Embedder:
        """Return the embedder, or skip with the reason why it cannot run here."""
        reason = embedders.load(name).can_run()
        if reason is not True:
            pytest.skip(f"embedder {name!r} cannot run here: {reason}")
        return embedders.create(name)

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

    def test_a_new_embedder_gives_the_same_vectors(self, embedder: Embedder, name: str) -> None:
        """What is kept today can be compared with what is made tomorrow."""
        assert np.abs(embedders.create(name).embed(TEXTS) - embedder.embed(TEXTS)).max() < TOLERANCE

    def test_texts_that_share_words_are_nearer_than_texts_that_do_not(self, embedder: Embedder) -> None:
        """The least that one can ask of it."""
        first, near, far = embedder.embed(TEXTS[:3])
        assert first @ near > first @ far + 0.1

    def test_it_says_what_it_is(self, embedder: Embedder, name: str) -> None:
        """Model, licence, and whether texts leave the machine."""
        assert embedder.model
        assert embedder.licence
        assert isinstance(embedder.leaves_machine, bool)
        summary = {info.name: info for info in embedders.describe()}[name].summary
        assert summary.endswith(".")

    def test_nothing_leaves_the_machine_unless_it_says_so(self, embedder: Embedder, name: str) -> None:
        """No address is looked up or connected to, the first use included."""
        if embedder.leaves_machine:
            pytest.skip("sends texts elsewhere, and says so")
        connections = _Connections()
        try:
            embedders.create(name).embed(TEXTS)
        finally:
            connections.on = False
        assert connections.addresses == []

    def test_loading_imports_nothing_heavy(self, name: str) -> None:
        """What the driver requires is imported when it embeds, not when it is listed."""
        program = PROBE.format(name=name)
        done = subprocess.run(  # noqa: S603  (this interpreter, with the text above)
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert set(embedders.load(name).requires) & set(done.stdout.split()) == set()

    def test_whether_it_can_run_is_told_truly(self, name: str) -> None:
        """Either it can be made, or a reason is given."""
        driver = embedders.load(name)
        if driver.can_run() is True:
            assert type(embedders.create(name)) is driver
            return
        with pytest.raises(DriverUnavailableError, match=name):
            embedders.create(name)
