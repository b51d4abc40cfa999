"""Planners: one file each, found like every other driver."""

from __future__ import annotations

from workbench.plans.planners.base import Conversation, Planner, Proposal, Turn
from workbench.registry import Registry

__all__ = ["Conversation", "Planner", "Proposal", "Turn", "planners"]

planners: Registry[Planner] = Registry("planner", "workbench.plans.planners", Planner)
