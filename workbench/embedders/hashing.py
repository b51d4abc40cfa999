"""Words hashed to numbers: texts that share words are alike, and nothing is learned."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from workbench.embedders.base import Embedder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Hashing"]

_WORD = re.compile(r"\w+")


class Hashing(Embedder):
    """The sum of a random vector of signs for each of a text's words; the same everywhere, for tests.

    Source: Kanerva et al. 2000, random indexing.
    """

    model = "hashing-256"
    dimension = 256
    licence = "Apache-2.0"
    leaves_machine = False

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the sum of the signs of each text's words."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in _WORD.findall(text.casefold()):
                vectors[row] += _signs(word, self.dimension)
        return vectors


def _signs(word: str, dimension: int) -> NDArray[np.float32]:
    """Return a vector of -1 and 1 that the word decides."""
    blocks = [xxhash.xxh3_128_digest(word.encode(), seed=n) for n in range(dimension // 128)]
    bits = np.unpackbits(np.frombuffer(b"".join(blocks), np.uint8))
    return bits.astype(np.float32) * 2 - 1
