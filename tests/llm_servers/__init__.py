"""Servers of the APIs that providers speak, on loopback, over one small real model; and their faults."""

from __future__ import annotations

from llm_servers.faults import Fault
from llm_servers.model import SmallModel
from llm_servers.server import LlmServer, Servers

__all__ = ["Fault", "LlmServer", "Servers", "SmallModel"]
