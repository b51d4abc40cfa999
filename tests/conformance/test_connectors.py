"""Every registered connector, the out-of-tree plug-in included, shows the behaviour of the suite."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workbench.connectors import Source, connectors
from workbench.testing.connectors import ConnectorSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

PLUGIN = Path(__file__).parent.parent / "plugin"
specification = importlib.util.spec_from_file_location("visible", PLUGIN / "visible.py")
assert specification is not None
assert specification.loader is not None
plugin = importlib.util.module_from_spec(specification)
specification.loader.exec_module(plugin)

# Held open for the module's life: test names are made from the registry, before any fixture runs.
METADATA = tempfile.TemporaryDirectory(prefix="workbench-plugin-")
plugin.write_metadata(Path(METADATA.name))


@pytest.fixture(scope="module", autouse=True)
def _plugin() -> Iterator[None]:
    with plugin.visible(Path(METADATA.name)):
        yield
    METADATA.cleanup()


class TestConnectors(ConnectorSuite):
    prepare = f"sys.path[:0] = {plugin.search_path(Path(METADATA.name))!r}"

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        with plugin.visible(Path(METADATA.name)):
            super().pytest_generate_tests(metafunc)


def test_the_plugin_is_listed_beside_the_shipped_ones() -> None:
    assert {"arrow", "csv", "frame", "jsonl", "logfmt", "parquet"} <= set(connectors.names())
    origins = {info.name: info.origin for info in connectors.describe()}
    assert origins["logfmt"] == "workbench-logfmt"
    assert origins["csv"] == "workbench"


def test_the_plugin_refuses_a_line_that_is_no_pairs(tmp_path: Path) -> None:
    path = tmp_path / "x.logfmt"
    path.write_bytes(b'at=1 msg="a b"\ntorn "\nat=2\n')
    (chunk,) = connectors.create("logfmt").read(Source("x", path))
    assert chunk.table.to_pydict() == {"at": ["1", "2"], "msg": ["a b", None]}
    assert [(r.offset, r.original) for r in chunk.rejects] == [(1, b'torn "')]


NEW_FILE = '''
"""Connector ``thirteenth``."""
from workbench.connectors import Connector
class Thirteenth(Connector):
    """A thirteenth driver."""
    @classmethod
    def sample(cls, table, directory): raise NotImplementedError
    def read(self, source, *, position=0, chunk_bytes=0): yield from ()
'''
CONFTEST = """
import pathlib, workbench.connectors
workbench.connectors.__path__.append(str(pathlib.Path(__file__).parent / "more"))
"""
SUITE = "from workbench.testing.connectors import ConnectorSuite\nclass TestAll(ConnectorSuite):\n    pass\n"


def test_a_new_file_is_in_the_suite_without_further_edit(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "thirteenth.py").write_text(NEW_FILE, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "test_all.py").write_text(SUITE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "test_all.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_records_come_back_as_they_were[thirteenth]" in done.stdout
    assert "test_records_come_back_as_they_were[parquet]" in done.stdout
