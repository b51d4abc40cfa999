"""A small workspace to break, and the counts of what was broken, which the summary prints."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Protocol

import pytest
from damaged import damage
from schemas import PAGES

from workbench.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from damaged import Damaged


class Count(Protocol):
    """Says how many cases a test went through."""

    def __call__(self, what: str, number: int) -> None:
        """Say it."""


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Count:
    """Say how many cases a test went through, beginning with their kind, of which the summary has the sum."""

    def say(what: str, number: int) -> None:
        record_property("count", [number, what])

    return say


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources: three days of a log, late events of the second, more of the third, a reference table."""
    root = tmp_path_factory.mktemp("logs")
    for day in (1, 2, 3):
        rows = "".join(
            f"2025-01-0{day}T{n:02d}:00:00Z,u{n * day % 5},p{n % 3},Title {n % 3}\n" for n in range(20)
        )
        torn = "torn\n" if day == 3 else ""
        (root / f"click-{day}.csv").write_text(f"time,user,page,title\n{rows}{torn}")
    late = "2025-01-02T05:30:00Z,u9,p9,Late\n"
    (root / "late.csv").write_text(f"time,user,page,title\n{late}")
    more = "2025-01-03T05:30:00Z,u8,p8,More\n"
    (root / "more.csv").write_text(f"time,user,page,title\n{more}")
    (root / "users.csv").write_text("user,name\n" + "".join(f"u{n},Name {n}\n" for n in range(5)))
    (root / "schema.yaml").write_text(PAGES)
    return root


@pytest.fixture(scope="session")
def two_days(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of the first two days, which nobody changes."""
    root = tmp_path_factory.mktemp("two-days") / "w"
    with Engine.create(root, schema=logs / "schema.yaml") as engine:
        engine.ingest(logs / "users.csv")
        for day in (1, 2):
            engine.ingest(logs / f"click-{day}.csv", type="click")
    return root


@pytest.fixture(scope="session")
def damaged(two_days: Path, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    """A workspace that is damaged in every way, which nobody changes."""
    return damage(two_days, logs, tmp_path_factory.mktemp("damaged") / "w")


class Place(Protocol):
    """Lays out a fresh copy of a workspace, by default of the two days."""

    def __call__(self, name: str, origin: Path | None = None) -> Path:
        """Return where it lies; the name is that of the directory in which the workspace is ``w``."""


@pytest.fixture
def place(two_days: Path, tmp_path: Path) -> Place:
    def copy(name: str, origin: Path | None = None) -> Path:
        root = tmp_path / name / "w"
        shutil.rmtree(root.parent, ignore_errors=True)
        shutil.copytree(origin or two_days, root)
        return root

    return copy
