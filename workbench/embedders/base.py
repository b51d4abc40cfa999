"""What every embedder does: texts in, vectors of length 1 out."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from workbench.registry import Driver

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["Embedder"]


class Embedder(Driver):
    """Turns texts into vectors whose cosine says how alike they are.

    A driver writes :meth:`encode`; batching and lengths are done here.

    Attributes:
        model: Name of the model with its version: vectors of different models are never compared.
        licence: The model's licence.
        leaves_machine: Whether texts are sent elsewhere.
        batch: Texts that :meth:`encode` gets at a time.
        takes_model: Whether it has more than one model: then the first argument names it.
        protocol: Which API it speaks ("openai", "ollama"); empty for a model in this process.
    """

    model: str
    licence: str
    leaves_machine: bool
    batch: ClassVar[int] = 256
    takes_model: ClassVar[bool] = False
    protocol: ClassVar[str] = ""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Return how many numbers a vector has; a server may have to be asked once."""

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector of any length for each of at most :attr:`batch` texts, ``[n, dimension]``.

        None of the texts is blank.
        """

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 ``[n, dimension]``: rows of length 1, or of zeros for a text without any word.

        A text's vector does not depend on the texts beside it.

        Raises:
            ProviderError: If a server gives no answer.

        >>> from workbench.embedders import embedders
        >>> embedders.create("hashing").embed(["a page", ""]).shape
        (2, 256)
        """
        parts = list(self.batches(texts))
        return np.concatenate(parts) if parts else np.empty((0, self.dimension), np.float32)

    def batches(self, texts: Sequence[str]) -> Iterator[NDArray[np.float32]]:
        """Yield the rows of :meth:`embed`, :attr:`batch` at a time, so that each can be kept at once."""
        for at in range(0, len(texts), self.batch):
            some = texts[at : at + self.batch]
            said = [row for row, text in enumerate(some) if text.strip()]
            vectors = np.zeros((len(some), self.dimension), np.float32)
            if said:
                made = np.asarray(self.encode([some[row] for row in said]), np.float32)
                lengths = np.linalg.norm(made, axis=1, keepdims=True)
                vectors[said] = np.divide(made, lengths, out=np.zeros_like(made), where=lengths > 0)
            yield vectors
