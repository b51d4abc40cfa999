"""Every registered compute backend shows the behaviour of the conformance suite."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import pytest

from workbench.compute import backends
from workbench.compute.base import KERNELS
from workbench.testing._comparison import comparison_of
from workbench.testing.backends import BackendSuite

GPU_PAGE = Path(__file__).parents[2] / "docs" / "gpu.md"


class TestBackends(BackendSuite):
    parameters: ClassVar[list[Any]] = [
        pytest.param(name, marks=pytest.mark.gpu) if name == "gpu" else name for name in backends.names()
    ]


def test_the_suite_takes_every_registered_backend() -> None:
    assert {"cpu", "gpu"} <= set(BackendSuite.parameters)
    assert BackendSuite.parameters == backends.names()


def test_every_kernel_says_how_it_is_compared_and_the_page_says_the_same() -> None:
    tests = [getattr(BackendSuite, name) for name in dir(BackendSuite) if name.startswith("test_")]
    declared = [found for test in tests if (found := comparison_of(test, {})) is not None]
    assert {found.kernel.partition(":")[0] for found in declared} == set(KERNELS)
    rows = re.findall(r"^\| `(\w+)`[^|]*\|[^|]*\|[^|]*\|([^|]*)\|$", GPU_PAGE.read_text(), re.MULTILINE)
    for kernel in KERNELS:
        told = " ".join(comparison for name, comparison in rows if name == kernel)
        kinds = {found.kind for found in declared if found.kernel.partition(":")[0] == kernel}
        assert {kind for kind in ("exact", "close", "quality") if kind in told} == kinds, kernel
