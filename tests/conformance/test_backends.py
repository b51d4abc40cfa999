"""Every registered compute backend shows the behaviour of the conformance suite."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from workbench.compute import backends
from workbench.testing.backends import BackendSuite


class TestBackends(BackendSuite):
    parameters: ClassVar[list[Any]] = [
        pytest.param(name, marks=pytest.mark.gpu) if name == "gpu" else name for name in backends.names()
    ]


def test_the_suite_takes_every_registered_backend() -> None:
    assert {"cpu", "gpu"} <= set(BackendSuite.parameters)
    assert BackendSuite.parameters == backends.names()
