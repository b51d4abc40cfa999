"""What holds for every test: a clean environment, seeded properties, no silent GPU skips, one demo."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from workbench.compute import backends
from workbench.engine import Engine
from workbench.samples.flights import write_sources
from workbench.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REQUIRE_GPU = "WORKBENCH_REQUIRE_GPU"

COVERED = "COVERAGE_PROCESS_CONFIG"  # tells new processes to count what they cover

TESTS = Path(__file__).parent
# Whole flows over the real sample and in a browser, and faults by the thousand. They run last, and uncounted:
# counting what they cover takes long, and the other tests reach the thresholds alone.
FAULTS = ("power_loss", "bit_flips", "random_kills", "ingest_kill", "stream_kill", "readers", "soak")
FLOWS = [
    *(TESTS / name for name in ("docs", "browser", "e2e")),
    *(TESTS / "faults" / f"test_{name}.py" for name in FAULTS),
]

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the flows last: a module that is imported while nothing counts would seem never to have run."""
    items.sort(key=lambda item: FLOWS.index(flow) + 1 if (flow := flow_of(item)) else 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests of faults counted, and the sum of each kind, in whatever process they ran."""
    counts = [
        (report.nodeid, *counted)
        for report in terminalreporter.stats.get("passed", [])
        for name, counted in getattr(report, "user_properties", ())
        if name == "count"
    ]
    sums: dict[str, list[int]] = {}
    for _, number, what in counts:
        sums.setdefault(what.split()[0], []).append(number)
    if counts:
        terminalreporter.section("faults")
        for _, number, what in sorted(counts):
            terminalreporter.write_line(f"{number:>9,} {what}")
        for kind, numbers in sorted(sums.items()):
            if len(numbers) > 1:
                terminalreporter.write_line(f"{sum(numbers):>9,} {kind} in all")


def flow_of(item: pytest.Item) -> Path | None:
    """Return the flow that a test is of, a folder or a file, or None."""
    return next((flow for flow in FLOWS if flow in (item.path, *item.path.parents)), None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Leave flows, and the processes that they start, out of the coverage."""
    plugin = item.config.pluginmanager.getplugin("_cov")
    counting = plugin.cov_controller if plugin and flow_of(item) else None
    if counting is None:
        return (yield)
    counting.pause()
    in_processes = os.environ.pop(COVERED, None)
    try:
        return (yield)
    finally:
        if in_processes is not None:
            os.environ[COVERED] = in_processes
        counting.resume()


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


class Shared:
    """Folders that are made once for all workers of pytest-xdist, and copies of them.

    Args:
        root: Where the workers of this run find one another's folders.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def made(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return the folder ``name``, filled by ``make`` where nobody has done it yet; it is for reading."""
        folder = self._root / "shared" / name
        folder.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = folder.with_suffix(".done")
            if not done.exists():
                make(folder)
                done.touch()
        return folder


def place(folder: Path, target: Path) -> Path:
    """Return ``target``, a copy of a folder; data files are links, for nobody writes to them in place."""

    def link(source: str, copy: str) -> None:
        (os.link if source.endswith(".parquet") else shutil.copy2)(source, copy)

    placed: Path = shutil.copytree(folder, target, copy_function=link, dirs_exist_ok=True)
    return placed


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """Return what makes folders once for all workers."""
    own = tmp_path_factory.getbasetemp()
    return Shared(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


@pytest.fixture(scope="session")
def year(shared: Shared) -> Path:
    """The flights of 2013 as the demo has them before it computes: ``flights-logs`` and ``flights``."""

    def make(folder: Path) -> None:
        sources = write_sources(folder / "flights-logs")
        with Engine.create(folder / "flights", schema="flights") as engine:
            engine.ingest(sources)

    return shared.made("year", make)


@pytest.fixture(scope="session")
def place_year(year: Path) -> Callable[[Path], Path]:
    """Return a function that gives a folder its own copy of the year, to write to."""
    return lambda folder: place(year, folder)


@pytest.fixture(scope="session")
def flights_between(year: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Return a function that gives a new directory with the source files of some days, the last included."""

    def between(first: str, last: str) -> Path:
        target = tmp_path_factory.mktemp(f"flights-{first}")
        sources = year / "flights-logs"
        for path in sources.rglob("*.parquet"):
            if path.parent.name == "reference" or first <= path.stem <= last:
                copy = target / path.relative_to(sources)
                copy.parent.mkdir(exist_ok=True)
                shutil.copy2(path, copy)
        return target

    return between


@pytest.fixture(scope="session")
def demo(shared: Shared, year: Path) -> Path:
    """``workbench-demo`` as ``workbench demo`` leaves it, beside it ``screen.txt``: what was printed."""

    def make(folder: Path) -> None:
        place(year, folder / "workbench-demo")
        with (folder / "screen.txt").open("w") as screen:
            subprocess.run(
                [sys.executable, "-m", "workbench", "demo"],
                env={**os.environ, "WORKBENCH_DEVICE": "cpu"},
                cwd=folder,
                stdout=screen,
                check=True,
            )

    return shared.made("demo", make) / "workbench-demo"


@pytest.fixture(scope="session")
def place_demo(demo: Path) -> Callable[[Path], Path]:
    """Return a function that puts a copy of the demo into a folder."""
    return lambda folder: place(demo, folder / demo.name)
