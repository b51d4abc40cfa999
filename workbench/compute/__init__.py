"""Compute backends: one file each, the same kernels with the same results on every device."""

from __future__ import annotations

from workbench.compute._memory import Growth
from workbench.compute.base import Backend, EdgeList, KernelRun, Measure, Points, Rows, choose, run
from workbench.registry import Registry

__all__ = [
    "Backend",
    "EdgeList",
    "Growth",
    "KernelRun",
    "Measure",
    "Points",
    "Rows",
    "backends",
    "choose",
    "run",
]

backends: Registry[Backend] = Registry("compute backend", "workbench.compute", Backend)
