"""Workspaces that questions are asked about: the flights of the year, the same renamed, a made-up shop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from desk import write_desk
from gaming import write_gaming
from renamed import write_renamed
from ruamel.yaml import YAML
from shop import write_shop

from workbench.engine import Engine
from workbench.plans.planners import planners

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workbench.plans.planners import Planner

HERE = Path(__file__).parent


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for a ``case`` every question of the file that its module names."""
    if "case" in metafunc.fixturenames:
        file = HERE / f"{metafunc.module.QUESTIONS}.yaml"
        cases = [c for part in YAML(typ="safe").load(file.read_text()).values() for c in part]
        metafunc.parametrize("case", cases, ids=[c["ask"] for c in cases])


@pytest.fixture(scope="session")
def planner() -> Planner:
    return planners.load("grammar")()


@pytest.fixture(scope="session")
def flights(place_year: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(place_year(tmp_path_factory.mktemp("year")) / "flights") as engine:
        yield engine


@pytest.fixture(scope="session", params=[True, False], ids=["described", "bare"])
def renamed(
    request: pytest.FixtureRequest,
    flights_between: Callable[[str, str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Engine, bool]]:
    root = tmp_path_factory.mktemp("renamed")
    sources = flights_between("2013-02-01", "2013-03-17")
    copies = write_renamed(sources, root / "copies", described=request.param)
    with Engine.create(root / "w", schema=root / "copies" / "schema.yaml") as engine:
        engine.ingest(copies)
        yield engine, request.param


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    root = tmp_path_factory.mktemp("shop")
    sources = write_shop(root / "files")
    with Engine.create(root / "w", schema=root / "files" / "schema.yaml") as engine:
        engine.ingest(sources)
        yield engine


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    root = tmp_path_factory.mktemp("desk")
    sources = write_desk(root / "files")
    with Engine.create(root / "w", schema=root / "files" / "schema.yaml") as engine:
        engine.ingest(sources)
        yield engine


@pytest.fixture(scope="session")
def gaming(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    root = tmp_path_factory.mktemp("gaming")
    sources = write_gaming(root / "files")
    with Engine.create(root / "w", schema="gaming") as engine:
        engine.ingest(sources)
        yield engine


@pytest.fixture
def asked(planner: Planner) -> Any:
    """Return a function that asks an engine questions in one conversation and returns the last proposal."""
    from workbench.plans.planners import Conversation, Turn

    def ask(engine: Engine, *questions: str) -> Any:
        conversation = Conversation()
        for question in questions:
            proposal = planner.plan(question, engine, conversation)
            if proposal.plan is not None:
                turn = Turn(question, proposal.plan, reading=proposal.reading)
                conversation = Conversation("", (*conversation.turns, turn))
        return proposal

    return ask
