"""What the parts of the conformance suite share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from workbench.compute import backends

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.compute import Backend
    from workbench.compute.base import Kernel

__all__ = ["AGREEMENT", "adjusted_rand", "cpu", "has"]

AGREEMENT = 0.95


def has(backend: Backend, kernel: Kernel, method: str = "") -> None:
    """Skip, with the backend's reason, a kernel that it says it does not have."""
    if gap := backend.gap(kernel, method):
        pytest.skip(f"{type(backend).__name__} has no {kernel}{method and f':{method}'}: {gap}")


def cpu() -> Backend:
    """Return the reference."""
    return backends.create("cpu")


def adjusted_rand(found: NDArray[Any], planted: NDArray[Any]) -> float:
    """Return how far two partitions agree; 1 is equal."""
    import igraph

    groups = [np.unique(labels, return_inverse=True)[1].tolist() for labels in (found, planted)]
    return float(igraph.compare_communities(*groups, method="adjusted_rand"))
