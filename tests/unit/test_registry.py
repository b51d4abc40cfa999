"""The registry lists without importing, loads on access and says what is wrong with a driver."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import workbench.connectors
from workbench.connectors import connectors
from workbench.errors import DriverClashError, DriverError, DriverUnavailableError, UnknownNameError

if TYPE_CHECKING:
    from pathlib import Path

DRIVER = '''
"""A driver for a test."""
from workbench.connectors import Connector
class {name}(Connector):
    """Reads {name}."""
    requires = {requires!r}
    extra = "more"
    @classmethod
    def sample(cls, table, directory): raise NotImplementedError
    def read(self, source, *, position=0, chunk_bytes=0): yield from ()
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder whose modules are connectors as if they stood in the package."""
    folder = tmp_path / "drivers"
    folder.mkdir()
    monkeypatch.setattr(workbench.connectors, "__path__", [*workbench.connectors.__path__, str(folder)])
    yield folder
    for file in folder.glob("*.py"):
        sys.modules.pop(f"workbench.connectors.{file.stem}", None)
        vars(workbench.connectors).pop(file.stem, None)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder in which distributions are installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def install(site: Path, distribution: str, **points: str) -> None:
    info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = [f"{name} = {target}" for name, target in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[workbench.connectors]", *lines, ""]))


def test_names_are_the_files_of_the_package() -> None:
    assert {"arrow", "csv", "frame", "jsonl", "parquet"} <= set(connectors.names())
    assert connectors.names() == sorted(connectors.names())
    assert not {name for name in connectors.names() if name == "base" or name.startswith("_")}


def test_listing_imports_no_driver() -> None:
    program = (
        "import sys; from workbench.connectors import connectors; names = connectors.names();"
        "print([n for n in names if f'workbench.connectors.{n}' in sys.modules], 'pyarrow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"


def test_a_new_file_is_a_new_driver_and_a_private_one_is_none(package: Path) -> None:
    (package / "thirteenth.py").write_text(DRIVER.format(name="Thirteenth", requires=()))
    (package / "_shared.py").write_text("raise RuntimeError('imported')")
    assert "thirteenth" in connectors.names()
    assert "_shared" not in connectors.names()
    assert type(connectors.create("thirteenth")).__name__ == "Thirteenth"
    line = {info.name: info for info in connectors.describe()}["thirteenth"]
    assert (line.kind, line.origin, line.summary) == ("connector", "workbench", "Reads Thirteenth.")
    assert (line.requires, line.reason) == ((), "")


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(UnknownNameError, match=r"no connector 'parqet'.*Did you mean 'parquet'\?"):
        connectors.load("parqet")
    with pytest.raises(KeyError, match="There are: arrow, csv"):
        connectors.load("zzz")


def test_a_broken_file_is_listed_and_fails_when_it_is_loaded_alone(package: Path) -> None:
    (package / "broken.py").write_text("import no_such_library_anywhere\n")
    assert "broken" in connectors.names()
    with pytest.raises(ModuleNotFoundError, match="no_such_library_anywhere"):
        connectors.load("broken")
    assert connectors.load("csv").suffixes


@pytest.mark.parametrize("count", [0, 2])
def test_a_file_without_exactly_one_driver_is_refused(package: Path, count: int) -> None:
    names = [f"Driver{number}" for number in range(count)]
    (package / "several.py").write_text("".join(DRIVER.format(name=n, requires=()) for n in names))
    with pytest.raises(DriverError, match=rf"'several' must define one subclass of Connector, has {count}"):
        connectors.load("several")


def test_a_driver_whose_library_is_missing_says_so(package: Path) -> None:
    (package / "lacking.py").write_text(DRIVER.format(name="Lacking", requires=("no_such_library",)))
    reason = connectors.load("lacking").can_run()
    assert isinstance(reason, str)
    assert reason.startswith("needs no_such_library, not installed")
    assert "more" in reason
    assert {info.name: info.reason for info in connectors.describe()}["lacking"] == reason
    with pytest.raises(DriverUnavailableError, match=r"'lacking' cannot run here: needs no_such_library"):
        connectors.create("lacking")


def test_an_entry_point_is_a_driver_with_its_distribution_as_origin(site: Path) -> None:
    (site / "elsewhere_driver.py").write_text(DRIVER.format(name="Elsewhere", requires=()))
    install(site, "some-plugin", elsewhere="elsewhere_driver")
    assert "elsewhere" in connectors.names()
    assert "elsewhere_driver" not in sys.modules
    assert connectors.load("elsewhere").__name__ == "Elsewhere"
    origins = {info.name: info.origin for info in connectors.describe()}
    assert origins["elsewhere"] == "some-plugin"


def test_two_drivers_of_one_name_clash_by_name_and_origin(site: Path) -> None:
    install(site, "some-plugin", csv="elsewhere_driver")
    with pytest.raises(DriverClashError, match=r"'csv' is claimed by workbench and by some-plugin"):
        connectors.names()


def test_two_plugins_of_one_name_clash(site: Path) -> None:
    install(site, "one-plugin", syslog="one_module")
    install(site, "other-plugin", syslog="other_module")
    with pytest.raises(DriverClashError, match=r"'syslog' is claimed by (one|other)-plugin and by"):
        connectors.load("syslog")
