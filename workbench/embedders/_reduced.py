"""Fewer numbers a vector: the first ones, or those along which texts differ most."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from workbench.embedders.base import Embedder
from workbench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Reduced", "fit_pca", "reduced"]


class Reduced(Embedder):
    """Another embedder's vectors with fewer numbers; the model's name says which.

    Args:
        inner: Makes the vectors.
        name: What was done, for the model's name.
        dimension: How many numbers are left.
        axes: Directions to keep, ``[numbers, dimension]``; by default the first numbers.

    Source: Kusupati et al. 2022, Matryoshka representations; Pearson 1901, principal components.
    """

    def __init__(
        self, inner: Embedder, name: str, dimension: int, axes: NDArray[np.float32] | None = None
    ) -> None:
        self._inner, self._dimension, self._axes = inner, dimension, axes
        self.model = f"{inner.model}/{name}"
        self.licence, self.leaves_machine = inner.licence, inner.leaves_machine

    @property
    def dimension(self) -> int:
        """Return how many numbers a vector has."""
        return self._dimension

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the inner embedder's vectors, cut or turned."""
        parts = list(self._inner.batches(texts))
        vectors = np.concatenate(parts)
        wanted = self._dimension if self._axes is None else len(self._axes)
        if vectors.shape[1] < wanted or (self._axes is not None and vectors.shape[1] != wanted):
            raise ConfigError(
                f"vectors of {self._inner.model} have {vectors.shape[1]} numbers, not {wanted}.",
                where="embedder_reduction",
            )
        return np.asarray(vectors[:, :wanted] if self._axes is None else vectors @ self._axes)


def reduced(inner: Embedder, reduction: str) -> Embedder:
    """Return an embedder with the reduction that a setting names: ``first:N``, or ``pca:FILE``.

    Args:
        inner: Makes the vectors.
        reduction: Empty for none.

    Raises:
        ConfigError: If it is none, or the file is not what :func:`fit_pca` wrote.

    >>> from workbench.embedders import embedders
    >>> small = reduced(embedders.create("hashing"), "first:64")
    >>> small.model, small.embed(["a page"]).shape
    ('hashing-256/first-64', (1, 64))
    """
    kind, _, value = reduction.partition(":")
    if not reduction:
        return inner
    if kind == "first" and value.isdecimal() and int(value):
        return Reduced(inner, f"first-{int(value)}", int(value))
    if kind != "pca" or not value:
        raise ConfigError(
            f"{reduction!r} is no reduction.", where="embedder_reduction", fix="Write first:N, or pca:FILE."
        )
    try:
        data = Path(value).expanduser().read_bytes()
        axes = np.load(io.BytesIO(data), allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot be read: {error}.", where=value, fix="fit_pca writes one.") from error
    if axes.ndim != 2 or axes.dtype != np.float32:
        raise ConfigError("these are no axes.", where=value, fix="fit_pca writes some.")
    name = f"pca-{axes.shape[1]}-{xxhash.xxh3_64_hexdigest(data)}"
    return Reduced(inner, name, axes.shape[1], axes)


def fit_pca(embedder: Embedder, texts: Sequence[str], dimension: int, path: Path) -> float:
    """Write the directions along which texts differ most into a file, and return what share of it they keep.

    Args:
        embedder: Makes the vectors.
        texts: Some that are like those that will be embedded, more than ``dimension``.
        dimension: How many directions.
        path: The file, for the setting ``embedder_reduction``.

    Raises:
        ConfigError: If there are not so many directions.
    """
    vectors = embedder.embed(texts).astype(np.float64)
    most = min(vectors.shape)
    if not 0 < dimension <= most:
        raise ConfigError(f"{len(vectors)} texts have {most} directions, not {dimension}.")
    # not about the mean: cosines are of the vectors themselves
    values, axes = np.linalg.eigh(vectors.T @ vectors)
    order = np.argsort(-values)[:dimension]
    chosen = axes[:, order]
    chosen *= np.where(chosen[np.abs(chosen).argmax(axis=0), np.arange(dimension)] < 0, -1, 1)
    np.save(path, chosen.astype(np.float32), allow_pickle=False)
    return float(values[order].sum() / values.sum())
