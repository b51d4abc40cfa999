"""What every embedder does: texts in, vectors of length 1 out."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from workbench.registry import Driver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Embedder"]


class Embedder(Driver):
    """Turns texts into vectors whose cosine says how alike they are.

    A driver writes :meth:`encode`; batching and lengths are done here.

    Attributes:
        model: Name of the model with its version: vectors of different models are never compared.
        dimension: Numbers in a vector.
        licence: The model's licence.
        leaves_machine: Whether texts are sent elsewhere.
        batch: Texts that :meth:`encode` gets at a time.
    """

    model: str
    dimension: int
    licence: str
    leaves_machine: bool
    batch: ClassVar[int] = 256

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector of any length for each of at most :attr:`batch` texts, ``[n, dimension]``."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 ``[n, dimension]``: rows of length 1, or of zeros for a text without any word.

        A text's vector does not depend on the texts beside it.

        >>> from workbench.embedders import embedders
        >>> embedders.create("hashing").embed(["a page", ""]).shape
        (2, 256)
        """
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        parts = [self.encode(texts[at : at + self.batch]) for at in range(0, len(texts), self.batch)]
        vectors = np.concatenate(parts).astype(np.float32, copy=False)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0))
