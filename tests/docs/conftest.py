"""The demo workspace that examples and notebooks run on: built once, a copy for each."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

import workbench as wb


def _copy(source: str, target: str) -> None:
    """Link what is never written in place, which is everything but the lock."""
    (shutil.copy2 if Path(source).name == "LOCK" else os.link)(source, target)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ``wb.demo()`` makes in the working directory."""
    folder = tmp_path_factory.mktemp("docs") / "workbench-demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_DEVICE", "cpu")
        wb.demo(path=folder).close()
    return folder


@pytest.fixture
def workplace(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory but for the demo, with this installation's commands first in PATH."""
    shutil.copytree(demo, tmp_path / demo.name, copy_function=_copy)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    # The figures of the documentation are the CPU's: on a GPU the last digits and ties may differ.
    monkeypatch.setenv("WORKBENCH_DEVICE", "cpu")
    return tmp_path
