"""The flights of 2013, written and ingested once for all tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.engine import Engine
from workbench.samples.flights import write_sources

Weeks = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def flights_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source files of the whole year; nobody writes to them."""
    return write_sources(tmp_path_factory.mktemp("flights") / "sources")


@pytest.fixture(scope="session")
def flights_workspace(flights_sources: Path) -> Path:
    """A workspace that holds the whole year; knowledge may be added to it, documents may not."""
    root = flights_sources.with_name("workspace")
    with Engine.create(root, schema="flights") as engine:
        engine.ingest(flights_sources)
    return root


@pytest.fixture(scope="session")
def flights_between(flights_sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    """Return a function that gives a directory with the files of some days and the reference tables."""

    def between(first: str, last: str) -> Path:
        target = tmp_path_factory.mktemp(f"flights-{first}")
        for path in flights_sources.rglob("*.parquet"):
            if path.parent.name == "reference" or first <= path.stem <= last:
                copy = target / path.relative_to(flights_sources)
                copy.parent.mkdir(exist_ok=True)
                shutil.copy2(path, copy)
        return target

    return between
