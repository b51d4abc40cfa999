"""What holds for every test: a clean environment, seeded properties, and no silent GPU skips."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from workbench.compute import backends
from workbench.settings import PREFIX

REQUIRE_GPU = "WORKBENCH_REQUIRE_GPU"

TESTS = Path(__file__).parent

require_gpu = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Take the caller's own settings out of the environment: they are no part of a test."""
    config.stash[require_gpu] = os.environ.get(REQUIRE_GPU, "") not in {"", "0"}
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    # Wall-clock deadlines fail on a busy machine; in CI the same examples are drawn in every run.
    settings.register_profile("local", deadline=None)
    settings.register_profile("ci", deadline=None, derandomize=True)
    settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave helpers and scripts beside the tests alone: examples are collected from the package only."""
    if TESTS in collection_path.parents and collection_path.suffix == ".py":
        return None if collection_path.name.startswith("test_") else True
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a GPU test with the backend's reason, or fail it where a GPU is required."""
    if item.get_closest_marker("gpu") is None:
        return
    reason = backends.load("gpu").can_run()
    if reason is True:
        return
    if item.config.stash[require_gpu]:
        pytest.fail(f"{REQUIRE_GPU}=1, but the GPU backend {reason}", pytrace=False)
    pytest.skip(f"the GPU backend {reason}")
