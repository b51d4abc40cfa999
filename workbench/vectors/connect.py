"""From settings to an embedder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.embedders import embedders, named
from workbench.errors import UnknownNameError
from workbench.llm.secret import Secret

if TYPE_CHECKING:
    from workbench.embedders import Embedder
    from workbench.settings import Settings

__all__ = ["can_run", "connect"]


def can_run(settings: Settings) -> bool:
    """Return whether what the embedder that is set needs is installed; what is no embedder fails when asked.

    >>> from workbench.settings import Settings
    >>> can_run(Settings(embedder="hashing"))
    True
    """
    try:
        return embedders.load(settings.embedder.partition(":")[0]).can_run() is True
    except UnknownNameError:
        return True


def connect(settings: Settings) -> Embedder:
    """Return the embedder that is set, with its model, and of a server its address and key.

    Raises:
        UnknownNameError: If there is no such embedder.
        DriverUnavailableError: If it cannot run here.
        ConfigError: If its model or address is none.

    >>> from workbench.settings import Settings
    >>> connect(Settings(embedder="ollama:all-minilm")).model
    'ollama:all-minilm'
    """
    reference = settings.embedder_api_key
    return named(
        settings.embedder,
        base_url=settings.embedder_base_url,
        key=Secret(reference).reveal if reference else None,
        reduction=settings.embedder_reduction,
    )
