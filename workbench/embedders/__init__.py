"""Embedders: one file each, from texts to vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.embedders._reduced import fit_pca, reduced
from workbench.embedders.base import Embedder
from workbench.errors import ConfigError
from workbench.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Embedder", "embedders", "fit_pca", "named"]

embedders: Registry[Embedder] = Registry("embedder", "workbench.embedders", Embedder)


def named(
    name: str, *, base_url: str = "", key: Callable[[], str] | None = None, reduction: str = ""
) -> Embedder:
    """Return the embedder that a setting names: a driver, or a driver and its model as ``driver:model``.

    Args:
        name: For example ``static``, ``onnx:/models/bge-small``, ``ollama:nomic-embed-text``.
        base_url: Of a server, its address; empty: the driver's own.
        key: Of a server, returns the key when a request is made; by default the customary variable's.
        reduction: ``first:N`` or ``pca:FILE`` for fewer numbers a vector, see :func:`fit_pca`.

    Raises:
        UnknownNameError: If there is no such driver.
        DriverUnavailableError: If it cannot run here.
        ConfigError: If it takes no model, or its model is not there.

    >>> named("hashing").model
    'hashing-256'
    >>> named("ollama:all-minilm").leaves_machine
    False
    """
    driver, _, model = name.partition(":")
    cls = embedders.load(driver)
    if model and not cls.takes_model:
        raise ConfigError(
            f"embedder {driver!r} takes no model.", where="embedder", fix=f'Write "{driver}" alone.'
        )
    options: dict[str, Any] = {"model": model} if model else {}
    if cls.protocol:
        options |= {"base_url": base_url, "key": key}
    return reduced(embedders.create(driver, **options), reduction)
