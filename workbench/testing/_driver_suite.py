"""What every driver has to show, of whatever kind: it loads light, says what it is and whether it can run."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from workbench.errors import DriverUnavailableError

if TYPE_CHECKING:
    from workbench.registry import Registry

__all__ = ["DriverSuite"]

PROBE = """
import sys
before = set(sys.modules)
{prepare}
from {package} import {package_name}
{package_name}.load({name!r})
print(" ".join(sorted({{module.partition(".")[0] for module in set(sys.modules) - before}})))
"""


class DriverSuite:
    """Tests that take the name of a driver.

    Attributes:
        registry: The drivers of the kind.
        home: Module and name under which the registry is found.
        heavy: Libraries that are not imported by loading a driver, beside those that it requires.
        prepare: Python statements that make the drivers findable in a fresh process, where being installed
            is not enough.
    """

    registry: ClassVar[Registry[Any]]
    home: ClassVar[tuple[str, str]]
    heavy: ClassVar[frozenset[str]] = frozenset()
    prepare: ClassVar[str] = ""

    def test_loading_imports_nothing_heavy(self, name: str) -> None:
        """What the driver requires is imported when it is used, not when it is listed."""
        package, package_name = self.home
        program = PROBE.format(prepare=self.prepare, package=package, package_name=package_name, name=name)
        done = subprocess.run(  # noqa: S603  (this interpreter, with the text above)
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert (self.heavy | set(self.registry.load(name).requires)) & set(done.stdout.split()) == set()

    def test_whether_it_can_run_is_told_truly(self, name: str) -> None:
        """Either all that it requires is there and it can be made, or a reason is given."""
        driver = self.registry.load(name)
        missing = [library for library in driver.requires if importlib.util.find_spec(library) is None]
        reason = driver.can_run()
        if reason is True:
            assert missing == []
            assert type(self.registry.create(name)) is driver
            return
        assert reason
        with pytest.raises(DriverUnavailableError, match=name):
            self.registry.create(name)

    def test_it_is_listed_with_a_sentence(self, name: str) -> None:
        """The first line of its docstring is the line that lists show."""
        summary = {info.name: info for info in self.registry.describe()}[name].summary
        assert summary.endswith(".")
