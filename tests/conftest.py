"""What holds for every test: a clean environment, seeded properties, no silent GPU skips, one demo."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

import workbench as wb
from workbench.compute import backends
from workbench.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

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


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ``wb.demo()`` makes; it is made once for all workers of pytest-xdist."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "demo" / "workbench-demo"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "LOCK").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder.parent / "made"
        if not made.exists():
            patch.setenv("WORKBENCH_DEVICE", "cpu")
            wb.demo(path=folder).close()
            made.touch()
    return folder


@pytest.fixture(scope="session")
def place_demo(demo: Path) -> Callable[[Path], Path]:
    """Return a function that puts a copy of the demo into a folder."""

    def link(source: str, target: str) -> None:
        """Link what is never written in place, which is everything but the lock."""
        (shutil.copy2 if Path(source).name == "LOCK" else os.link)(source, target)

    def place(folder: Path) -> Path:
        copied: Path = shutil.copytree(demo, folder / demo.name, copy_function=link)
        return copied

    return place
