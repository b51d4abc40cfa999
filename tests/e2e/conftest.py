"""The flights of 2013."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def flights_sources(year: Path) -> Path:
    """The source files of the whole year; nobody writes to them."""
    return year / "flights-logs"


@pytest.fixture(scope="session")
def flights_workspace(place_year: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that holds the whole year; knowledge may be added to it, documents may not."""
    return place_year(tmp_path_factory.mktemp("year")) / "flights"
