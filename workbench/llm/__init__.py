"""Language models: one file a provider, behind one client with limits, retries and accounts."""

from __future__ import annotations

from workbench.llm.base import Completion, Endpoint, Message, Piece, Provider, Request, Usage
from workbench.llm.client import Client, Link
from workbench.llm.connect import connect
from workbench.llm.secret import Secret
from workbench.registry import Registry

__all__ = [
    "Client",
    "Completion",
    "Endpoint",
    "Link",
    "Message",
    "Piece",
    "Provider",
    "Request",
    "Secret",
    "Usage",
    "connect",
    "providers",
]

providers: Registry[Provider] = Registry(
    "provider", "workbench.llm", Provider, shared=("accounts", "client", "connect", "secret")
)
