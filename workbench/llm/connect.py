"""From settings to a client: which providers, in which order, with which model, address and key."""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from workbench.errors import ConfigError
from workbench.llm.accounts import Accounts
from workbench.llm.base import Endpoint
from workbench.llm.client import Client, Link
from workbench.llm.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from workbench.settings import Settings

__all__ = ["connect"]

FOLDER = "llm"


def connect(
    settings: Settings,
    workspace: Path | None = None,
    *,
    provider: str | None = None,
    session: str = "",
    waiting: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Client | None:
    """Return a client for the providers that are set, or None where nobody is.

    Args:
        settings: Their ``llm_…``; model, address, key and prices are the first provider's, the next ones have
            their own defaults.
        workspace: Where requests are booked, in the folder ``llm``; None to count in this process alone.
        provider: Another chain than the settings', written alike.
        session: Whose tokens they are.
        waiting: Entered while an answer is waited for.

    Raises:
        UnknownNameError: If there is no such provider.
        DriverUnavailableError: If one cannot run here.
        ConfigError: If a provider needs a model, or an address, and none is given.

    >>> from workbench.settings import Settings
    >>> connect(Settings()) is None
    True
    >>> connect(Settings(llm_provider="ollama:qwen3:4b"))
    <Client ollama at 127.0.0.1:11434 (qwen3:4b)>
    """
    chain = [part.strip() for part in (settings.llm_provider if provider is None else provider).split(",")]
    links = [_link(part, settings, first=number == 0) for number, part in enumerate(chain) if part]
    if not links:
        return None
    accounts = Accounts(
        workspace / FOLDER if workspace is not None else None,
        session_tokens=settings.llm_session_tokens,
        day_tokens=settings.llm_day_tokens,
        day_cost=settings.llm_day_cost,
    )
    return Client(
        links,
        timeout=settings.llm_timeout,
        retries=settings.llm_retries,
        accounts=accounts,
        session=session,
        waiting=waiting,
    )


def _link(part: str, settings: Settings, *, first: bool) -> Link:
    # the registry is the package's, and the package is made of this module too
    providers = importlib.import_module("workbench.llm").providers
    name, _, model = part.partition(":")
    driver = providers.create(name)
    model = model or (settings.llm_model if first else "") or driver.default_model
    if not model:
        raise ConfigError(
            f"provider {name!r} needs a model.", where="llm_model", fix=f"Set it, or write {name}:MODEL."
        )
    reference = (settings.llm_api_key if first else "") or (
        f"env:{driver.key_variable}" if driver.key_variable else ""
    )
    address = (settings.llm_base_url if first else "") or driver.address
    endpoint = Endpoint(model, address, Secret(reference), settings.llm_timeout)
    prices = (settings.llm_input_price, settings.llm_output_price) if first else (0.0, 0.0)
    return Link(name, driver, endpoint, *prices)
