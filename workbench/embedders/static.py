"""Static word vectors that ship in the package ``wordllama``: no model to run, nothing to download."""

from __future__ import annotations

import importlib.util
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from workbench.embedders.base import Embedder
from workbench.errors import DriverUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Static"]

_WEIGHTS = Path("weights") / "l2_supercat_256.safetensors"
_TOKENIZER = Path("tokenizers") / "l2_supercat_tokenizer_config.json"


class Static(Embedder):
    """The mean of a text's token vectors, 256 numbers, on this machine.

    Source: Miller 2024, WordLlama: token embeddings of large language models, trained for similarity.
    """

    requires: ClassVar[tuple[str, ...]] = ("wordllama", "tokenizers", "safetensors")
    model = "wordllama-l2-supercat-256"
    dimension = 256
    licence = "MIT"
    leaves_machine = False

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the mean vector of each text's tokens; zeros where it has none."""
        tokenizer, weights = self._files
        tokens = [
            np.array(e.ids, np.int64) for e in tokenizer.encode_batch(list(texts), add_special_tokens=False)
        ]
        lengths = np.array([len(t) for t in tokens])
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        some = lengths > 0
        if some.any():
            starts = np.cumsum(lengths[some]) - lengths[some]
            sums = np.add.reduceat(weights[np.concatenate(tokens)], starts, axis=0)
            vectors[some] = sums / lengths[some, None]
        return vectors

    @cached_property
    def _files(self) -> tuple[Any, NDArray[np.float32]]:
        """Return tokenizer and token vectors, from the package's own files.

        The package itself is not imported: it sets up the process's logging, and would download what it
        does not find.
        """
        from safetensors.numpy import load_file  # noqa: PLC0415  (kept out of start-up)
        from tokenizers import Tokenizer  # noqa: PLC0415

        spec = importlib.util.find_spec("wordllama")
        places = (spec.submodule_search_locations or ()) if spec else ()
        for root in map(Path, places):
            if (root / _WEIGHTS).is_file() and (root / _TOKENIZER).is_file():
                tokenizer = Tokenizer.from_file(str(root / _TOKENIZER))
                tokenizer.no_padding()
                tokenizer.no_truncation()
                weights = load_file(root / _WEIGHTS)["embedding.weight"]
                return tokenizer, np.ascontiguousarray(weights, np.float32)
        raise DriverUnavailableError(
            f"the package wordllama has no {_WEIGHTS} or no {_TOKENIZER}.",
            fix="Reinstall it: pip install wordllama",
        )
